# SPDX-License-Identifier: MIT
"""
What the collector takes for roots, as far as gdb sees it, and why an object is alive. For bareheap.py.
"""

import gdb
from bareheap_heap import WORD, needed, value

RED_ZONE_BYTES = 128
FRAME_BYTES = 512  # of the outermost frame, above its stack pointer
BLIND_BYTES = 16 << 10  # of a stack whose frames gdb cannot follow
MOST_FRAMES = 200


# ---- Roots ----

def symbol(address):
    """" <variable + 8>", or nothing."""
    found = gdb.execute(f"info symbol {address:#x}", to_string=True)
    return "" if found.startswith("No symbol") else f" <{found.split(' in section')[0].strip()}>"


def vector_words(register):
    """The 64-bit words of a vector register's value."""
    for path in (("v2_int64",), ("v4_int64",), ("d", "u")):
        try:
            part = register
            for name in path:
                part = part[name]
            lo, hi = part.type.range()
            return [int(part[i]) & (1 << 64) - 1 for i in range(lo, hi + 1)]
        except (gdb.error, RuntimeError):
            continue
    return []


def register_words(frame):
    for register in frame.architecture().registers():
        try:
            found = frame.read_register(register.name)
            if found.type.sizeof == WORD and found.type.strip_typedefs().code != gdb.TYPE_CODE_FLT:
                yield register.name, int(found) & (1 << 64) - 1
            elif found.type.sizeof >= 16:
                for word in vector_words(found):
                    yield register.name, word
        except (gdb.error, RuntimeError, ValueError, OverflowError):
            continue  # one that this target does not show


def frames_of(frame):
    """Pairs (stack pointer, name) of the frames, the newest first, as far as gdb can follow them."""
    frames = []
    try:
        while frame is not None and len(frames) < MOST_FRAMES:
            frames.append((int(frame.read_register("sp")), frame.name() or "?"))
            frame = frame.older()
    except (gdb.error, RuntimeError):
        pass
    return frames


def thread_roots(memory, thread):
    """(what, word) of a thread's registers and of its stack."""
    frame = gdb.newest_frame()
    for name, word in register_words(frame):
        yield f"register {name} of thread {thread.num}", word
    frames = frames_of(frame)
    if not frames:
        return
    lo, top = frames[0][0], max(sp for sp, _ in frames)
    hi = top + (FRAME_BYTES if len(frames) > 2 else BLIND_BYTES)
    for address, word in memory.words(lo - RED_ZONE_BYTES, hi):
        number = max((i for i, (sp, _) in enumerate(frames) if sp <= address), default=0)
        yield f"stack of thread {thread.num} at {address:#x}, frame #{number} {frames[number][1]}", word


def all_thread_roots(heap):
    chosen = gdb.selected_thread()
    try:
        for thread in sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num):
            thread.switch()
            yield from thread_roots(heap.memory, thread)
    finally:
        if chosen is not None:
            chosen.switch()


def range_roots(memory, what, lo, hi):
    for address, word in memory.words(lo, hi):
        yield f"{what} at {address:#x}{{}}", word


def without(lo, hi, holes):
    """The parts of [lo, hi) that are in none of the holes, which are in ascending order."""
    for hole_lo, hole_hi in holes:
        if lo < hole_hi and hole_lo < hi:
            yield lo, hole_lo
            lo = hole_hi
    yield lo, hi


def registered_roots(heap):
    """But for the library's own state and the heap's regions; a range inside of one counts (roots.c)."""
    own = [value(name) for name in ("page_heap", "pace", "counters")]
    regions = [heap.page_heap["regions"][i] for i in range(int(heap.page_heap["regions_count"]))]
    holes = sorted([(int(v.address), int(v.address) + v.type.sizeof) for v in own if v is not None]
                   + [(int(r["base"]), int(r["base"]) + int(r["bytes"])) for r in regions])
    for i in range(int(value("roots_registered_count") or 0)):
        given = value(f"roots_registered[{i}].range")
        what = f"registered range [{int(given['lo']):#x}, {int(given['hi']):#x})"
        outside = [(lo, hi) for lo, hi in holes if not (lo < int(given["lo"]) and hi >= int(given["hi"]))]
        for lo, hi in without(int(given["lo"]), int(given["hi"]), outside):
            yield from range_roots(heap.memory, what, lo, hi)


def table_slots(name):
    """Pairs (where, address) of a table of addresses (gc/table.c)."""
    table = value(name)
    for i in range(int(table["room"]) if table is not None else 0):
        slot = table["slots"][i]
        if int(slot["address"]):
            yield int(slot.address), int(slot["address"])


