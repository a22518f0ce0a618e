#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Heap errors as the sanitizers report them. Ends with "N passed, N failed".

1. On the host each crime of test_crimes.c is a process of its own under AddressSanitizer. It must
   die of a report of a use after poison that has the crime's line in it: the one marked REPORTED.
2. The cases of test_ranges.c, which must end well, follow there.
3. On the boards the same image runs on a small KASAN (kasan.c), whose reports are expected panics:
   tests/harness/run judges that.

    tests/sanitize/selftest.py [host|boards]
"""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCE = "tests/sanitize/test_crimes.c"
IMAGE = "build/host-asan/sanitize.elf"
BOARDS = ["tests/harness/run", "--image", "sanitize", "--variant", "sanitize",
          "--board", "qemu-x86_64,qemu-aarch64", "--cores", "1"]


def crimes():
    """Name and marked line of each case of SOURCE."""
    found, name = {}, None
    with open(SOURCE, encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            if match := re.match(r"TEST_PANICS\((\w+)", line):
                name = match[1]
            elif "/* REPORTED */" in line:
                found[name] = number
    return found


def run_case(name):
    return subprocess.run(["./" + IMAGE, "cores=1", "mem=64M", f"case={name}"], capture_output=True, text=True,
                          errors="replace", timeout=120, check=False)


def fault_of_crime(name, line):
    """What is wrong with the report of a crime, or None."""
    result = run_case(name)
    output = result.stdout + result.stderr
    if "ERROR: AddressSanitizer: use-after-poison" not in output:
        return f"no report (exit status {result.returncode}):\n{output[-2000:]}"
    stack = re.findall(rf"^ +#\d+ .*?{re.escape(SOURCE)}:(\d+)", output, re.M)
    if str(line) not in stack[:1]:
        return f"the report does not name {SOURCE}:{line}, but {stack or 'no line of it'}:\n{output[:2000]}"
    return None if result.returncode else "a report, but exit status 0"


def fault_of_case(name):
    result = run_case(name)
    if result.returncode or "# END passed=1 failed=0" not in result.stdout:
        return f"exit status {result.returncode}:\n{(result.stdout + result.stderr)[-2000:]}"
    return None


def list_cases():
    result = subprocess.run(["./" + IMAGE, "cores=1", "list"], capture_output=True, text=True, check=True)
    return re.findall(r"^# case (\w+) alone ", result.stdout, re.M)


def run_host():
    """Returns (passed, failed)."""
    verdicts = []
    for name, line in crimes().items():
        verdicts.append((name, fault_of_crime(name, line)))
    for name in list_cases():
        verdicts.append((name, fault_of_case(name)))
    for name, fault in verdicts:
        print(f"{'not ok' if fault else 'ok'} - host asan {name}" + (f": {fault}" if fault else ""))
    failed = sum(fault is not None for _, fault in verdicts)
    return len(verdicts) - failed, failed


def run_boards():
    result = subprocess.run(BOARDS, capture_output=True, text=True, check=False)
    print(result.stdout + result.stderr, end="")
    counts = re.search(r"^(\d+) passed, (\d+) failed\s*\Z", result.stdout, re.M)
    return (int(counts[1]), int(counts[2])) if counts else (0, 1)


def main():
    os.chdir(ROOT)
    parts = {"host": run_host, "boards": run_boards}
    asked_for = sys.argv[1:] or list(parts)
    if any(part not in parts for part in asked_for):
        sys.exit(__doc__.strip())
    sums = [parts[part]() for part in asked_for]
    passed, failed = (sum(column) for column in zip(*sums))
    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
