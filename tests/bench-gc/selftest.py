#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Tests of the comparison of collectors, on the developer's machine.

1. Every row, briefly, under ours and libgc, and under Go where its program was built (make bench-gc): the
   same checksum everywhere, and collections that were seen.
2. Rows, ratios and verdicts, on known numbers.

What is not installed is skipped and said. Ends with "N passed, N failed".
"""

import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import unittests  # noqa: E402
from benches import chart, collectors, gc_results, runner  # noqa: E402

EFFORT = "effort=1"


def sample(row, name, time_ms, peak_mib=10, pause_ms=1):
    return runner.Sample(row, name, 0, int(time_ms * 1e6), 0, 0, int(peak_mib * 1024), "1",
                         {"cycles": 3, "pause_max_ns": int(pause_ms * 1e6), "pause_p99_ns": int(pause_ms * 1e6)})


class Workloads(unittest.TestCase):
    """What make bench-gc runs, with a hundredth of the work."""

    def run_rows(self, chosen, columns, *options):
        with tempfile.TemporaryDirectory(prefix="bareheap-bench-gc-") as folder:
            plan = runner.Plan(chosen, columns, 1, folder, [EFFORT, *options])
            return runner.run_all(plan, lambda *ignored: None, collectors.run)

    def test_same_checksums(self):
        columns, messages = collectors.chosen_collectors("")
        for message in messages:
            print(f"skipped: {message}")
        self.assertIn("bareheap", [column.name for column in columns], "make test-build")
        samples, errors = self.run_rows(collectors.rows(), columns)
        self.assertEqual(errors, {})
        self.assertEqual(len(samples), len(columns) * len(collectors.rows()))

    def test_collections_are_seen(self):
        columns, _ = collectors.chosen_collectors("")
        samples, errors = self.run_rows(collectors.chosen_rows("trees-2,graph-1,storm"), columns)
        self.assertEqual(errors, {})
        for one in samples:
            self.assertGreater(one.more["cycles"], 0, one)
            self.assertGreaterEqual(one.more["pause_max_ns"], one.more["pause_p99_ns"], one)
            self.assertGreater(one.more["pause_p99_ns"], 0, one)

    def test_wrong_options_are_told(self):
        columns, _ = collectors.chosen_collectors("")
        for column in columns:
            for words in ([], ["nothing"], ["storm", "what"], ["storm", "threads=0"], ["trace"]):
                _, errors = self.run_rows([collectors.GCRow("it", words)], [column])
                self.assertIn("status 2", errors.get(("it", column.name), "no error"))


class Judging(unittest.TestCase):
    """Figures from known samples."""

    def verdicts(self, *samples, names=("libgc", "go", "bareheap")):
        return {bar.text: bar.passed for bar in gc_results.judge(list(samples), list(names))}

    def test_time_is_compared_with_the_better_peer(self):
        found = self.verdicts(sample("trees-1", "libgc", 10), sample("trees-1", "go", 8),
                              sample("trees-1", "bareheap", 4.1))
        self.assertEqual(found.pop("trees-1: time / go, the better peer <= 0.5"), False)
        self.assertEqual(found.pop("trees-1: peak memory / go <= 1"), True)
        self.assertEqual(set(found.values()), {True})

    def test_graph(self):
        found = self.verdicts(sample("graph-1", "libgc", 100, pause_ms=4), sample("graph-2", "libgc", 50, pause_ms=4),
                              sample("graph-1", "bareheap", 25, pause_ms=2), sample("graph-2", "bareheap", 16, pause_ms=2.1))
        self.assertEqual(found["graph-1: mark time per object / libgc <= 0.25"], True)
        self.assertEqual(found["graph: one marker / two markers >= 1.6"], False)
        self.assertEqual(found["graph-1: longest pause / libgc, on the same heap <= 0.5"], True)
        self.assertEqual(found["graph-2: longest pause / libgc, on the same heap <= 0.5"], False)

    def test_without_ours_or_a_peer(self):
        self.assertEqual(self.verdicts(sample("trees-1", "libgc", 1), names=("libgc",)), {})
        self.assertEqual(self.verdicts(sample("trees-1", "bareheap", 1), names=("bareheap",)), {})

    def test_rows_by_name(self):
        self.assertEqual([row.name for row in collectors.chosen_rows("storm*,trees-2")],
                         ["storm", "storm-mixed", "trees-2"])
        self.assertRaisesRegex(ValueError, "no row nothing", collectors.chosen_rows, "nothing")
        self.assertRaisesRegex(ValueError, "no peer perl", collectors.chosen_collectors, "perl")

    def test_no_pause_is_no_ratio(self):
        cells = gc_results.cells_of([sample("arrays", "libgc", 1, pause_ms=0), sample("arrays", "bareheap", 1)],
                                    "longest pause")
        self.assertEqual(gc_results.table(cells, "longest pause", ["libgc", "bareheap"])[1].split()[-1], "-")

    def test_chart_has_every_panel(self):
        cells = gc_results.cells_of([sample("a", "libgc", 10), sample("a", "bareheap", 5)], "time")
        style = chart.Style(reference="libgc", limits=(1 / 16, 8))
        panels = [(name, cells) for name in ("time", "peak", "pause")]
        text = chart.script(panels, ["bareheap"], "out.svg", "title", style)
        self.assertEqual(text.count("\nplot "), 3)
        self.assertIn("'1/16' 0.0625", text)


if __name__ == "__main__":
    sys.exit(unittests.run())
