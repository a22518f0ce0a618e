#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Tests of the comparison, on the developer's machine.

1. Every workload, briefly, with the C library's malloc and with ours preloaded: the same checksum.
2. A malloc that gives the same memory out twice must be noticed.
3. The launcher's figures, the interleaving, medians, ratios and verdicts, on known numbers.

Ends with "N passed, N failed".
"""

import math
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import unittests  # noqa: E402
from benches import allocators, chart, results, rows, runner  # noqa: E402

GLIBC = allocators.Allocator("glibc", "")
PRELOADS = [found for found in (allocators.ours()[0], allocators.ours("harden")[0]) if found]
BROKEN_C = """
#include <stddef.h>
#include <stdint.h>
void *__libc_malloc(size_t bytes);
/* Gives some objects of 40 bytes out twice, and frees none. */
void *malloc(size_t bytes)
{
    static _Thread_local void *last;
    static _Thread_local unsigned calls;
    if (bytes != 40 || calls++ % 16 != 0)
        return last = __libc_malloc(bytes);
    return last;
}
void free(void *object)
{
    (void)object;
}
"""


def workload_names():
    output = subprocess.run([rows.WORKLOADS, "--list"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in output.splitlines()]


def sample(row, allocator, time_ms, peak_mib=10, number=0):
    return runner.Sample(row, allocator, number, int(time_ms * 1e6), 0, 0, int(peak_mib * 1024), "1")


class Workloads(unittest.TestCase):
    """What make bench runs, with a hundredth of the work."""

    def run_rows(self, allocator, chosen, *options):
        with tempfile.TemporaryDirectory(prefix="bareheap-bench-") as folder:
            plan = runner.Plan(chosen, [GLIBC, allocator] if allocator is not GLIBC else [GLIBC], 1, folder,
                               list(options))
            return runner.run_all(plan, lambda *ignored: None)

    def test_every_workload_is_a_row(self):
        listed = set(workload_names()) - {"trace"}
        self.assertEqual(listed, set(rows.SINGLE_ROWS) | set(rows.THREAD_ROWS))

    def test_same_checksums_with_ours(self):
        """Also with more threads than processors."""
        self.assertTrue(PRELOADS, "build/host/libbareheap-preload.so is not built: make test-build")
        chosen = [row for row in rows.all_rows() if row.kind != "program"]
        for allocator in PRELOADS:
            for threads in ("threads=2", "threads=5"):
                samples, errors = self.run_rows(allocator, chosen, "effort=1", threads)
                self.assertEqual(errors, {})
                self.assertEqual(len(samples), 2 * len(chosen))

    def test_a_checksum_repeats(self):
        chosen = [row for row in rows.all_rows() if row.kind == "threads"]
        first, errors = self.run_rows(GLIBC, chosen, "effort=1", "threads=4")
        second, more = self.run_rows(GLIBC, chosen, "effort=1", "threads=4")
        self.assertEqual((errors, more), ({}, {}))
        self.assertEqual([s.checksum for s in first], [s.checksum for s in second])
        self.assertEqual([s.row for s in first if s.checksum == "0"], [])

    def test_memory_given_twice_is_noticed(self):
        with tempfile.TemporaryDirectory(prefix="bareheap-bench-") as folder:
            source, library = os.path.join(folder, "broken.c"), os.path.join(folder, "broken.so")
            with open(source, "w", encoding="ascii") as file:
                file.write(BROKEN_C)
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
            chosen = [row for row in rows.all_rows() if row.name == "loop"]
            _, errors = self.run_rows(allocators.Allocator("broken", library), chosen, "effort=1")
        self.assertIn("but", errors.get(("loop", "broken"), "no error"))

    def test_wrong_options_are_named(self):
        for words, text in ((["nothing"], "no workload"), (["loop", "effort=x"], "a number from 1"),
                            (["loop", "what"], "no option"), (["trace"], "say which trace"), ([], "say which")):
            result = subprocess.run([rows.WORKLOADS, *words], capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 2)
            self.assertIn(text, result.stderr)


class Running(unittest.TestCase):
    """The launcher and the order of the runs."""

    def once(self, *command, allocator=GLIBC):
        with tempfile.TemporaryDirectory(prefix="bareheap-bench-") as folder:
            plan = runner.Plan([], [], 1, folder)
            return runner.run_once(rows.program("it", *command), allocator, 0, plan)

    def test_peak_memory_is_the_programs_own(self):
        self.assertLess(self.once("true").peak_kib, 4096)
        large = self.once(sys.executable, "-c", "b'x' * (64 << 20)")
        self.assertGreater(large.peak_kib, 64 << 10)

    def test_time_is_measured(self):
        slept = self.once("sleep", "0.2")
        self.assertTrue(0.2e9 <= slept.time_ns < 5e9 and slept.cpu_ns < 0.1e9, slept)

    def test_output_decides_the_checksum(self):
        self.assertNotEqual(self.once("echo", "a").checksum, self.once("echo", "b").checksum)

    def test_failures_are_told(self):
        for command, text in ((["false"], "status 1"), (["sh", "-c", "kill -9 $$"], "status 137"),
                              (["no-such-program"], "status 127")):
            with self.assertRaisesRegex(runner.RunError, text):
                self.once(*command)

    def test_library_that_is_not_loaded_is_noticed(self):
        absent = allocators.Allocator("absent", "/nowhere/libabsent.so")
        self.assertIn("not from", allocators.in_effect(absent))
        self.assertEqual(allocators.in_effect(GLIBC), "")

    def test_everybody_begins_in_turn(self):
        plan = runner.Plan(rows.all_rows()[:3], ["a", "b", "c"], 3, "")
        order = [(number, row.name, name) for number, row, name in plan.order()]
        self.assertEqual(len(set(order)), 27)
        self.assertEqual([order[at][2] for at in range(0, 27, 3)], list("abcbcacab"))

    def test_rows_by_name(self):
        self.assertEqual([row.name for row in rows.chosen_rows("ring,trace-g*")],
                         ["ring", "trace-gcc", "trace-git", "trace-gold"])
        self.assertRaisesRegex(ValueError, "no row nothing", rows.chosen_rows, "nothing")
        self.assertGreaterEqual(len(rows.default_rows()), 18)


class Judging(unittest.TestCase):
    """Figures from known samples."""

    def cells(self, measure, *samples):
        return results.medians(samples, measure)

    def test_median_and_means(self):
        cells = self.cells("time", *[sample("a", "glibc", ms, number=n) for n, ms in enumerate((9, 1, 2))])
        self.assertEqual(cells, {"a": {"glibc": 2.0}})
        self.assertAlmostEqual(results.geometric_mean([0.5, 8]), 2)
        self.assertTrue(math.isnan(results.geometric_mean([])))

    def verdicts(self, ours_ms, ours_mib, names=("mimalloc", "glibc"), hardened_ms=None):
        samples = []
        for row, factor in (("a", 1), ("b", 10)):
            samples += [sample(row, "mimalloc", 10 * factor), sample(row, "glibc", 20 * factor),
                        sample(row, "bareheap", ours_ms * factor, ours_mib)]
            if hardened_ms:
                samples.append(sample(row, "bareheap-harden", hardened_ms * factor))
        columns = [*names, "bareheap"] + (["bareheap-harden"] if hardened_ms else [])
        bars = results.judge(self.cells("time", *samples), self.cells("peak memory", *samples), columns, list(names))
        return [bar.passed for bar in bars]

    def test_bars(self):
        self.assertEqual(self.verdicts(10, 10), [True, True, True, True])
        self.assertEqual(self.verdicts(10.1, 10.1), [False, True, False, True])
        self.assertEqual(self.verdicts(20, 9), [False, False, True, False])
        self.assertEqual(self.verdicts(10, 10, hardened_ms=13)[-1], True)
        self.assertEqual(self.verdicts(10, 10, hardened_ms=13.1)[-1], False)

    def test_one_slow_row_is_named(self):
        time = self.cells("time", sample("a", "glibc", 10), sample("a", "bareheap", 5),
                          sample("slow", "glibc", 10), sample("slow", "bareheap", 13))
        bars = results.judge(time, time, ["glibc", "bareheap"], ["glibc"])
        self.assertEqual([bar.passed for bar in bars], [True, False])
        self.assertIn("(above: slow)", bars[-1].text)

    def test_no_bars_without_us(self):
        time = self.cells("time", sample("a", "glibc", 1))
        self.assertEqual(results.judge(time, time, ["glibc"], ["glibc"]), [])

    def test_table_shows_a_failure(self):
        cells = self.cells("time", sample("a", "glibc", 1), sample("a", "mimalloc", 2), sample("b", "mimalloc", 1))
        lines = results.table(cells, "time", ["glibc", "mimalloc"], ["glibc", "mimalloc"])
        self.assertEqual(lines[2].split(), ["b", "failed", "1.0"])
        self.assertIn("glibc 0.500", lines[-1])

    def test_chart_has_every_row_and_cuts_what_is_far(self):
        cells = self.cells("time", sample("a", "glibc", 400), sample("a", "mimalloc", 10),
                           sample("b", "glibc", 5), sample("b", "mimalloc", 10))
        text = chart.script([("time", cells), ("peak memory", cells)], ["glibc"], "out.svg", "title")
        self.assertIn("'a' 2, 'b' 1", text)
        self.assertIn('"40"', text)
        self.assertIn("0.5000 1.0000", text)


if __name__ == "__main__":
    sys.exit(unittests.run())
