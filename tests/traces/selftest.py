#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Tests of the trace tools, on the developer's machine.

1. Recorder and converter: a small program with known allocations (selftest/recorded.c), in threads,
   over fork and exec, killed in the middle; the trace must be exactly what it did.
2. The two decoders, trace.c under the sanitizers and tools/tracefile.py, were written apart: on every
   trace that is checked in they must give the same events, and on damaged ones the same verdict.
3. The table in README.md must be what the traces say.

Ends with "N passed, N failed".
"""

import glob
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import rawlog  # noqa: E402
import tracefile  # noqa: E402
import unittests  # noqa: E402
from tracefile import ALIGNED, ALLOC, CALLOC, FREE, REALLOC  # noqa: E402

TRACES = sorted(glob.glob(os.path.join(HERE, "*.bht")))
PAGE_SHIFT = os.sysconf("SC_PAGESIZE").bit_length() - 1
SCRATCH = None  # a folder that main() makes and removes
DAMAGED_FILES = 400


def scratch(name):
    return os.path.join(SCRATCH, name)


def compile_program(name, *options):
    compiler = os.environ.get("CC") or "cc"
    subprocess.run([compiler, "-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra", "-I" + ROOT,
                    *options, os.path.join(HERE, "selftest", name + ".c"), "-o", scratch(name)], check=True)


def run_record(*options, command, preload=""):
    """tools/record with `options`, of recorded.c with `command`."""
    return subprocess.run([os.path.join(ROOT, "tools", "record"), "-o", scratch("out.bht"), *options,
                           "--", scratch("recorded"), *command], env=dict(os.environ, LD_PRELOAD=preload),
                          capture_output=True, text=True, check=False)


def read_trace(path=None):
    with open(path or scratch("out.bht"), "rb") as file:
        return tracefile.Trace(file.read())


def ours(trace):
    """The events on the program's own objects, by size: (op, thread, size born, size ended, shift)."""
    sizes, events = {}, []
    for op, thread, new_id, old_id, size, shift in trace.events():
        ended = sizes.pop(old_id, None)
        if new_id is not None:
            sizes[new_id] = size
        if 7000 <= (size if new_id is not None else ended) < 8000 or (ended and 7000 <= ended < 8000):
            events.append((op, thread, size if new_id is not None else None, ended, shift))
    return events


def seal(data):
    """The same bytes with the right checksum."""
    whole = bytearray(data)
    (event_bytes,) = struct.unpack_from("<Q", whole, 64)
    name_bytes, note_bytes = struct.unpack_from("<HH", whole, 20)
    end = min(len(whole), tracefile.HEADER.size + name_bytes + note_bytes + event_bytes)
    struct.pack_into("<I", whole, 12, zlib.crc32(whole[16:end]))
    return bytes(whole)


