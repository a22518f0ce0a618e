# SPDX-License-Identifier: MIT
"""
The rows and columns of tools/bench-gc: workloads of tests/bench-gc under ours, libgc and Go.

A column is a program that knows all workloads; a row is what it is told to do.
"""

import os
import subprocess
from dataclasses import dataclass, field

from benches import runner
from benches.allocators import OURS, package_version
from benches.inputs import ROOT
from benches.rows import TRACE_ROWS, TRACES

PROGRAMS = os.path.join(ROOT, "build", "host", "bench-gc")
PEERS = ("libgc", "go")


@dataclass
class Collector:
    name: str
    version: str = ""

    @property
    def program(self):
        return os.path.join(PROGRAMS, self.name)


@dataclass
class GCRow:
    name: str
    words: list = field(default_factory=list)


def rows():
    both = [GCRow(f"{name}-{count}", [name, f"threads={count}"]) for name in ("trees", "gcbench") for count in (1, 2)]
    graphs = [GCRow(f"graph-{count}", ["graph", "threads=1", f"markers={count}"]) for count in (1, 2)]
    single = [GCRow(name, [name, "threads=1"]) for name in
              ("arrays", "lists", "map", "storm", "storm-mixed", "finalizers", "fragments")]
    traces = [GCRow(f"trace-{name}", ["trace", "threads=1", "file=" + os.path.join(TRACES, name + ".bht")])
              for name in TRACE_ROWS]
    return both + graphs + single + traces


def chosen_rows(names):
    """The rows named "a,b"; a word ending in * stands for all that begin so. All without names."""
    found = []
    for word in names.split(",") if names else ["*"]:
        fitting = [row for row in rows() if row.name == word or (word.endswith("*") and row.name.startswith(word[:-1]))]
        if not fitting:
            raise ValueError(f"no row {word}; there are {' '.join(row.name for row in rows())}")
        found += [row for row in fitting if row not in found]
    return found


def go_version():
    try:
        return subprocess.run(["go", "version"], capture_output=True, text=True, check=True).stdout.split()[2][2:]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def chosen_collectors(peers):
    """(collectors, messages about those that are left out). Ours is the last."""
    names = peers.split(",") if peers else list(PEERS)
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise ValueError(f"no peer {' '.join(unknown)}; there are {' '.join(PEERS)}")
    versions = {"libgc": lambda: package_version("libgc1"), "go": go_version}
    found = [Collector(name, versions[name]()) for name in names] + [Collector(OURS)]
    there = [collector for collector in found if os.path.exists(collector.program)]
    return there, [f"{c.name}: build/host/bench-gc/{c.name} is not built" for c in found if c not in there]


def run(row, collector, number, plan):
    """One sample, for runner.run_all()."""
    return runner.run_workload(row, collector.name, number, plan, [collector.program, *row.words])
