# SPDX-License-Identifier: MIT
"""
Runs one row with one allocator, and all of them in turn.

1. tests/bench/launch.c starts the program, so that its peak memory is its own (see there).
2. A round runs each row with every allocator, one after the other, before the next row; the allocator
   that begins moves on by one with each row and round, so that no one always runs on a warm machine.
3. What a run printed or wrote must be the same under all allocators: its checksum.

What went wrong in a run ends that run, not the comparison: it is counted, shown and remembered.
"""

import hashlib
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field

from benches.rows import ENVIRONMENT, LAUNCH

TIMEOUT_SECONDS = 120


class RunError(Exception):
    """A run that did not do its work; the text says which, and why."""


@dataclass
class Sample:
    row: str
    allocator: str
    round: int
    time_ns: int  # the workload's own, or from start to end
    user_us: int
    system_us: int
    peak_kib: int
    checksum: str
    more: dict = field(default_factory=dict)  # what else a workload printed: {name: number}

    @property
    def cpu_ns(self):
        return (self.user_us + self.system_us) * 1000


@dataclass
class Plan:
    rows: list
    allocators: list
    rounds: int
    folder: str  # of the inputs; programs run in it
    options: list = field(default_factory=list)  # of the workloads: "effort=10"

    def order(self):
        """(round, row, allocator) in the order in which they run."""
        for number in range(self.rounds):
            for place, row in enumerate(self.rows):
                first = (number + place) % len(self.allocators)
                for allocator in self.allocators[first:] + self.allocators[:first]:
                    yield number, row, allocator


def end_group(child):
    """The program and all its children; they are a process group of their own."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def start_and_wait(command, folder, output):
    child = subprocess.Popen(command, cwd=folder, env=dict(ENVIRONMENT, HOME=folder), stdin=subprocess.DEVNULL,
                             stdout=output, stderr=subprocess.PIPE, start_new_session=True)
    try:
        return child.communicate(timeout=TIMEOUT_SECONDS)[1].decode(errors="replace").strip()
    except subprocess.TimeoutExpired:
        raise RunError(f"no end within {TIMEOUT_SECONDS} s") from None
    finally:
        end_group(child)


def digest_of(paths):
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:16]


def read_usage(path, complaint):
    try:
        with open(path, encoding="ascii") as file:
            usage = [int(word) for word in file.read().split()]
    except OSError:
        raise RunError(f"could not be started: {complaint}") from None
    if usage[-1] != 0:
        raise RunError(f"status {usage[-1]}: {complaint[-300:]}")
    return usage


def launch(command, library, plan, outputs=()):
    """Runs the command with the library preloaded: (its usage, the file with what it printed)."""
    output, usage_file = (os.path.join(plan.folder, name) for name in ("output", "usage"))
    for path in [usage_file, *outputs]:
        if os.path.exists(path):
            os.unlink(path)
    with open(output, "wb") as file:
        complaint = start_and_wait([LAUNCH, usage_file, library, *command], plan.folder, file)
    return read_usage(usage_file, complaint), output


def run_program(row, allocator, number, plan):
    outputs = [os.path.join(plan.folder, name) for name in row.outputs]
    (wall_ns, user_us, system_us, peak_kib, _), output = launch(row.command, allocator.library, plan, outputs)
    return Sample(row.name, allocator.name, number, wall_ns, user_us, system_us, peak_kib, digest_of([output, *outputs]))


def run_workload(row, name, number, plan, command, library=""):
    """A program that prints a line of name=number, time_ns and checksum among them."""
    (_, user_us, system_us, peak_kib, _), output = launch([*command, *plan.options], library, plan)
    with open(output, encoding="utf-8", errors="replace") as file:
        said = re.search(r"^time_ns=\d+ checksum=\d+( \w+=\d+)*$", file.read(), re.M)
    if not said:
        raise RunError("did not print its time and checksum")
    more = dict(word.split("=") for word in said[0].split())
    time_ns, checksum = int(more.pop("time_ns")), more.pop("checksum")
    return Sample(row.name, name, number, time_ns, user_us, system_us, peak_kib, checksum,
                  {key: int(value) for key, value in more.items()})


def run_once(row, allocator, number, plan):
    if row.kind == "program":
        return run_program(row, allocator, number, plan)
    return run_workload(row, allocator.name, number, plan, row.command, allocator.library)


def wrong_checksum(sample, checksums):
    """The first sample of a row says what the others must be."""
    first = checksums.setdefault(sample.row, sample)
    if first.checksum == sample.checksum:
        return ""
    return f"its result is {sample.checksum}, but {first.checksum} with {first.allocator}"


def run_all(plan, show, run=run_once):
    """All samples, and the errors as {(row, allocator): text}. `show(done, total, row, text)` after each run.
    `run(row, allocator, round, plan)` gives a sample."""
    samples, errors, checksums = [], {}, {}
    order = list(plan.order())
    for done, (number, row, allocator) in enumerate(order, 1):
        key = (row.name, allocator.name)
        if key in errors:
            continue
        try:
            sample = run(row, allocator, number, plan)
            problem = wrong_checksum(sample, checksums)
            if problem:
                raise RunError(problem)
            samples.append(sample)
            show(done, len(order), number, row.name, f"{allocator.name} {sample.time_ns / 1e6:.0f} ms")
        except RunError as error:
            errors[key] = str(error)
            show(done, len(order), number, row.name, f"{allocator.name} FAILED: {error}")
    return [s for s in samples if (s.row, s.allocator) not in errors], errors


class Progress:
    """One line per row of a round: what each allocator took, as it comes."""

    def __init__(self, rounds):
        self.rounds = rounds
        self.line = None
        self.started = time.monotonic()

    def __call__(self, done, total, number, row, text):
        if self.line != (number, row):
            left = (time.monotonic() - self.started) / done * (total - done)
            ending = "\n" if self.line else ""
            print(f"{ending}round {number + 1}/{self.rounds} {left / 60:4.1f} min left  {row:11}", end="")
            self.line = (number, row)
        print(f"  {text}", end="", flush=True)

    def end(self):
        print("\n", flush=True)