class Recorder(unittest.TestCase):
    """What the program did and what its trace says."""

    def record(self, *command, options=(), status=0):
        result = run_record(*options, command=command)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return read_trace()

    def test_every_call_is_one_event(self):
        self.assertEqual(ours(self.record("calls")), [
            (ALLOC, 0, 7001, None, None), (CALLOC, 0, 7100, None, None), (FREE, 0, None, 7001, None),
            (ALLOC, 0, 7010, None, None), (REALLOC, 0, 7011, 7010, None), (REALLOC, 0, 7512, 7011, None),
            (FREE, 0, None, 7512, None),
            (ALIGNED, 0, 7020, None, 6), (FREE, 0, None, 7020, None),
            (ALIGNED, 0, 7021, None, 8), (FREE, 0, None, 7021, None),
            (ALIGNED, 0, 7022, None, 10), (FREE, 0, None, 7022, None),
            (ALIGNED, 0, 7023, None, PAGE_SHIFT), (FREE, 0, None, 7023, None),
            (FREE, 0, None, 7100, None), (ALLOC, 0, 7999, None, None)])

    def test_threads_are_told_apart(self):
        trace = self.record("threads")
        self.assertEqual(ours(trace), [
            (ALLOC, 0, 7030, None, None), (FREE, 1, None, 7030, None), (ALLOC, 1, 7031, None, None),
            (REALLOC, 2, 7032, 7031, None), (FREE, 0, None, 7032, None)])
        self.assertEqual(trace.threads, 3)

    def test_a_forked_child_is_left_out(self):
        self.assertEqual(ours(self.record("fork")), [
            (ALLOC, 0, 7040, None, None), (ALLOC, 0, 7042, None, None), (FREE, 0, None, 7042, None),
            (FREE, 0, None, 7040, None)])

    def test_a_forked_child_on_request(self):
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            self.record("fork", options=("--forks", "--raw-dir", folder))
            logs = [rawlog.RawLog(path) for path in glob.glob(os.path.join(folder, "*"))]
            (child,) = [log for log in logs if log.forked]
            rawlog.convert(child, scratch("child.bht"))
            self.assertEqual(ours(read_trace(scratch("child.bht"))),
                             [(ALLOC, 0, 7041, None, None), (FREE, 0, None, 7041, None)])
            self.assertEqual(len(logs), 2)

    def test_exec_starts_anew(self):
        trace = self.record("exec", scratch("recorded"), "threads")
        self.assertEqual([e[2] for e in ours(trace) if e[0] == ALLOC], [7030, 7031])

    def test_a_killed_process_loses_nothing(self):
        trace = self.record("kill", status=128 + 9)
        self.assertEqual(ours(trace), [(ALLOC, 0, 7050, None, None)])

    def test_order_holds_among_racing_threads(self):
        """The converter stops when an address is handed out twice, and counts frees it cannot place."""
        result = run_record(command=("storm", "60000"), preload=scratch("slow"))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("left out: 0 calls", result.stdout)
        trace = read_trace()
        self.assertGreater(trace.event_count, 80000)
        alive = trace.births - sum(1 for event in trace.events() if event[3] is not None)
        self.assertLess(alive, 20)

    def test_cuts_are_valid_beginnings(self):
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            self.record("calls", options=("--raw-dir", folder))
            whole = list(read_trace().events())
            (log,) = glob.glob(os.path.join(folder, "*"))
            for events in range(len(whole) + 1):
                subprocess.run([os.path.join(ROOT, "tools", "trace-convert"), log, "-o", scratch("cut.bht"),
                                "--max-events", str(events)], check=True)
                self.assertEqual(list(read_trace(scratch("cut.bht")).events()), whole[:events])

    def test_cut_by_bytes(self):
        trace = self.record("storm", "2000", options=("--max-bytes", "1K"))
        self.assertLessEqual(len(trace.data), 1024)
        self.assertGreater(len(trace.data), 1024 - 32)

    def test_name_and_note(self):
        trace = self.record("calls", options=("--name", "näme", "--note", "why not"))
        self.assertEqual((trace.name, trace.note), ("näme", "why not"))
        self.assertEqual(self.record("calls").note, scratch("recorded") + " calls")

    def test_a_program_that_is_not_recorded_is_named(self):
        result = run_record("--of", "nobody", command=("calls",))
        self.assertEqual(result.returncode, 1)
        self.assertIn("no recording of the process named nobody; recorded: recorded.", result.stderr)


