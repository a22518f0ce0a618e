# SPDX-License-Identifier: MIT
"""
Commands for gdb that look at the heap of the stopped program; `make debug` loads them. In any other gdb:

    (gdb) source tools/gdb/bareheap.py

    bh heap             how much memory is where
    bh spans [WORD...]  a line per span; of the kinds (manual, noscan, scan, typed) and classes named
    bh who ADDRESS      what is there: which object of which span, allocated or free
    bh roots ADDRESS    why is this object alive: a shortest path to it from a root

1. All is read from memory through the debug info; nothing is called in the program and nothing is
   changed, so the commands work on a core dump and on a kernel that has panicked.
2. The program stands wherever it was stopped: a core in the middle of an allocation may hold the page
   heap's lock, and one run of pages may look odd. What cannot be right is said and left out.
3. `bh roots` knows as roots what the collector scans: registered ranges, the registers and stacks of all
   of gdb's threads (a QEMU core is one; a stack reaches to its outermost frame), added stacks, pins,
   scanned manual objects, what finalizers and cleanups need, and what stopped cores handed over; stacks
   that only the port lists it does not. It searches breadth first: the path is a shortest one.
4. An object that a core's cursor has reserved, but nobody has been given yet, counts as allocated.
"""

import os
import sys

import gdb

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bareheap_heap import Heap, value  # noqa: E402
from bareheap_roots import Search, symbol  # noqa: E402


def human(count):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


def say(text):
    gdb.write(text + "\n")


def describe(heap, run, base):
    return f"{base:#x} ({heap.kind(run)}, {heap.object_bytes(run)} bytes)"


def address_of(argument, command):
    if not argument:
        raise gdb.GdbError(f"{command} ADDRESS: which one?")
    return int(gdb.parse_and_eval(argument).cast(gdb.lookup_type("unsigned long")))