def pin_roots(heap):
    for where, address in table_slots("roots_pins"):
        yield f"pin table at {where:#x}", address


def manual_roots(heap):
    """Manual objects that are scanned."""
    for _, address in table_slots("roots_manual"):
        found = heap.object_at(address)
        if found:
            what = f"manual object {address:#x}, which is scanned,"
            yield from range_roots(heap.memory, what, found[2], found[2] + heap.object_bytes(found[0]))


def added_stack_roots(heap):
    stack = value("roots_stacks")
    while stack is not None and int(stack):
        if int(stack["sp"]):
            yield from range_roots(heap.memory, f"added stack {int(stack):#x}", int(stack["sp"]), int(stack["hi"]))
        stack = stack["next"]


def special_chunks(kind):
    chunks = value("special_chunks")
    for i in range(int(chunks["room"]) if chunks is not None else 0):
        chunk = chunks["slots"][i].cast(gdb.lookup_type("struct special_chunk").pointer())
        if int(chunk) and int(chunk["kind"]) == int(needed(kind)):
            yield chunk


def array_words(memory, array):
    return (word for _, word in memory.words(int(array.address), int(array.address) + array.type.sizeof))


def service_roots(heap):
    """Arguments of finalizers and cleanups; objects whose finalizers are due; what an object with a
    finalizer refers to. An object that is not due is recorded as its complement (gc/special.h)."""
    for kind in ("SPECIAL_FINALIZER", "SPECIAL_CLEANUP"):
        for chunk in special_chunks(kind):
            for word in array_words(heap.memory, chunk["arg"]):
                yield f"argument of a {kind[8:].lower()}", word
    for chunk in special_chunks("SPECIAL_FINALIZER"):
        for word in array_words(heap.memory, chunk["object"]):
            yield "a finalizer that is due", word
            found = heap.object_at(~word & (1 << 64) - 1)
            if found and heap.is_allocated(*found[:2]):
                for address, reference in heap.references(found[0], found[2]):
                    yield f"object {found[2]:#x}, which has a finalizer, at {address:#x}", reference


def stop_roots(heap):
    """What cores have handed over that stand still or are parked."""
    cores = value("stop_cores")
    if cores is None:
        return
    for core in range(cores.type.range()[1] + 1):
        for i in range(int(cores[core]["ranges_used"])):
            given = cores[core]["ranges"][i]
            yield from range_roots(heap.memory, f"stack that core {core} stopped on", int(given["lo"]), int(given["hi"]))


def roots(heap):
    """Pairs (what, word) of all words that are roots. "{}" in `what` is the symbol's place. What lasts comes
    first: a variable is a better reason than a register that nobody will read."""
    for part in (registered_roots, pin_roots, manual_roots, service_roots, added_stack_roots, all_thread_roots, stop_roots):
        yield from part(heap)


# ---- Why an object is alive ----

class Search:
    """Breadth first from all roots, until the object is reached."""

    def __init__(self, heap):
        self.heap = heap
        self.pages = {}  # page number: collected span
        for run in heap.spans():
            if run.kind != heap.kinds["KIND_MANUAL"]:
                for i in range(run.pages):
                    self.pages[run.base // heap.page_bytes + i] = run
        self.came_from = {}  # object: (where the reference is, object that has it or None, root's words)

    def target(self, word):
        """The run and base of the allocated collected object that a word points to, or None."""
        run = self.pages.get(word // self.heap.page_bytes)
        if run is None:
            return None
        number = (word - run.base) // self.heap.object_bytes(run)
        if number >= self.heap.room(run) or not self.heap.is_allocated(run, number):
            return None
        return run, run.base + number * self.heap.object_bytes(run)

    def take(self, word, reference, level):
        found = self.target(word)
        if found and found[1] not in self.came_from:
            self.came_from[found[1]] = reference
            level.append(found)

    def run(self, wanted):
        level = []
        for what, word in roots(self.heap):
            self.take(word, (what, None), level)
        while level and wanted not in self.came_from:
            deeper = []
            for run, base in level:
                for address, word in self.heap.references(run, base):
                    self.take(word, (address, base), deeper)
            level = deeper
        return self.path(wanted) if wanted in self.came_from else None

    def path(self, wanted):
        """References from the root down: [(what or address, object that has it, object it is to)]."""
        steps, here = [], wanted
        while here is not None:
            where, owner = self.came_from[here]
            steps.append((where, owner, here))
            here = owner
        return steps[::-1]
