# SPDX-License-Identifier: MIT
"""Turns a raw log of the recorder (tools/recorder/rawlog.h) into a trace.

1. Records are taken in the order of their index, which is the order in time.
2. A dictionary from address to id follows what is alive. free and the beginning of a realloc take
   the address out, since another thread may get it from then on; the end of the realloc
   becomes one event, at its place.
3. Calls on addresses that were never seen born (a parent's objects after a fork, or what the
   dynamic linker allocated before it knew the recorder) are counted and left out; a realloc of
   one becomes an alloc.

Invariant: any number of records from the start, cut anywhere, makes a valid trace.
"""

import mmap
import os
import shlex
import struct

import tracefile

MAGIC = 0x31474F4C57415242
HEADER = struct.Struct("=QQQIIQ")
HEADER_BYTES = 8192
RECORD = struct.Struct("=QQIBBH")

UNFINISHED, ALLOC, CALLOC, ALIGNED, FREE, REALLOC_BEGIN, REALLOC_END = range(7)


class RawLogError(Exception):
    """A file that is not a raw log, or an impossible record in one."""


class RawLog:
    """A raw log, mapped. `records` were written, `dropped` more found it full."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            if os.path.getsize(path) < HEADER_BYTES:
                raise RawLogError(f"{path}: too short for a raw log")
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, capacity, begun, self.pid, self.forked, command_bytes = HEADER.unpack_from(self.data)
        if magic != MAGIC:
            raise RawLogError(f"{path}: not a raw log of the recorder, or a process that ended "
                              "before its log was ready")
        room = (len(self.data) - HEADER_BYTES) // RECORD.size
        self.records = min(begun, capacity, room)
        self.dropped = begun - self.records
        command = self.data[HEADER.size:HEADER.size + min(command_bytes, 4096)]
        self.arguments = [a.decode("utf-8", "replace") for a in command.rstrip(b"\0").split(b"\0")]

    def program(self):
        """The file name of the program, without its folder."""
        return os.path.basename(self.arguments[0])

    def command(self):
        return " ".join(shlex.quote(a) for a in self.arguments)

    def __iter__(self):
        """Records as (address, bytes, thread, align_shift, op, unused)."""
        window = memoryview(self.data)[HEADER_BYTES:HEADER_BYTES + self.records * RECORD.size]
        try:
            yield from RECORD.iter_unpack(window)
        finally:
            window.release()


class Converter:
    """Feeds records to a tracefile.Writer. Counters say what was left out."""

    def __init__(self):
        self.writer = tracefile.Writer()
        self.ids = {}      # address -> id, of what is alive
        self.pending = {}  # thread -> (address, id or None) of a realloc that has begun
        self.unknown = self.unfinished = self.failed_reallocs = 0

    def _born(self, address, new_id):
        if address in self.ids:
            raise RawLogError(f"address {address:#x} is handed out twice without a free between: "
                              "the program has an allocation function that is not recorded")
        self.ids[address] = new_id

    def alloc(self, address, size, thread, _):
        self._born(address, self.writer.alloc(thread, size))

    def calloc(self, address, size, thread, _):
        self._born(address, self.writer.calloc(thread, size))

    def aligned(self, address, size, thread, shift):
        self._born(address, self.writer.aligned(thread, shift, size))

    def free(self, address, _size, thread, _):
        old_id = self.ids.pop(address, None)
        if old_id is None:
            self.unknown += 1
        else:
            self.writer.free(thread, old_id)

    def realloc_begin(self, address, _size, thread, _):
        self.pending[thread] = (address, self.ids.pop(address, None))

    def realloc_end(self, address, size, thread, _):
        old_address, old_id = self.pending.pop(thread, (0, None))
        if address == 0 and size != 0:
            self.failed_reallocs += 1
            if old_id is not None:
                self._born(old_address, old_id)
        elif address == 0:  # glibc's realloc(p, 0) frees p
            if old_id is not None:
                self.writer.free(thread, old_id)
        elif old_id is None:
            self.unknown += 1
            self._born(address, self.writer.alloc(thread, size))
        else:
            self._born(address, self.writer.realloc(thread, old_id, size))

    def run(self, log, max_events=None, max_bytes=None):
        """Converts until the log ends or a bound is reached. `max_bytes` is of the events."""
        steps = {ALLOC: self.alloc, CALLOC: self.calloc, ALIGNED: self.aligned, FREE: self.free,
                 REALLOC_BEGIN: self.realloc_begin, REALLOC_END: self.realloc_end}
        writer = self.writer
        for address, size, thread, shift, op, _ in log:
            if max_events is not None and writer.events >= max_events:
                break
            if max_bytes is not None and len(writer.out) + 24 > max_bytes:
                break
            if op == UNFINISHED:
                self.unfinished += 1
            elif op in steps:
                steps[op](address, size, thread, shift)
            else:
                raise RawLogError(f"{log.path}: a record of unknown kind {op}")
        return writer


def byte_count(text):
    """A number of bytes: 2000000, 2M, 512K."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    if text[-1:].upper() in units:
        return int(text[:-1]) * units[text[-1].upper()]
    return int(text)


def convert(log, output, name=None, note=None, max_events=None, max_bytes=None):
    """Writes the trace; returns the converter with its counters."""
    name = name or log.program()
    note = note or log.command()
    overhead = 72 + len(name.encode()) + len(note.encode()) + 2
    converter = Converter()
    writer = converter.run(log, max_events, None if max_bytes is None else max_bytes - overhead)
    with open(output, "wb") as file:
        file.write(writer.file(name, note))
    return converter


def print_statistics(log, converter):
    writer = converter.writer
    print(f"{log.path}: process {log.pid}, {log.records} records, {log.dropped} dropped, "
          f"{converter.unfinished} unfinished")
    print(f"  {writer.events} events, {writer.births} births, {len(writer.live)} alive at the end, "
          f"peak {writer.peak_bytes} bytes in {writer.peak_objs} objects at most, "
          f"{len(writer.thread_numbers)} threads")
    print(f"  {len(writer.out)} bytes of events, {len(writer.out) / max(1, writer.events):.2f} "
          f"per event; left out: {converter.unknown} calls on objects not seen born, "
          f"{converter.failed_reallocs} failed reallocs")
