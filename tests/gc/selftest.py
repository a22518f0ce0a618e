#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What the collector writes for people, and no test inside of an image sees: the leak report.

The case leaks_are_logged hides 200 manual objects of 16, 23, 30... bytes and asks for the three largest.
With BH_DEBUG the report names who allocated them; without, only where they are and how large. A word
that looks like a pointer may hide a few of them.

Ends with "N passed, N failed".
"""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from machines import MACHINES, ROOT  # noqa: E402

CASE = "leaks_are_logged"
LIMIT_S = 120
SIZES = range(16, 16 + 200 * 7, 7)
SHOWN = 3
LEAST = 184
LEAK = re.compile(r"bareheap: leak: 0x[0-9a-f]+, (\d+) bytes(.*)")
ORIGIN = re.compile(rf", from make_hidden\+0x[0-9a-f]+ < test_{CASE}\+0x[0-9a-f]+( < \w+\+0x[0-9a-f]+)*")
TOTAL = re.compile(r"bareheap: leaks: (\d+) manual objects, (\d+) bytes, that nothing refers to")

# A machine, a variant, whether it knows who allocated.
IMAGES = (("host", "", False), ("host", "asan-debug", True), ("qemu-x86_64", "debug", True), ("qemu-aarch64", "debug", True))

counts = {"passed": 0, "failed": 0}


def expect(ok, name, details=""):
    print(f"{'ok' if ok else 'not ok'} - {name}", flush=True)
    counts["passed" if ok else "failed"] += 1
    for line in details.splitlines() if not ok else ():
        print(f"    {line}")


def lines_of(machine, variant):
    """What the image has to say about leaks."""
    command = MACHINES[machine].command(MACHINES[machine].image("tests", variant), append=f"case={CASE}")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=LIMIT_S, check=False, encoding="utf-8", errors="replace", cwd=ROOT)
    return [line for line in done.stdout.splitlines() if line.startswith("bareheap: leak")]


def test_report(machine, variant, named):
    lines = lines_of(machine, variant)
    leaks = [match for match in map(LEAK.fullmatch, lines) if match]
    totals = [match for match in map(TOTAL.fullmatch, lines) if match]
    sizes = [int(leak[1]) for leak in leaks]
    title = f"{machine} {variant or 'plain'}"
    said = "\n".join(lines)
    expect(len(lines) == SHOWN + 1 and len(leaks) == SHOWN and len(totals) == 1,
           f"{title}: a line per leak that was asked for, and one of all", said)
    expect(sizes == sorted(sizes, reverse=True) and min(sizes, default=0) >= SIZES[LEAST - SHOWN]
           and (not named or all(size in SIZES for size in sizes)), f"{title}: the largest, as they were asked for", said)
    expect(all(ORIGIN.fullmatch(leak[2]) if named else leak[2] == "" for leak in leaks),
           f"{title}: {'who allocated them' if named else 'no more than that'}", said)
    expect(all(int(total[1]) >= LEAST and int(total[2]) >= sum(sizes) for total in totals), f"{title}: the sum", said)


def main():
    for image in IMAGES:
        test_report(*image)
    print(f"\n{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