class Bh(gdb.Command):
    """Look at Bareheap's heap: bh heap, bh spans, bh who ADDRESS, bh roots ADDRESS."""

    def __init__(self):
        super().__init__("bh", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class BhHeap(gdb.Command):
    """How much memory is where: regions, spans by kind, free runs."""

    def __init__(self):
        super().__init__("bh heap", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        heap = Heap()
        say(f"regions: {int(heap.page_heap['regions_count'])}, {human(int(heap.page_heap['region_bytes']))}, "
            f"{human(int(heap.page_heap['reserved_bytes']))} of it metadata")
        groups = {}
        for run in heap.spans():
            kind = "typed" if run.kind >= heap.typed_from else heap.kind(run)
            groups.setdefault(kind, []).append(run)
        for kind, runs in sorted(groups.items()):
            used = sum(heap.used(run) * heap.object_bytes(run) for run in runs)
            pages = sum(run.pages for run in runs) * heap.page_bytes
            say(f"{kind}: {len(runs)} spans, {human(pages)}, {sum(map(heap.used, runs))} objects, {human(used)} "
                f"({100 * used / pages:.1f} %)")
        free = [run.pages for run in heap.runs if heap.is_free(run)]
        own = [run.pages for run in heap.runs if not heap.is_free(run) and not heap.is_span(run)]
        say(f"own: {len(own)} runs, {human(sum(own) * heap.page_bytes)}")
        say(f"free: {len(free)} runs, {human(sum(free) * heap.page_bytes)}, the longest "
            f"{human(max(free, default=0) * heap.page_bytes)}")
        stats = value("collect_stats")
        if stats is not None:
            say(f"collector: {int(stats['cycles'])} cycles, {human(int(stats['live_bytes']))} live after the last")
        if heap.odd:
            say(f"odd: {len(heap.odd)} records make no sense, the first of page {heap.odd[0]:#x}: the heap is "
                "being changed, or damaged (call bh_heap_verify())")


class BhSpans(gdb.Command):
    """A line per span: bh spans [KIND|CLASS...]. KIND is manual, noscan, scan or typed."""

    def __init__(self):
        super().__init__("bh spans", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        heap, words = Heap(), gdb.string_to_argv(argument)
        kinds = [word for word in words if not word.isdigit()]
        classes = [int(word) for word in words if word.isdigit()]
        for kind in kinds:
            if kind not in ("manual", "noscan", "scan", "typed"):
                raise gdb.GdbError(f"bh spans: {kind} is no kind; there are manual, noscan, scan, typed")
        say("base               pages kind     class  bytes    used/room     full state")
        shown = 0
        for run in heap.spans():
            if (kinds and heap.kind(run).rstrip("0123456789") not in kinds) or (classes and run.size_class not in classes):
                continue
            used, room = heap.used(run), heap.room(run)
            swept = ", unswept" if heap.is_unswept(run) else ""
            say(f"{run.base:#018x} {run.pages:5} {heap.kind(run):8} {run.size_class:5} {heap.object_bytes(run):6} "
                f"{used:7}/{room:<7} {100 * used / room if room else 0:5.1f} % {heap.state(run)}{swept}")
            shown += 1
        say(f"{shown} spans")


class BhWho(gdb.Command):
    """What is at an address: bh who ADDRESS. Any expression of gdb's is an address."""

    def __init__(self):
        super().__init__("bh who", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        heap, address = Heap(), address_of(argument, "bh who")
        run = heap.run_at(address)
        if run is None:
            say(f"{address:#x} is in no page of the heap{symbol(address)}")
        elif heap.is_free(run):
            say(f"{address:#x} is in the free run {run.base:#x} of {run.pages} pages")
        elif not heap.is_span(run):
            say(f"{address:#x} is in {run.pages} pages from {run.base:#x} that the library has for itself")
        else:
            say(self.in_span(heap, run, address))

    @staticmethod
    def in_span(heap, run, address):
        span = f"the {heap.kind(run)} span {run.base:#x}, class {run.size_class}"
        found = heap.object_at(address)
        if found is None:
            return f"{address:#x} is behind the last object of {span}"
        _, number, base = found
        status = "allocated" if heap.is_allocated(run, number) else "free"
        if status == "allocated" and run.kind == heap.kinds["KIND_MANUAL"] and run.size_class:
            status = "allocated or in a cache"
        return (f"{address:#x} is byte {address - base} of object {number} ({base:#x}, {heap.object_bytes(run)} bytes, "
                f"{status}) of {span}")


class BhRoots(gdb.Command):
    """Why is an object alive: bh roots ADDRESS. Shows a shortest chain of references from a root."""

    def __init__(self):
        super().__init__("bh roots", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        heap, address = Heap(), address_of(argument, "bh roots")
        found = heap.object_at(address)
        if found is None or not heap.is_allocated(*found[:2]):
            raise gdb.GdbError(f"{address:#x} is in no allocated object; bh who {address:#x} says more")
        run, _, base = found
        if run.kind == heap.kinds["KIND_MANUAL"]:
            say(f"{describe(heap, run, base)} is alive until it is freed: it is not collected")
            return
        path = Search(heap).run(base)
        if path is None:
            say(f"{describe(heap, run, base)}: no root leads to it; it is garbage that no cycle has found yet")
            return
        say(f"{describe(heap, run, base)} is alive, {len(path)} reference{'s' if len(path) > 1 else ''} from a root:")
        for where, owner, target in path:
            self.show(heap, where, owner, target)

    @staticmethod
    def show(heap, where, owner, target):
        if owner is None:
            place = where.split(" at ")[-1].split("{")[0]
            say(f"  {where.format(symbol(int(place, 16)) if '{}' in where else '')}")
        to = describe(heap, heap.run_at(target), target)
        offset = "" if owner is None else f"{owner:#x} + {where - owner} "
        say(f"    {offset}-> {to}")


for command in (Bh, BhHeap, BhSpans, BhWho, BhRoots):
    command()
