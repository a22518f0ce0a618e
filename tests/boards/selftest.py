#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What the QEMU boards say at the end: boots scenarios.c once per scenario and reads the whole output.

1. A scenario names its core, the lines that must come, in this order, and the exit status.
2. Names that differ per CPU (a page fault is a data abort elsewhere) are in WORDS.
3. A report comes out once and whole: "exception:" and "panic:" are counted.

Ends with "N passed, N failed".
"""

import collections
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "harness"))
from machines import MACHINES  # noqa: E402

CORES = 4
TIMEOUT_S = 120  # finds hangs, measures nothing
INITRD = bytes(range(1, 250)) * 40

WORDS = {
    "qemu-x86_64": {
        "page fault": "page fault", "jump fault": "page fault", "high fault": "general protection fault",
        "trap": "invalid opcode", "read-only": "the page is read-only", "no code": "the page is not executable",
        "caller": "called from",
        "arguments": r"rdx +0xc1c2c3c4c5c6c7c8\n +rsi +0xb1b2b3b4b5b6b7b8 rdi +0xa1a2a3a4a5a6a7a8",
    },
    "qemu-aarch64": {
        "page fault": "data abort", "jump fault": "instruction abort", "high fault": "data abort",
        "trap": "BRK instruction", "read-only": "the page does not permit it", "no code": "the page does not permit it",
        "caller": "x30 is",
        "arguments": r"x0 +0xa1a2a3a4a5a6a7a8 x1 +0xb1b2b3b4b5b6b7b8 x2 +0xc1c2c3c4c5c6c7c8",
    },
}
CHAIN = r"  #\d .* jobs_idle\+"
OVERFLOW = ("exception: stack overflow on core {core}$", "write to 0x{x}: the guard of a stack", "at 0x{x}, dive",
            "  #0 .* dive")
QUIET = ("survived",)

# core, lines, passes (or not), machines (all without)
Scenario = collections.namedtuple("Scenario", "core lines passes machines", defaults=(False, ()))
SCENARIOS = {
    "null_read": Scenario(0, ("exception: {page fault} on core 0$",
                              "read from 0x10: a null pointer, or a small offset from one", "at 0x{x}, read_at",
                              "{arguments}", r"  #\d .* board_main")),
    "null_write": Scenario(3, ("exception: {page fault} on core 3$", "write to 0x10: a null pointer", "at 0x{x}, write_at",
                               CHAIN)),
    "null_jump": Scenario(1, ("exception: {jump fault} on core 1$", "jump to 0x10: a null pointer", "at 0x10$",
                              "{caller} 0x{x}, jump_to")),
    "wild_read": Scenario(2, ("exception: {page fault} on core 2$", "read from 0x7f0000001230: nothing is mapped there",
                              "{arguments}")),
    "high_read": Scenario(0, ("exception: {high fault} on core 0$", "at 0x{x}, read_at", "{arguments}")),
    "code_write": Scenario(0, ("exception: {page fault} on core 0$", "write to 0x{x}: {read-only}")),
    "data_jump": Scenario(0, ("exception: {jump fault} on core 0$", "jump to 0x{x}: {no code}", "{caller} 0x{x}, jump_to")),
    "divide": Scenario(1, ("exception: divide error on core 1$", "at 0x{x}, divide"), machines=("qemu-x86_64",)),
    "trap": Scenario(1, ("exception: {trap} on core 1$", "at 0x{x}, trap", CHAIN)),
    "overflow": Scenario(0, OVERFLOW),
    "overflow_in_handler": Scenario(2, OVERFLOW),
    "guard_above": Scenario(0, ("exception: {page fault} on core 0$", "read from 0x{x}: the guard of a stack")),
    "guard_of_core_0": Scenario(3, ("exception: {page fault} on core 3$", "read from 0x{x}: the guard of a stack")),
    "nested": Scenario(0, (r"board: a second exception \({page fault}\) inside the report of the first$",)),
    "panic": Scenario(3, ("bareheap: panic: on purpose, for the 1st time$", "backtrace of core 3:", "  #0 .* panic")),
    "all_at_once": Scenario(0, (r"exception: {page fault} on core \d$", "write to 0x10", "at 0x{x}, write_at")),
    "second_panic_is_quiet": Scenario(0, QUIET, True),
}


def expected(lines, machine, core):
    """The regular expressions of a scenario for one machine, in the order in which they must match."""
    words = {**WORDS[machine.board], "core": core, "x": "[0-9a-f]+"}
    return [re.sub(r"\{([a-z][^{}]*)\}", lambda match: str(words[match[1]]), line) for line in lines]


def run(machine, name, core, *extra):
    """Boots one scenario. Returns its lines and the exit status, which is None for a hang."""
    command = machine.command(machine.image("boards", "debug"), CORES, 128, f"scenario={name} core={core}", extra=extra)
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as hung:
        return (hung.stdout or b"").decode("utf-8", "replace").splitlines(), None
    return result.stdout.decode("utf-8", "replace").splitlines(), result.returncode


def complaints(lines, patterns, status, wanted_status):
    """What is wrong with the output and the status of a boot."""
    found = []
    if status != wanted_status:
        found.append("it hung" if status is None else f"exit status {status}, not {wanted_status}")
    at = 0
    text = "\n".join(lines)
    for pattern in patterns:
        match = re.compile(pattern, re.M).search(text, at)
        if match:
            at = match.end()
        else:
            found.append(f"missing from here on: {pattern}")
    reports = sum(line.startswith(("exception:", "bareheap: panic:")) for line in lines)
    if reports > 1:
        found.append(f"{reports} reports")
    return found


def check(machine, name):
    """One scenario on one machine: its title, what it printed, what is wrong with that."""
    scenario = SCENARIOS[name]
    lines, status = run(machine, name, scenario.core)
    patterns = expected(scenario.lines, machine, scenario.core)
    wanted_status = machine.pass_status if scenario.passes else machine.fail_status
    return f"{machine.name} {name}", lines, complaints(lines, patterns, status, wanted_status)


def check_initrd(machine, content):
    """The file given with -initrd reaches the image; without one it is told that there is none."""
    total = 0
    for byte in content:
        total = (total * 31 + byte) % 2**64
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        lines, status = run(machine, "initrd", 0, *(("-initrd", file.name) if content else ()))
    pattern = f"initrd: {len(content)} bytes, sum {total % 1000000007}$"
    return (f"{machine.name} initrd of {len(content)} bytes", lines,
            complaints(lines, [pattern, "survived"], status, machine.pass_status))


def tasks():
    for machine in (MACHINES["qemu-x86_64"], MACHINES["qemu-aarch64"]):
        for name, scenario in SCENARIOS.items():
            if not scenario.machines or machine.name in scenario.machines:
                yield check, machine, name
    # QEMU loads an initrd beside a raw image (that is what Linux is), not beside an ELF file.
    for machine in (MACHINES["qemu-x86_64"], MACHINES["qemu-aarch64-raw"]):
        yield check_initrd, machine, INITRD
        yield check_initrd, machine, b""


def main():
    os.chdir(ROOT)
    failed = 0
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(*task) for task in tasks()]
        for result in results:
            title, lines, found = result.result()
            failed += bool(found)
            print(f"{'not ok' if found else 'ok'} - {title}", flush=True)
            for line in [*found, *lines] if found else ():
                print(f"    {line}")
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
