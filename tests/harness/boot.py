# SPDX-License-Identifier: MIT
"""
One boot: starts the machine, follows what it prints, and comes to a verdict.

What an image prints, and what this file makes of it:

    1..N                        the plan: N verdicts are to come
    # alone NAME KIND           a case that wants a boot of its own: "panics" or "alone"
    # run NAME                  NAME runs from here on
    ok M - NAME ...             NAME has passed ("# SKIP reason": was skipped)
    not ok M - NAME ...         NAME has failed
    # not-run NAME              the image ends before NAME's turn
    # END passed=.. failed=.. skipped=..     the end marker

Everything else between "# run" and the verdict is what the case had to say, and is kept for the
report if it fails. The verdict of a boot needs all four: a plan that is kept, the end marker, counts in
it that agree, and the exit status that goes with them. Where one is missing although no case has
failed, the case that ran at the end has; or, if none ran, a case called "(boot)".
"""

import re
import subprocess
import threading
import time

KEPT_LINES = 60  # of what a failed case printed, the last


REPORT = re.compile("WARNING: ThreadSanitizer|ERROR: AddressSanitizer|runtime error:")


class Result:
    """What a boot came to. `failed` and the rest hold case names; see run_boot()."""

    def __init__(self):
        self.passed = 0
        self.skipped = 0
        self.failed = []  # (case, lines it printed)
        self.not_run = []
        self.alone = []  # (case, kind)
        self.times = []  # (milliseconds, case), as the image measured them
        self.seconds = 0.0


class Console:
    """Reads the console line by line and keeps the score."""

    def __init__(self):
        self.result = Result()
        self.plan = None
        self.end = None
        self.case = None
        self.lines = []
        self.report = []  # the first report of a sanitizer
        self.report_case = None

    def take(self, line):
        words = line.split()
        if re.fullmatch(r"1\.\.\d+", line):
            self.plan = int(line[3:])
        elif line.startswith("# alone ") and len(words) == 4:
            self.result.alone.append((words[2], words[3]))
        elif line.startswith("# run ") and len(words) == 3:
            self.case, self.lines = words[2], []
        elif line.startswith("# not-run ") and len(words) == 3:
            self.result.not_run.append(words[2])
        elif line.startswith("# END "):
            self.end = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)}
        elif (verdict := re.match(r"(not )?ok \d+ - (\S+)(.*)", line)):
            self.take_verdict(verdict[1], verdict[2], verdict[3])
        else:
            self.lines = (self.lines + [line])[-KEPT_LINES:]
            self.take_report(line)

    def take_verdict(self, failed, name, rest):
        if failed:
            self.result.failed.append((name, self.lines))
        elif "# SKIP" in rest:
            self.result.skipped += 1
        else:
            self.result.passed += 1
        if time_text := re.search(r"# time=(\d+)ms", rest):
            self.result.times.append((int(time_text[1]), name))
        self.case, self.lines = None, []

    def take_report(self, line):
        """A sanitizer's report does not end the case that it is about; it shows in the exit status."""
        if not self.report and REPORT.search(line):
            self.report_case = self.case
            self.report = [line]
        elif self.report and len(self.report) < KEPT_LINES and self.case == self.report_case:
            self.report.append(line)

    def what_is_wrong(self):
        """What is missing in the output as a whole, or None."""
        result = self.result
        verdicts = result.passed + len(result.failed) + result.skipped
        if self.plan is None:
            return "no plan (1..N) was printed: the image did not reach board_main()"
        if self.end is None:
            return "no end marker: the machine reset, crashed or was left before the image had ended"
        counts = {"passed": result.passed, "failed": len(result.failed), "skipped": result.skipped}
        if self.end != counts and not (verdicts == 0 and self.end.get("failed")):
            return f"the end marker says {self.end}, the lines say {counts}"
        if verdicts + len(result.not_run) != self.plan:
            return f"the plan was {self.plan} cases, {verdicts} came"
        if self.end.get("failed") and not result.failed:
            return "the image failed outside of any case"
        return None


def read_console(child, console, verbose, heard):
    """Feeds `console` until the child closes its output; heard[0] is when a line last came."""
    for raw in child.stdout:
        heard[0] = time.monotonic()
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if verbose:
            print(line, flush=True)
        console.take(line)


def wait_for(child, reader, timeout, heard):
    """Waits for the child's end; kills it after `timeout` seconds without a line. True when it hung."""
    while True:
        try:
            child.wait(0.05 if time.monotonic() - heard[0] < 1 else 0.5)
            break
        except subprocess.TimeoutExpired:
            if time.monotonic() - heard[0] > timeout:
                child.kill()
                child.wait()
                reader.join(5)
                return True
    reader.join(5)
    return False


def run_boot(command, machine, timeout, verbose=False, children=None):
    """Runs one boot to its end and returns the Result."""
    started = time.monotonic()
    heard = [started]
    console = Console()
    children = set() if children is None else children
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
    except OSError as error:
        console.result.failed.append(("(boot)", [f"cannot start {command[0]}: {error.strerror}"]))
        return console.result
    children.add(child)
    reader = threading.Thread(target=read_console, args=(child, console, verbose, heard), daemon=True)
    reader.start()
    hung = wait_for(child, reader, timeout, heard)
    children.discard(child)
    add_boot_failure(console, machine, child.returncode, timeout if hung else None)
    console.result.seconds = time.monotonic() - started
    return console.result


def status_text(status):
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def add_boot_failure(console, machine, status, hung_after):
    """Adds the failure of the boot as a whole, where there is one, to the case that it hit."""
    result = console.result
    wrong = console.what_is_wrong()
    expected = machine.fail_status if result.failed or wrong else machine.pass_status
    if hung_after is not None:
        wrong = f"silent for {hung_after:g} s: taken for hung and killed"
    elif wrong:
        wrong = f"{wrong} ({status_text(status)})"
    elif status != expected:
        wrong = f"{status_text(status)}, where {expected} was to be expected"
    if not wrong:
        return
    done = result.passed + len(result.failed) + result.skipped
    if console.plan is not None and not result.not_run:
        missing = console.plan - done - (1 if console.case else 0)
        result.not_run = ["?"] * max(0, missing)
    case = console.case or console.report_case or "(boot)"
    result.failed.append((case, (console.lines if console.case else console.report or console.lines) + [wrong]))
