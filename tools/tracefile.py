# SPDX-License-Identifier: MIT
"""Reads and writes traces (.bht); the format is tools/trace-format.md.

1. Writer takes events one by one, keeps the counts and peaks, and gives the file's bytes.
2. Trace checks a file whole (header, checksum, every event, deaths, peaks) and lists its events.
3. An event is a tuple (op, thread, id, old_id, bytes, align_shift); None where it has none.

Invariant: what Writer gives, Trace accepts, and tests/traces/trace.c (written apart from this, so
that the two check each other) accepts what Trace accepts: tools/test_trace_tools.py compares them.
Not here: raw logs of the recorder (rawlog.py).
"""

import struct
import zlib

ALLOC, CALLOC, ALIGNED, REALLOC, FREE = range(5)
OP_NAMES = ("alloc", "calloc", "aligned", "realloc", "free")

MAGIC = b"BHTRACE\0"
VERSION = 1
HEADER = struct.Struct("<8sHHIIHHQQQQQQ")
CHECKED_FROM = 16
MAX_NUMBER = 1 << 59
MAX_BIRTHS = (1 << 32) - 1
MAX_ALIGN_SHIFT = 47
MAX_TEXT_BYTES = 65535

LEAD_ALLOC, LEAD_FREE, LEAD_REALLOC = 0x00, 0x40, 0x80
LEAD_CALLOC, LEAD_ALIGNED, LEAD_THREAD = 0xC0, 0xD0, 0xE0


class TraceError(Exception):
    """A trace that is not one; the text says what is wrong and at which offset."""

    def __init__(self, offset, what):
        super().__init__(f"at offset {offset}: {what}")
        self.offset = offset


def number(value):
    """A number that begins with its own byte: seven bits a byte, lowest first."""
    if value >= MAX_NUMBER:
        raise ValueError(f"{value} does not fit a trace: numbers are below 2^59")
    out = bytearray()
    while value >= 0x80:
        out.append(0x80 | value & 0x7F)
        value >>= 7
    out.append(value)
    return bytes(out)


def lead(code, bits, value):
    """A lead byte: `code` above, the number's first bits below, bit `bits` - 1 if it goes on."""
    more = 1 << (bits - 1)
    if value < more:
        return bytes((code | value,))
    return bytes((code | more | value & (more - 1),)) + number(value >> (bits - 1))


class Writer:
    """Makes a trace event by event. birth() and death() return what the replay will see."""

    def __init__(self):
        self.out = bytearray()
        self.events = 0
        self.births = 0
        self.live = {}  # id -> size
        self.live_bytes = self.peak_bytes = self.peak_objs = self.max_bytes = 0
        self.thread_numbers = {}
        self.thread = 0

    def _switch(self, thread):
        """Numbers threads as they appear and says so when the thread changes."""
        thread = self.thread_numbers.setdefault(thread, len(self.thread_numbers))
        if thread != self.thread:
            self.out += lead(LEAD_THREAD, 4, thread)
            self.thread = thread

    def _death(self, old_id):
        self.live_bytes -= self.live.pop(old_id)
        return self.births - 1 - old_id

    def _birth(self, size):
        if self.births == MAX_BIRTHS - 1:
            raise ValueError("too many births for one trace: cut it with --max-events")
        new_id = self.births
        self.births += 1
        self.live[new_id] = size
        self.live_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        self.peak_objs = max(self.peak_objs, len(self.live))
        self.max_bytes = max(self.max_bytes, size)
        return new_id

    def alloc(self, thread, size):
        self._switch(thread)
        self.out += lead(LEAD_ALLOC, 6, size)
        self.events += 1
        return self._birth(size)

    def calloc(self, thread, size):
        self._switch(thread)
        self.out += lead(LEAD_CALLOC, 4, size)
        self.events += 1
        return self._birth(size)

    def aligned(self, thread, align_shift, size):
        self._switch(thread)
        if align_shift > MAX_ALIGN_SHIFT:
            raise ValueError(f"an alignment of 2^{align_shift} does not fit a trace")
        self.out += lead(LEAD_ALIGNED, 4, align_shift) + number(size)
        self.events += 1
        return self._birth(size)

    def realloc(self, thread, old_id, size):
        self._switch(thread)
        self.out += lead(LEAD_REALLOC, 6, self._death(old_id)) + number(size)
        self.events += 1
        return self._birth(size)

    def free(self, thread, old_id):
        self._switch(thread)
        self.out += lead(LEAD_FREE, 6, self._death(old_id))
        self.events += 1

    def file(self, name, note):
        """The whole file. The texts are cut to what the header can say."""
        texts = b"".join(t.encode("utf-8", "replace").replace(b"\0", b" ")[:MAX_TEXT_BYTES - 1]
                         + b"\0" for t in (name, note))
        name_bytes = texts.index(b"\0") + 1
        head = HEADER.pack(MAGIC, VERSION, HEADER.size, 0, max(1, len(self.thread_numbers)),
                           name_bytes, len(texts) - name_bytes, self.events, self.births,
                           self.peak_bytes, self.peak_objs, self.max_bytes, len(self.out))
        whole = bytearray(head + texts + self.out)
        struct.pack_into("<I", whole, 12, zlib.crc32(whole[CHECKED_FROM:]))
        return bytes(whole)


