# SPDX-License-Identifier: MIT
"""
One boot of the replay image: a trace, a mode, a machine. Starts it, follows what it prints, and
comes to a verdict. Used by tools/run and by tests/replay/selftest.

What the image prints (tests/replay/report.c), and what this file makes of it:

    @progress DONE TOTAL        events
    @error TEXT                 something is wrong
    @result NAME=VALUE ...      figures; several lines make one result
    @end pass|fail              the end marker

A boot passes when it was run and judged, and all of these agree: the end marker says so, the exit
status does, no error was printed or counted, the result is there, and its figures show that the
work was done. A reset, a crash, a silent exit, or a boot that nobody came to run never passes.
"""

import collections
import os
import re
import statistics
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "harness"))
from machines import MACHINES, ROOT  # noqa: E402,F401

TEXTS = ("trace", "mode", "board")  # the figures of a result that are no numbers
KEPT_LINES = 40  # of what the image said besides, for the report of a failure
# The most that the heap may take over the live objects, each at its peak. With a collector the heap
# may double before the next cycle; with cells and garbage, good runs came to 210 % (README.md). Below
# OVERHEAD_FROM_BYTES of live objects the heap is mostly the first pages of each size class, and the
# collector's minimum.
OVERHEAD_PERCENT = {"alloc": 35, "gc": 300}
OVERHEAD_FROM_BYTES = {"alloc": 1 << 20, "gc": 2 << 20}
MEAN_RATIO = 1.15  # in mode alloc, over all traces: the most for peak heap / peak live, geometric mean
FORCED_COLLECTIONS = 4  # that every replay in mode gc ends with


def threads_of(file):
    """The threads of a trace, from its header (tools/trace-format.md)."""
    with open(file, "rb") as trace:
        return int.from_bytes(trace.read(20)[16:20], "little")


def weight_of(file, mode, cores):
    """About how long a replay takes, compared with others: collections take most, and more so where
    several cores have to meet for each."""
    weight = os.path.getsize(file) * (2 if cores > 1 else 1)
    if mode == "gc":
        weight *= 15 if threads_of(file) > 1 else 3
    return weight


class Boot:
    """What is to be run, and later what came of it. Written by the thread that runs it."""

    def __init__(self, machine, trace, mode, cores=4, weight=1):
        self.machine = MACHINES[machine]
        self.trace = trace
        self.mode = mode
        self.cores = cores
        self.weight = weight  # how long it takes, compared with others
        self.done = 0.0  # share of the events
        self.figures = {}
        self.errors = []
        self.judged = False
        self.lines = []  # other output, the last
        self.end = ""
        self.seconds = 0.0
        self.command = []
        self.child = None
        self.heard = 0.0  # when the last line came
        self.hung = False

    def title(self):
        return f"{self.trace} {self.mode} {self.machine.name} {self.cores}"

    def columns(self):
        """The title, such that several stand under one another."""
        return f"{self.trace:8} {self.mode:5} {self.machine.name:12} {self.cores:2} core{'s' if self.cores > 1 else ' '}"

    def figure(self, name):
        return self.figures.get(name, 0)

    def overhead_percent(self):
        """Heap over live objects at their peaks; None when there is none to speak of."""
        live = self.figure("peak_live")
        return 100.0 * (self.figure("peak_heap") / live - 1) if live else None

    def passed(self):
        return self.judged and not self.errors

    # ---- while it runs ----

    def take(self, line):
        try:
            self.take_words(line, line.split())
        except ValueError:
            self.errors.append(f"printed a line that cannot be read: {line}")

    def take_words(self, line, words):
        if line.startswith("@progress ") and len(words) == 3:
            self.done = int(words[1]) / max(1, int(words[2]))
        elif line.startswith("@error "):
            self.errors.append(line[len("@error "):])
        elif line.startswith("@result "):
            figures = re.findall(r"(\w+)=(\S+)", line)
            self.figures.update((name, int(value)) for name, value in figures if name not in TEXTS)
        elif line.startswith("@end "):
            self.end = words[-1]
        elif line and not line.startswith("hd "):  # a heap dump's would be all that is left
            self.lines = (self.lines + [line])[-KEPT_LINES:]

    def run(self, command, on_line=None):
        """Runs to the end and judges. on_line(boot, line) sees every line."""
        self.heard = time.monotonic()
        self.command = command
        try:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                          stderr=subprocess.STDOUT)
        except OSError as error:
            self.errors.append(f"cannot start {command[0]}: {error.strerror}")
            return
        for raw in self.child.stdout:
            self.heard = time.monotonic()
            line = raw.decode("utf-8", "replace").strip("\r\n")
            self.take(line)
            if on_line:
                on_line(self, line)
        self.judge(self.child.wait())

    def kill_if_silent(self, seconds):
        """Called from another thread: ends a boot that has not said anything for so long."""
        child = self.child
        if child and child.poll() is None and time.monotonic() - self.heard > seconds:
            self.hung = True
            child.kill()

    def kill(self):
        if self.child and self.child.poll() is None:
            self.child.kill()

    # ---- the verdict ----

    def judge(self, status):
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        expected = self.machine.pass_status if self.end == "pass" else self.machine.fail_status
        if self.hung:
            self.errors.append("it said nothing for too long: taken for hung and killed")
        elif not self.end:
            self.errors.append(f"no end marker: the machine reset, crashed or panicked ({how})")
        elif status != expected:
            self.errors.append(f"{how}, where {expected} was to be expected")
        elif self.end == "fail" and not self.errors:
            self.errors.append("the image says that it failed, and no more")
        elif not self.figures and not self.errors:
            self.errors.append("no result was printed")
        if self.end == "pass" and self.figures:
            self.judge_work()
        self.judge_overhead()
        self.judged = True

    def judge_work(self):
        """An image that did nothing has found nothing wrong: the figures must say what it did."""
        births = self.figure("births")
        demands = [(self.figure("errors") == 0, "it counted errors that it did not print"),
                   (self.figure("checked") >= births > 0, "not every object's contents were checked")]
        if self.mode == "gc":
            demands += [(self.figure("forced") >= FORCED_COLLECTIONS,
                         f"fewer than {FORCED_COLLECTIONS} collections were forced"),
                        (self.figure("settled") >= self.figure("dropped") >= births,
                         "not every object was dropped and outlived by two collections")]
        shown = " ".join(f"{name}={self.figure(name)}"
                         for name in ("births", "checked", "forced", "dropped", "settled", "errors"))
        self.errors += [f"{text} ({shown})" for met, text in demands if not met]

    def judge_overhead(self):
        if self.figure("red_zones") and self.mode == "alloc":
            return  # a debug build, or one for a sanitizer: every object is larger than was asked for
        if self.figure("abandoned"):
            return  # a core did not stop in time, no cycle was tried for a while, and the heap grew
        overhead, bar = self.overhead_percent(), OVERHEAD_PERCENT[self.mode]
        if overhead and overhead >= bar and self.figure("peak_live") >= OVERHEAD_FROM_BYTES[self.mode]:
            self.errors.append(f"the heap took {overhead:.1f} % more than the live objects at their peak; "
                               f"the bar in mode {self.mode} is {bar} %")