class Decoders(unittest.TestCase):
    """The decoder in C and the one in Python."""

    def verdicts(self, *paths):
        result = subprocess.run([scratch("decode"), *paths], capture_output=True, text=True, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout.splitlines()

    def test_same_events(self):
        for path in TRACES:
            in_c = subprocess.run([scratch("decode"), "--events", path], capture_output=True, check=True)
            lines = (f"{op} {thread} {'-' if new_id is None else new_id} {'-' if old_id is None else old_id} "
                     f"{size} {0 if shift is None else 1 << shift}\n"
                     for op, thread, new_id, old_id, size, shift in read_trace(path).events())
            self.assertEqual(zlib.crc32("".join(lines).encode()), zlib.crc32(in_c.stdout), path)

    def test_round_trip_of_all_numbers(self):
        writer = tracefile.Writer()
        sizes = sorted({max(0, (1 << shift) + step) for shift in range(58) for step in (-1, 0, 1)})
        ids = [writer.alloc("a", size) for size in sizes] + [writer.calloc("b", size) for size in sizes]
        ids += [writer.aligned("c", shift, 1 << shift) for shift in range(48)]
        ids = [writer.realloc("b", ids[i], i) for i in range(0, len(ids), 2)]
        for old_id in reversed(ids):
            writer.free("a", old_id)
        with open(scratch("numbers.bht"), "wb") as file:
            file.write(writer.file("numbers", "all"))
        self.assertEqual(self.verdicts(scratch("numbers.bht")), ["ok"])
        trace = read_trace(scratch("numbers.bht"))
        self.assertEqual([e[4] for e in trace.events()][:len(sizes)], sizes)
        self.assertEqual(trace.threads, 3)

    def test_same_verdict_on_damage(self):
        chance = random.Random(int(os.environ.get("SEED", "1")))
        with open(os.path.join(HERE, "xz.bht"), "rb") as file:
            good = file.read()
        paths, expected = [], []
        for number in range(DAMAGED_FILES):
            data = bytearray(good)
            for _ in range(chance.randrange(1, 4)):
                data[chance.randrange(16, len(data))] = chance.randrange(256)
            data = seal(data) if chance.random() < 0.9 else bytes(data[:chance.randrange(len(data))])
            paths.append(scratch(f"damaged{number}.bht"))
            with open(paths[-1], "wb") as file:
                file.write(data)
            try:
                tracefile.Trace(data)
                expected.append(True)
            except tracefile.TraceError:
                expected.append(False)
        found = [line == "ok" for line in self.verdicts(*paths)]
        self.assertEqual(found, expected)
        self.assertIn(True, found)
        self.assertLess(found.count(True), DAMAGED_FILES // 2)


class CheckedIn(unittest.TestCase):
    """What lies in tests/traces."""

    def test_table_is_true(self):
        """Every row of the table is what its trace says. A user's own trace needs no row."""
        printed = subprocess.run([os.path.join(ROOT, "tools", "trace-info"), "--table", *TRACES],
                                 capture_output=True, text=True, check=True).stdout.splitlines()
        with open(os.path.join(HERE, "README.md"), encoding="utf-8") as file:
            written = file.read().split(printed[0])[1].split("\n\n")[0].splitlines()[1:]
        wrong = [row for row in written if row not in printed]
        self.assertEqual(wrong, [], "put the output of tools/trace-info --table into README.md")
        self.assertGreaterEqual(len(written), 7)

    def test_bounds(self):
        sizes = [os.path.getsize(path) for path in TRACES]
        self.assertGreaterEqual(len(sizes), 6)
        self.assertLessEqual(max(sizes), 2 << 20)
        self.assertLessEqual(sum(sizes), 8 << 20)

    def test_damage_is_reported(self):
        with open(TRACES[0], "rb") as file:
            data = bytearray(file.read())
        data[-1] ^= 1
        with open(scratch("bad.bht"), "wb") as file:
            file.write(data)
        result = subprocess.run([os.path.join(ROOT, "tools", "trace-info"), scratch("bad.bht")],
                                capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("at offset 12: the checksum is wrong", result.stderr)


def main():
    global SCRATCH
    with tempfile.TemporaryDirectory(prefix="bareheap-traces-") as SCRATCH:
        compile_program("recorded", "-pthread", "-fno-builtin", "-w")
        compile_program("slow", "-shared", "-fPIC")
        compile_program("decode", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
                        os.path.join(HERE, "trace.c"))
        return unittests.run()


if __name__ == "__main__":
    sys.exit(main())
