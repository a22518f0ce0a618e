# SPDX-License-Identifier: MIT
"""
Reads the text of bh_gc_dump() (gc/dump.c; the format is in gc/README.md) out of a file or a console's
log, where other lines may stand between, and prefixes before.

    for dump in read_dumps(open("console.log", encoding="utf-8", errors="replace")):
        print(dump.heap_bytes())

A dump that is not whole (lines lost, figures that do not add up) is refused with DumpError.
"""

import dataclasses
import re

VERSION = 1
LINE = re.compile(r"(?:^|[\s\]])hd ([a-z]+)((?: [0-9a-z]+)*)\s*$")
TOTALS = ("span_pages", "free_pages", "unbacked_pages", "own_pages", "manual_objs", "manual_bytes",
          "collected_objs", "collected_bytes")
STATS = ("region_bytes", "metadata_bytes", "heap_bytes", "heap_peak_bytes", "free_page_bytes",
         "released_bytes", "cached_bytes")


class DumpError(Exception):
    """The text is no dump, or only a part of one."""


class LineError(DumpError):
    """A line says nothing that this program understands; it may be the half of one."""


@dataclasses.dataclass(frozen=True)
class Span:
    base: int
    pages: int
    kind: str  # manual, noscan, scan, typed0, typed1, ...
    size_class: int  # 0: one large object
    object_bytes: int
    room: int  # objects it can hold
    used: int

    def fullness(self):
        return self.used / self.room if self.room else 0.0

    def family(self):
        """The kind without the number of a typed layout."""
        return "typed" if self.kind.startswith("typed") else self.kind


@dataclasses.dataclass(frozen=True)
class Run:
    """Pages that are no span: free ones, or the library's own."""

    base: int
    pages: int
    is_free: bool
    unbacked_pages: int = 0


@dataclasses.dataclass
class Region:
    base: int
    bytes: int
    runs: list = dataclasses.field(default_factory=list)  # Span and Run, in address order


