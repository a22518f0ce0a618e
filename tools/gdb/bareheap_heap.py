# SPDX-License-Identifier: MIT
"""
The heap of the stopped program, read through gdb: memory in blocks, the records of all runs, their bitmaps.
For bareheap.py.
"""

import bisect
import struct

import gdb

BLOCK_BYTES = 16 << 10  # read at a time; a remote target answers blocks hardly slower than words
PAGE_BYTES = 8192
WORD = 8


class Memory:
    """The program's memory, read in blocks and kept: the program stands still during a command."""

    def __init__(self):
        self.inferior = gdb.selected_inferior()
        self.blocks = {}

    def block(self, number):
        if number not in self.blocks:
            try:
                self.blocks[number] = self.inferior.read_memory(number * BLOCK_BYTES, BLOCK_BYTES).tobytes()
            except gdb.MemoryError:
                self.blocks[number] = None
        return self.blocks[number]

    def read(self, address, count):
        """`count` bytes, or None when they are not all there."""
        parts, end = [], address + count
        while address < end:
            number, offset = divmod(address, BLOCK_BYTES)
            here = min(end - address, BLOCK_BYTES - offset)
            block = self.block(number)
            part = block[offset:offset + here] if block else self.read_alone(address, here)
            if part is None:
                return None
            parts.append(part)
            address += here
        return b"".join(parts)

    def read_alone(self, address, count):
        """From a block that is not all mapped."""
        try:
            return self.inferior.read_memory(address, count).tobytes()
        except gdb.MemoryError:
            return None

    def words(self, lo, hi):
        """Pairs (address, word) of the aligned words in [lo, hi) that can be read."""
        lo, hi = -(-lo // WORD) * WORD, hi // WORD * WORD
        while lo < hi:
            end = min(hi, (lo // BLOCK_BYTES + 1) * BLOCK_BYTES)
            data = self.read(lo, end - lo)
            if data is None:
                return
            yield from zip(range(lo, end, WORD), struct.unpack(f"<{len(data) // WORD}Q", data))
            lo = end


def value(expression):
    """The value, or None when this image has no such variable."""
    try:
        return gdb.parse_and_eval(expression)
    except gdb.error:
        return None


def needed(expression):
    found = value(expression)
    if found is None:
        raise gdb.GdbError(f"there is no {expression}: is this an image with Bareheap and its debug info?")
    return found


class Record:
    """Reads the integers of a C struct out of bytes."""

    FORMATS = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}

    def __init__(self, name):
        kind = gdb.lookup_type(name)
        self.bytes = kind.sizeof
        self.fields = {}
        self.add(kind, 0)

    def add(self, kind, offset):
        for field in kind.fields():
            here = offset + field.bitpos // 8
            if not field.name:  # an anonymous union
                self.add(field.type, here)
            elif field.type.sizeof in self.FORMATS:
                self.fields[field.name] = (self.FORMATS[field.type.sizeof], here)

    def get(self, data, name):
        layout, offset = self.fields[name]
        return struct.unpack_from(layout, data, offset)[0]


class Span:
    """A run of pages as its record has it."""

    def __init__(self, record, data, address):
        for name in ("base", "object_bytes", "pages", "objs", "free_objs", "sweep_cycle", "mark_shift",
                     "state", "kind", "size_class", "flags", "bits"):
            setattr(self, name, record.get(data, name))
        self.record = address

    def end(self, page_bytes):
        return self.base + self.pages * page_bytes


class Heap:
    """The page heap, its runs, and what is in them."""

    def __init__(self):
        self.memory = Memory()
        self.page_heap = needed("page_heap")
        self.record = Record("struct bh_span")
        self.states = {field.name: field.enumval for field in gdb.lookup_type("enum span_state").fields()}
        self.kinds = {field.name: field.enumval for field in gdb.lookup_type("enum bh_kind").fields()}
        self.page_bytes = PAGE_BYTES
        self.cycle = int(needed("sweep_cycle"))
        self.typed_from = self.kinds.get("KIND_TYPED", 256)
        self.runs, self.odd = [], []
        for i in range(int(self.page_heap["regions_count"])):
            self.read_region(self.page_heap["regions"][i])
        self.runs.sort(key=lambda run: run.base)
        self.bases = [run.base for run in self.runs]
        self.layouts = {}
        self.live = {}

    def read_region(self, region):
        first, pages, records = int(region["first_page"]), int(region["pages"]), int(region["records"])
        page = 0
        while page < pages:
            address = records + page * self.record.bytes
            data = self.memory.read(address, self.record.bytes)
            run = Span(self.record, data, address) if data else None
            if not run or run.pages == 0 or run.base != first + page * self.page_bytes or page + run.pages > pages:
                self.odd.append(first + page * self.page_bytes)
                page += 1
                continue
            self.runs.append(run)
            page += run.pages

    def is_span(self, run):
        return run.state in (self.states["SPAN_IN_USE"], self.states["SPAN_LISTED"], self.states["SPAN_CACHED"])

    def is_free(self, run):
        return run.state == self.states["SPAN_FREE"]

    def spans(self):
        return [run for run in self.runs if self.is_span(run)]

    def kind(self, run):
        names = {self.kinds["KIND_MANUAL"]: "manual", self.kinds["KIND_NOSCAN"]: "noscan", self.kinds["KIND_SCAN"]: "scan"}
        return names.get(run.kind, f"typed{run.kind - self.typed_from}")

    def state(self, run):
        return next(name for name, number in self.states.items() if number == run.state)[5:].lower()

    def object_bytes(self, run):
        return run.object_bytes if run.size_class else run.pages * self.page_bytes

    def room(self, run):
        return run.objs if run.size_class else 1

    def is_unswept(self, run):
        return run.kind != self.kinds["KIND_MANUAL"] and run.sweep_cycle != self.cycle

    def bitmap(self, run):
        """The bitmap as a number: of a manual span the free objects, of a collected one those that
        are allocated; before it is swept, those that the last mark reached. While marking, a black
        object has only its mark bit (alloc/walk.h); at other times a swept span has none set."""
        own = run.kind == self.kinds["KIND_MANUAL"] and run.objs <= 64 and "seal" not in self.record.fields
        address = run.record + self.record.fields["bits"][1] if own else run.bits
        if run.kind == self.kinds["KIND_MANUAL"]:
            return self.bits_at(address, run.objs)
        marked = self.bits_at(address ^ 1 << run.mark_shift, run.objs)
        return marked if self.is_unswept(run) else self.bits_at(address, run.objs) | marked

    def bits_at(self, address, count):
        data = self.memory.read(address, -(-max(count, 1) // 64) * 8)
        return int.from_bytes(data, "little") & ((1 << count) - 1) if data else 0

    def is_allocated(self, run, number):
        if run.kind == self.kinds["KIND_MANUAL"] and not run.size_class:
            return True
        bit = bool(self.bitmap_of(run) >> number & 1)
        return not bit if run.kind == self.kinds["KIND_MANUAL"] else bit

    def bitmap_of(self, run):
        if run.record not in self.live:
            self.live[run.record] = self.bitmap(run)
        return self.live[run.record]

    def used(self, run):
        """Manual: handed out or in caches. Collected: allocated or reserved."""
        if run.kind == self.kinds["KIND_MANUAL"]:
            return run.objs - run.free_objs if run.size_class else 1
        return bin(self.bitmap_of(run)).count("1")

    def run_at(self, address):
        i = bisect.bisect_right(self.bases, address) - 1
        return self.runs[i] if i >= 0 and address < self.runs[i].end(self.page_bytes) else None

    def object_at(self, address):
        """(run, number, base) of the object that an address is in; None when it is in no object's room."""
        run = self.run_at(address)
        if run is None or not self.is_span(run):
            return None
        number = (address - run.base) // self.object_bytes(run)
        return (run, number, run.base + number * self.object_bytes(run)) if number < self.room(run) else None

    # ---- which words may be pointers ----

    def layout(self, run):
        """(bitmap, words, repeats) of a typed span, or None when it cannot be read."""
        if run.kind not in self.layouts:
            found = value(f"*walk_layouts[{run.kind - self.typed_from}]")
            self.layouts[run.kind] = None
            if found is not None:
                fields = [field.name for field in found.type.fields()]
                found = found if "pointers" in fields else found[fields[0]]
                words = int(found["words"])
                data = self.memory.read(int(found["pointers"]), -(-words // 64) * 8)
                self.layouts[run.kind] = (int.from_bytes(data, "little"), words, bool(found["repeats"])) if data else None
        return self.layouts[run.kind]

    def references(self, run, base):
        """Pairs (address, word) of an object's words that may be pointers."""
        if run.kind == self.kinds["KIND_NOSCAN"]:
            return
        layout = self.layout(run) if run.kind >= self.typed_from else None
        for address, word in self.memory.words(base, base + self.object_bytes(run)):
            i = (address - base) // WORD
            if layout:
                bits, words, repeats = layout
                if (i >= words and not repeats) or not bits >> (i % words) & 1:
                    continue
            yield address, word