def worst_means(boots, traces):
    """{board: (mean, cores)}: the geometric mean of peak heap / peak live in mode alloc, for the number of
    cores where it is highest. Of boards that have replayed all of `traces`, with any number of cores."""
    ratios = collections.defaultdict(dict)  # (board, cores) -> trace -> ratio
    for boot in boots:
        if boot.mode == "alloc" and boot.figure("peak_live") and not boot.figure("red_zones"):
            ratio = boot.figure("peak_heap") / boot.figure("peak_live")
            ratios[boot.machine.name, boot.cores][boot.trace] = ratio
    worst = {}
    for (board, cores), of_trace in ratios.items():
        if set(traces) <= set(of_trace):
            mean = statistics.geometric_mean(of_trace[trace] for trace in traces)
            worst[board] = max(worst.get(board, (0, 0)), (mean, cores))
    return worst


def run_to_verdict(boot, command_of, on_line, on_end):
    """Whatever goes wrong on this side of the machine fails this boot, and the next ones get their turn."""
    started = time.monotonic()
    try:
        boot.run(command_of(boot), on_line)
    except Exception as error:
        boot.errors.append(f"it could not be run and judged: {error!r}")
        boot.kill()
    boot.seconds = time.monotonic() - started
    if on_end:
        on_end(boot)


def run_boots(boots, command_of, jobs=2, silence=120, on_line=None, on_end=None):
    """
    Runs all boots, `jobs` at a time, in this order; command_of(boot) is the argument vector.
    on_line(boot, line) and on_end(boot) are called on the thread of the boot. Only children that
    were started here are ever killed.
    """
    waiting = list(boots)
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                if not waiting:
                    return
                boot = waiting.pop(0)
            run_to_verdict(boot, command_of, on_line, on_end)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            threads[0].join(0.2)
            time.sleep(0.05 if threads[0].is_alive() else 0.2)
            for boot in boots:
                boot.kill_if_silent(silence)
    except BaseException:
        waiting.clear()
        for boot in boots:
            boot.kill()
        raise
    for boot in boots:
        if not boot.judged and not boot.errors:
            boot.errors.append("it was not run to its end")