class Dump:
    """One picture of the heap."""

    def __init__(self, page_bytes):
        self.page_bytes = page_bytes
        self.cycles = self.live_bytes = self.goal_bytes = self.collected_heap_bytes = self.cores = 0
        self.regions = []
        self.spans = []
        self.free = []
        self.own = []
        self.roots = {}  # kind: set of addresses
        self.targets = {}  # object: the objects it points to
        self.objects_cut = 0
        self.totals = {}
        self.stats = {}

    def span_index(self):
        """Page number: span, for looking addresses up."""
        return {span.base // self.page_bytes + i: span for span in self.spans for i in range(span.pages)}

    def object_sizes(self):
        """Address: bytes, for every object that is listed."""
        index = self.span_index()
        return {address: index[address // self.page_bytes].object_bytes for address in self.targets}

    def heap_bytes(self):
        return sum(span.pages for span in self.spans) * self.page_bytes

    def free_slot_bytes(self):
        """In spans, but not used: what size classes cost."""
        return sum((span.room - span.used) * span.object_bytes for span in self.spans)

    def tail_bytes(self):
        """Behind the last object of a span: what does not divide evenly."""
        return sum(span.pages * self.page_bytes - span.room * span.object_bytes for span in self.spans)

    def used_bytes(self):
        return sum(span.used * span.object_bytes for span in self.spans)

    def free_bytes(self):
        return sum(run.pages for run in self.free) * self.page_bytes

    def external_fragmentation(self):
        """How much of the free pages the largest run is not: 0 when they are in one piece."""
        total = sum(run.pages for run in self.free)
        return 1 - max(run.pages for run in self.free) / total if total else 0.0


# ---- Reading ----

class _Reader:
    """Takes the lines of one dump, the first excepted."""

    def __init__(self, fields):
        version, page_bytes = (int(field) for field in fields)
        if version != VERSION:
            raise DumpError(f"the dump is of version {version}, this tool reads version {VERSION}")
        self.dump = Dump(page_bytes)
        self.lines = 1

    def take(self, word, fields):
        self.lines += 1
        getattr(self, "take_" + word, self.take_unknown)(fields)

    def take_unknown(self, _):
        raise LineError("there is a line of a kind that this version of the format does not have")

    def take_gc(self, fields):
        dump = self.dump
        (dump.cycles, dump.live_bytes, dump.goal_bytes, dump.collected_heap_bytes, dump.cores) = map(int, fields)

    def take_region(self, fields):
        self.dump.regions.append(Region(int(fields[0], 16), int(fields[1])))

    def add(self, run, to):
        to.append(run)
        self.dump.regions[-1].runs.append(run)

    def take_span(self, fields):
        base, pages, kind, *numbers = fields
        self.add(Span(int(base, 16), int(pages), kind, *map(int, numbers)), self.dump.spans)

    def take_free(self, fields):
        self.add(Run(int(fields[0], 16), int(fields[1]), True, int(fields[2])), self.dump.free)

    def take_own(self, fields):
        self.add(Run(int(fields[0], 16), int(fields[1]), False), self.dump.own)

    def take_roots(self, fields):
        self.dump.roots.setdefault(fields[0], set()).update(int(field, 16) for field in fields[1:])

    def take_obj(self, fields):
        self.dump.targets.setdefault(int(fields[0], 16), []).extend(int(field, 16) for field in fields[1:])

    def take_cut(self, fields):
        self.dump.objects_cut = int(fields[0])

    def take_totals(self, fields):
        self.dump.totals = dict(zip(TOTALS, map(int, fields), strict=True))

    def take_stats(self, fields):
        self.dump.stats = dict(zip(STATS, map(int, fields), strict=True))

    def take_end(self, fields):
        if int(fields[0]) < self.lines:
            raise LineError(f"its last line counts {fields[0]} lines, but there are {self.lines}")
        if int(fields[0]) != self.lines:
            raise DumpError(f"the dump has {self.lines} of its {fields[0]} lines; the log lost some")
        self.check()

    def check(self):
        """The lines against the totals that the kernel counted while it wrote them."""
        dump = self.dump
        manual = [span for span in dump.spans if span.kind == "manual"]
        collected = [span for span in dump.spans if span.kind != "manual"]
        sums = (sum(s.pages for s in dump.spans), sum(r.pages for r in dump.free),
                sum(r.unbacked_pages for r in dump.free), sum(r.pages for r in dump.own),
                sum(s.used for s in manual), sum(s.used * s.object_bytes for s in manual),
                sum(s.used for s in collected), sum(s.used * s.object_bytes for s in collected))
        for name, value in zip(TOTALS, sums):
            if dump.totals.get(name) != value:
                raise DumpError(f"the lines' {name} are {value}, the dump says {dump.totals.get(name)}")
        listed = len(dump.targets) + dump.objects_cut
        if listed != dump.totals["collected_objs"]:
            raise DumpError(f"{listed} objects are listed or cut, {dump.totals['collected_objs']} are in spans")
        index = dump.span_index()
        if any(address // dump.page_bytes not in index for address in dump.targets):
            raise DumpError("an object is listed that is in no span")


def read_dumps(lines):
    """Every dump in the lines, whole and checked, in order. DumpError when one is not, or none is there."""
    dumps, reader, lines = [], None, iter(lines)
    for line in lines:
        match = LINE.search(line)
        if not match:
            continue
        word, fields = match[1], match[2].split()
        if reader is None and word != "bareheap":
            raise DumpError("a dump begins in the middle: its first line is missing")
        try:
            if word == "bareheap":
                if reader is not None:
                    raise DumpError("a dump ends in the middle: another begins before its end")
                reader = _Reader(fields)
                continue
            reader.take(word, fields)
        except (LineError, ValueError, IndexError, TypeError) as error:
            if not any(LINE.search(later) for later in lines):
                raise DumpError(f"the dump is truncated, inside the line: {line.strip()}") from error
            if isinstance(error, LineError):
                raise
            raise DumpError(f"a line cannot be read: {line.strip()}") from error
        if word == "end":
            dumps.append(reader.dump)
            reader = None
    if reader is not None:
        raise DumpError("a dump ends in the middle: its last line is missing")
    if not dumps:
        raise DumpError("there is no dump in it: no line begins with \"hd bareheap\"")
    return dumps
