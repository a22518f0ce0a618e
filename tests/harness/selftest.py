#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Tests of the harness itself: does it see what goes wrong?

1. Images that are shell scripts, printing what an image, or a machine that resets, would print.
2. The selftest image (tests/harness/selftest/cases.c) on every board, a case at a time.
3. The runner as a program: last line, exit status, the command to repeat a failure.

Ends with "N passed, N failed".
"""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from boot import run_boot  # noqa: E402
from machines import MACHINES, ROOT  # noqa: E402

GOOD = "echo 1..1; echo '# run a'; echo 'ok 1 - a # time=1ms'; echo '# END passed=1 failed=0 skipped=0'; "
BAD = ("echo 1..2; echo '# run a'; echo '# a.c:1: expected x'; echo 'not ok 1 - a'; echo '# run b'; "
       "echo 'ok 2 - b'; echo '# END passed=1 failed=1 skipped=0'; ")

# What is printed, on which machine; the cases that must have failed, and a text in the report.
SCRIPTS = (
    ("good", "host", GOOD + "exit 0", [], ""),
    ("good status of x86-64", "qemu-x86_64", GOOD + "exit 33", [], ""),
    ("carriage returns", "host", "printf '1..1\\r\\n# run a\\r\\nok 1 - a\\r\\n# END passed=1 failed=0 skipped=0\\r\\n'", [], ""),
    ("a skip", "host", "echo 1..1; echo 'ok 1 - a # SKIP x'; echo '# END passed=0 failed=0 skipped=1'", [], ""),
    ("a failed case", "host", BAD + "exit 1", ["a"], "expected x"),
    ("failed, but a good status", "host", BAD + "exit 0", ["a", "(boot)"], "exit status 0"),
    ("passed, but a bad status", "host", GOOD + "exit 1", ["(boot)"], "exit status 1"),
    ("reset: triple fault ends QEMU with 0", "qemu-x86_64", GOOD + "exit 0", ["(boot)"], "exit status 0"),
    ("reset in the middle", "qemu-x86_64", "echo 1..2; echo '# run a'; exit 0", ["a"], "no end marker"),
    ("reset, where 0 is the good status", "qemu-aarch64", "echo 1..1; echo '# run a'; exit 0", ["a"], "no end marker"),
    ("silent exit", "host", "exit 0", ["(boot)"], "no plan"),
    ("killed by a signal", "host", "echo 1..1; echo '# run a'; kill -9 $$", ["a"], "signal 9"),
    ("a case less than planned", "host", GOOD.replace("1..1", "1..2") + "exit 0", ["(boot)"], "the plan was 2"),
    ("wrong counts", "host", GOOD.replace("passed=1", "passed=2") + "exit 0", ["(boot)"], "the end marker says"),
    ("hang", "host", "echo 1..1; echo '# run a'; echo last words; exec sleep 60", ["a"], "taken for hung"),
    ("hang before the first line", "host", "exec sleep 60", ["(boot)"], "taken for hung"),
    ("a report by a sanitizer", "host",
     "echo 1..2; echo '# run a'; echo 'WARNING: ThreadSanitizer: data race'; echo 'ok 1 - a'; echo '# run b'; "
     "echo 'ok 2 - b'; echo '# END passed=2 failed=0 skipped=0'; exit 66", ["a"], "data race"),
    ("panic before the first case", "host",
     "echo 1..1; echo '# panic outside of any case: x'; echo '# END passed=0 failed=1 skipped=0'; exit 1",
     ["(boot)"], "outside of any case"),
)

# The runner, where no boot can be run to a verdict.
BROKEN_RUNNER = """
import runpy, sys
main = runpy.run_path("tests/harness/run")["main"]
main.__globals__["run_boot"] = lambda *_: 1 / 0
sys.argv = "run --image selftest --board host --variant debug --cores 1,2,3".split()
sys.exit(main())
"""

BOARDS = (("host", 4), ("qemu-x86_64", 4), ("qemu-aarch64", 4))

# A glob of the selftest image; the cases that must have failed, and a text in the report.
CASES = (
    ("good_*", [], ""),
    ("good_panic", [], ""),
    ("good_fault", [], ""),
    ("good_alone", [], ""),
    ("bad_expectation", ["bad_expectation"], "expected 6 * 7 == 54, but 42 (0x2a) is not 54"),
    ("bad_requirement", ["bad_requirement"], "expected board_cores() == 0"),
    ("bad_on_last_core", ["bad_on_last_core"], "core 3: expected"),
    ("bad_panic", ["bad_panic"], "nobody expects this"),
    ("bad_hang", ["bad_hang"], "taken for hung"),
    ("bad_exit", ["bad_exit"], "no end marker"),
    ("bad_then_panic", ["bad_then_panic"], "expected 6 * 7 == 54"),
    ("bad_panic_text", ["bad_panic_text"], "expected: selftest: one thing"),
    ("bad_fault_elsewhere", ["bad_fault_elsewhere"], ", not at 0x10"),
    ("bad_fault_unsaid", ["bad_fault_unsaid"], "expected: fault at the address given"),
    ("bad_fault_of_another_kind", ["bad_fault_of_another_kind"], ", not at 0x0"),
    ("bad_no_panic", ["bad_no_panic"], "should have panicked"),
)


class Score:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, problem):
        if problem:
            self.failed += 1
            print(f"not ok: {name}: {problem}", flush=True)
        else:
            self.passed += 1


def judge(result, expected, text):
    """What is not as expected about a Result, or None."""
    failed = [case for case, _ in result.failed]
    report = "\n".join(line for _, lines in result.failed for line in lines)
    if failed != expected:
        return f"failed cases are {failed}, expected {expected}: {report}"
    if text not in report:
        return f"the report lacks {text!r}: {report}"
    return None


def image_command(board, cores, append):
    machine = MACHINES[board]
    return machine.command(machine.image("selftest", "debug"), cores, 128, append)


def check_images(score):
    for board, cores in BOARDS:
        for glob, expected, text in CASES:
            timeout = 6 if "hang" in glob else 60
            result = run_boot(image_command(board, cores, f"case={glob} seed=1"), MACHINES[board], timeout)
            score.check(f"{board} {glob}", judge(result, expected, text))
        result = run_boot(image_command(board, cores, "case=good_p* seed=1"), MACHINES[board], 60)
        score.check(f"{board}: a panic case is announced", None if result.alone == [("good_panic", "panics")] else result.alone)
        result = run_boot(image_command(board, cores, "case=bad_*n* seed=1"), MACHINES[board], 60)
        score.check(f"{board}: a panic leaves the rest not run",
                    None if "bad_hang" in result.not_run else result.not_run)


def random_line(board, seed, glob):
    output = subprocess.run(image_command(board, 1, f"case={glob} seed={seed}"), capture_output=True,
                            text=True, timeout=60, check=False).stdout
    return re.findall(r"# random (\w+)", output)


def check_seeds(score):
    first = random_line("host", 7, "good_random")
    score.check("a seed repeats its numbers, among other cases too",
                None if first and first == random_line("host", 7, "good_*") else "other numbers")
    score.check("another seed has others", None if first != random_line("host", 8, "good_random") else "the same")
    score.check("the boards agree", None if first == random_line("qemu-x86_64", 7, "good_random") else "they differ")


def run_runner(*options):
    return subprocess.run([sys.executable, "tests/harness/run", "--image", "selftest", "--board", "host",
                           "--variant", "debug", "--cores", "2", *options],
                          capture_output=True, text=True, timeout=120, check=False)


def check_runner(score):
    good = run_runner("--case", "good_*", "--slowest", "2")
    last = good.stdout.splitlines()[-1:]
    score.check("runner: good run", None if good.returncode == 0 and last == ["7 passed, 0 failed"] else good.stdout)
    slowest = re.findall(r"^ +([\d.]+) s  good_\w+ on host debug 2 cores$", good.stdout, re.M)
    score.check("runner: the slowest cases",
                None if len(slowest) == 2 and float(slowest[0]) >= float(slowest[1]) else good.stdout)
    bad = run_runner("--case", "bad_ex*", "--seed", "5")
    last = bad.stdout.splitlines()[-1:]
    score.check("runner: bad run", None if bad.returncode == 1 and last and last[0].endswith("2 failed") or
                (bad.returncode == 1 and last == ["0 passed, 1 failed"]) else bad.stdout)
    score.check("runner: the command to repeat it",
                None if "--seed 5 --verbose --case bad_expectation" in bad.stdout else bad.stdout)
    nothing = run_runner("--case", "no_such_case")
    score.check("runner: no case at all is no success", None if nothing.returncode != 0 else nothing.stdout)
    broken = subprocess.run([sys.executable, "-B", "-c", BROKEN_RUNNER], capture_output=True, text=True, timeout=60,
                            check=False)
    score.check("runner: a boot that it cannot judge has failed",
                None if broken.returncode == 1 and "0 passed, 3 failed" in broken.stdout and
                "ZeroDivisionError" in broken.stdout else broken.stdout + broken.stderr)
    missing = run_runner("--image", "no_such_image")
    score.check("runner: a missing image is named", None if "no build/" in missing.stderr else missing.stderr)


def main():
    os.chdir(ROOT)
    score = Score()
    for name, machine, script, expected, text in SCRIPTS:
        result = run_boot(["sh", "-c", script], MACHINES[machine], timeout=1.5)
        score.check(f"script: {name}", judge(result, expected, text))
    result = run_boot(["./no-such-program"], MACHINES["host"], timeout=5)
    score.check("script: none", judge(result, ["(boot)"], "cannot start"))
    if "--scripts" not in sys.argv:
        check_images(score)
        check_seeds(score)
        check_runner(score)
    print(f"{score.passed} passed, {score.failed} failed")
    return 1 if score.failed else 0


if __name__ == "__main__":
    sys.exit(main())