class Trace:
    """A trace file, checked. Fields as in the header; events() goes through the events."""

    def __init__(self, data):
        self.data = data
        self._read_header()
        self._check()

    def _read_header(self):
        data = self.data
        if len(data) < HEADER.size:
            raise TraceError(len(data), "the file ends too early")
        (magic, version, header_bytes, checksum, self.threads, name_bytes, note_bytes, self.event_count,
         self.births, self.peak_live_bytes, self.peak_live_objs, self.max_object_bytes,
         self.event_bytes) = HEADER.unpack_from(data)
        if magic != MAGIC:
            raise TraceError(0, "not a trace: it does not begin with BHTRACE")
        if version != VERSION:
            raise TraceError(8, f"version {version} of the format; this reads version {VERSION}")
        if header_bytes != HEADER.size or not (name_bytes and note_bytes and self.threads):
            raise TraceError(10, "the header contradicts itself")
        if self.births >= MAX_BIRTHS:
            raise TraceError(32, "the header contradicts itself")
        self.events_at = HEADER.size + name_bytes + note_bytes
        self.end = self.events_at + self.event_bytes
        if len(data) < self.end:
            raise TraceError(len(data), "the file ends too early")
        if data[HEADER.size + name_bytes - 1] or data[self.events_at - 1]:
            raise TraceError(HEADER.size, "a text in the header has no end")
        if zlib.crc32(data[CHECKED_FROM:self.end]) != checksum:
            raise TraceError(12, "the checksum is wrong: the file was changed or cut")
        self.name = data[HEADER.size:HEADER.size + name_bytes - 1].decode("utf-8", "replace")
        self.note = data[HEADER.size + name_bytes:self.events_at - 1].decode("utf-8", "replace")

    def _rest(self, at, value, shift):
        """The rest of a number whose lowest `shift` bits are `value`, and the offset behind it."""
        start = at
        while True:
            if at >= self.end or shift > 56:
                raise TraceError(start, "a number is too long or cut off")
            byte = self.data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value, at

    def _number(self, at, bits):
        """The number in the lead byte at `at` and what follows it."""
        more = 1 << (bits - 1)
        value = self.data[at] & (more - 1)
        if self.data[at] & more:
            return self._rest(at + 1, value, bits - 1)
        return value, at + 1

    def located_events(self):
        """Pairs of offset and event. Raises TraceError where an event is not one."""
        at, thread, births = self.events_at, 0, 0
        while at < self.end:
            start = at
            new_id = old_id = shift = None
            size = 0
            code = self.data[at]
            kind = code & 0xC0 if code < 0xC0 else code & 0xF0
            if kind == LEAD_THREAD:
                thread, at = self._number(at, 4)
                if thread >= self.threads:
                    raise TraceError(start, f"thread {thread} of {self.threads}")
                if at == self.end:
                    raise TraceError(start, "a number is too long or cut off")
                continue
            if kind == LEAD_ALLOC:
                op = ALLOC
                size, at = self._number(at, 6)
            elif kind == LEAD_CALLOC:
                op = CALLOC
                size, at = self._number(at, 4)
            elif kind == LEAD_ALIGNED:
                op = ALIGNED
                shift, at = self._number(at, 4)
                if shift > MAX_ALIGN_SHIFT:
                    raise TraceError(start, "an alignment over 2^47")
                size, at = self._rest(at, 0, 0)
            elif kind in (LEAD_FREE, LEAD_REALLOC):
                op = FREE if kind == LEAD_FREE else REALLOC
                distance, at = self._number(at, 6)
                if distance >= births:
                    raise TraceError(start, f"distance {distance} after {births} births")
                old_id = births - 1 - distance
                if op == REALLOC:
                    size, at = self._rest(at, 0, 0)
            else:
                raise TraceError(start, "an operation that is not defined")
            if op != FREE:
                if births == self.births:
                    raise TraceError(start, f"more births than the header's {self.births}")
                new_id = births
                births += 1
            yield start, (op, thread, new_id, old_id, size, shift)

    def events(self):
        for _, event in self.located_events():
            yield event

    def _check(self):
        """The counts and peaks must be those of the events, and nothing may die twice."""
        live, live_bytes, peak_bytes, peak_objs, max_bytes = {}, 0, 0, 0, 0
        threads, count, births = 1, 0, 0
        for offset, (_, thread, new_id, old_id, size, _) in self.located_events():
            count += 1
            threads = max(threads, thread + 1)
            if old_id is not None:
                if old_id not in live:
                    raise TraceError(offset, f"object {old_id} dies twice")
                live_bytes -= live.pop(old_id)
            if new_id is not None:
                births += 1
                live[new_id] = size
                live_bytes += size
                peak_bytes = max(peak_bytes, live_bytes)
                peak_objs = max(peak_objs, len(live))
                max_bytes = max(max_bytes, size)
        found = (threads, count, births, peak_bytes, peak_objs, max_bytes)
        said = (self.threads, self.event_count, self.births, self.peak_live_bytes,
                self.peak_live_objs, self.max_object_bytes)
        names = ("threads", "events", "births", "peak live bytes", "peak live objects",
                 "largest request")
        for name, have, want in zip(names, found, said):
            if have != want:
                raise TraceError(self.end, f"{name}: the header says {want}, the events {have}")
