# SPDX-License-Identifier: MIT
"""
The rows of the comparison: real programs, recorded traces, and the workloads of tests/bench.

A row is a command. A workload prints its time and its checksum; of a real program the time is that
from start to end, and the checksum that of its output.
"""

import os
import shutil
from dataclasses import dataclass, field

from benches.inputs import PROGRAMS, ROOT

WORKLOADS = os.path.join(ROOT, "build", "host", "bench", "workloads")
LAUNCH = os.path.join(ROOT, "build", "host", "bench", "launch")
STB = "/usr/include/stb/stb_truetype.h"
TRACES = os.path.join(ROOT, "tests", "traces")
# What programs see besides LD_PRELOAD: hashes in a fixed order, Python's objects from malloc.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONMALLOC": "malloc",
               "PYTHONHASHSEED": "0", "PERL_HASH_SEED": "0", "GIT_CONFIG_NOSYSTEM": "1",
               "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_PAGER": "cat"}


@dataclass
class Row:
    name: str
    kind: str  # "program", "trace", "single" or "threads"
    command: list
    outputs: list = field(default_factory=list)  # files that belong to a program's output
    needs: str = ""  # a path, from the folder of the inputs, without which it cannot run

    def missing(self, folder):
        """What this machine, with the inputs in `folder`, lacks for the row, or None."""
        if self.needs and not os.path.exists(os.path.join(folder, self.needs)):
            return f"{self.needs} is not there"
        if self.kind != "program":
            return None if os.path.exists(self.command[0]) else f"{self.command[0]} is not built"
        if not shutil.which(self.command[0], path=ENVIRONMENT["PATH"]):
            return f"{self.command[0]} is not installed"
        return None


def program(name, *command, outputs=(), needs=""):
    return Row(name, "program", list(command), list(outputs), needs)


def input_of(name):
    return os.path.join(PROGRAMS, name)


def programs():
    return [
        program("gcc", "gcc", "-O0", "-S", "-o", "truetype.s", "truetype.c", outputs=["truetype.s"], needs=STB),
        program("clang", "clang-14", "-O1", "-S", "-o", "truetype.s", "truetype.c", outputs=["truetype.s"], needs=STB),
        program("python3", "/usr/bin/python3", "-s", "-S", "-B", input_of("paragraphs.py"), "long"),
        program("perl", "perl", input_of("concordance.pl"), "short"),
        program("lua", "lua5.4", input_of("markov.lua"), "long"),
        program("sqlite3", "sqlite3", "-init", "/dev/null", ":memory:", ".read orders.sql"),
        program("git", "git", "-C", "repository", "log", "-p", "-M", "main", needs="repository"),
        program("node", "node", "buffers.js"),
    ]


# In the table's order. By default those traces run whose programs are no rows themselves.
TRACE_ROWS = ("gcc", "git", "gold", "lua", "perl", "python3", "redis", "sqlite3", "xz")
DEFAULT_TRACES = ("trace-git", "trace-gold", "trace-redis", "trace-gcc")
SINGLE_ROWS = ("loop", "lifo", "random", "slots", "sh6bench", "tree", "large", "realloc")
THREAD_ROWS = ("server", "churn", "ring", "xmalloc", "rptest", "mstress", "thrash", "scratch")


def traces():
    return [Row(f"trace-{name}", "trace", [WORKLOADS, "trace", "file=" + os.path.join(TRACES, name + ".bht")])
            for name in TRACE_ROWS]


def all_rows():
    return (programs() + traces() + [Row(name, "single", [WORKLOADS, name]) for name in SINGLE_ROWS]
            + [Row(name, "threads", [WORKLOADS, name]) for name in THREAD_ROWS])


def default_rows():
    return [row for row in all_rows() if row.kind != "trace" or row.name in DEFAULT_TRACES]


def chosen_rows(names):
    """The rows named "a,b"; a word ending in * stands for all that begin so. All usual ones without names."""
    if not names:
        return default_rows()
    rows = []
    for word in names.split(","):
        found = [row for row in all_rows()
                 if row.name == word or (word.endswith("*") and row.name.startswith(word[:-1]))]
        if not found:
            raise ValueError(f"no row {word}; there are {' '.join(row.name for row in all_rows())}")
        rows += [row for row in found if row not in rows]
    return rows
