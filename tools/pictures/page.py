# SPDX-License-Identifier: MIT
"""
A heap dump as one HTML page, without scripts: figures, the map, size classes, fullness, free runs,
the biggest retained trees.
"""

import html

from pictures.draw import human_bytes, mixed, percent, rectangle, svg, text
from pictures.dump import Span
from pictures.retained import Retained

COLOURS = {"manual": "#c8641e", "noscan": "#2f6db5", "scan": "#2e8b57", "typed": "#8a4fb0"}
OWN, FREE, UNBACKED = "#8c8c8c", "#ececec", "#ffffff"
COLUMNS, CELL = 128, 7  # of the map: pages in a row, and a page's size in the drawing
EMPTY_ROWS_SHOWN = 2  # of a free run; the rest is said in words
TREES, TREE_CHILDREN, TREE_DEPTH = 25, 8, 6

STYLE = """body{font-family:system-ui,sans-serif;color:#222;max-width:1000px;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;font-size:13px}td,th{padding:2px 10px;text-align:right;border-bottom:1px solid #eee}
th{color:#666;font-weight:normal}td:first-child,th:first-child{text-align:left}
h2{margin-top:1.8em;font-size:17px}p,li,summary{font-size:14px}code{font-size:13px}.faint{color:#777}
details{margin-left:1.3em}summary{cursor:pointer}.leaf{margin-left:2.4em;font-size:14px}
.bar{display:inline-block;height:9px;background:#2e8b57;margin-right:8px}"""


def table(headings, rows):
    cells = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"


# ---- Figures ----

def figures(dump):
    """Pairs (name, value) that say how the heap is."""
    stats, region = dump.stats, sum(region.bytes for region in dump.regions)
    return [
        ("regions", f"{len(dump.regions)}, {human_bytes(region)}"),
        ("metadata", human_bytes(stats["metadata_bytes"])),
        ("in spans", f"{human_bytes(dump.heap_bytes())} in {len(dump.spans)} spans; at the peak {human_bytes(stats['heap_peak_bytes'])}"),
        ("in use", f"{human_bytes(dump.used_bytes())}, {percent(dump.used_bytes(), dump.heap_bytes())} of the spans"),
        ("manual objects", f"{dump.totals['manual_objs']:,}, {human_bytes(dump.totals['manual_bytes'])}, "
                           f"of which in caches {human_bytes(stats['cached_bytes'])}"),
        ("collected objects", f"{dump.totals['collected_objs']:,}, {human_bytes(dump.totals['collected_bytes'])}"),
        ("the collector", f"{dump.cycles} cycles; {human_bytes(dump.live_bytes)} live after the last, "
                          f"goal {human_bytes(dump.goal_bytes)}, {dump.cores} cores"),
        ("free pages", f"{human_bytes(dump.free_bytes())} in {len(dump.free)} runs, of which without memory "
                       f"{human_bytes(stats['released_bytes'])}"),
        ("fragmentation inside spans", f"free slots {human_bytes(dump.free_slot_bytes())} "
                                       f"({percent(dump.free_slot_bytes(), dump.heap_bytes())}), tails "
                                       f"{human_bytes(dump.tail_bytes())} ({percent(dump.tail_bytes(), dump.heap_bytes())})"),
        ("fragmentation of free pages", f"{100 * dump.external_fragmentation():.1f} % are not in the largest run"),
    ]


# ---- The map ----

def _look_of(run):
    """Colour and words of a run."""
    if isinstance(run, Span):
        what = f"class {run.size_class}" if run.size_class else "large"
        return (mixed(COLOURS[run.family()], run.fullness()),
                f"{run.base:#x}: {run.kind} span, {what}, {run.used} of {run.room} objects of {run.object_bytes} bytes, "
                f"{run.pages} pages")
    if run.is_free:
        colour = UNBACKED if run.unbacked_pages == run.pages else FREE
        return colour, f"{run.base:#x}: free, {run.pages} pages, {run.unbacked_pages} of them without memory"
    return OWN, f"{run.base:#x}: {run.pages} pages for the allocator and the collector themselves"


class _Map:
    """Rows of pages from the top down; a long free run is cut short."""

    def __init__(self):
        self.parts, self.top, self.column = [], 0.0, 0

    def new_row(self):
        if self.column:
            self.top, self.column = self.top + CELL + 1, 0

    def note(self, words):
        self.new_row()
        self.parts.append(text(0, self.top + 13, words, 11, fill="#666"))
        self.top += 20

    def cells(self, pages, colour, words):
        """`pages` pages, of which the rest of this row and the next ones are filled."""
        while pages:
            here = min(pages, COLUMNS - self.column)
            self.parts.append(rectangle(self.column * CELL, self.top, here * CELL - 0.7, CELL, colour, words, "#bbb" if colour == UNBACKED else "none"))
            self.column, pages = self.column + here, pages - here
            if self.column == COLUMNS:
                self.new_row()

    def run(self, run):
        colour, words = _look_of(run)
        most = COLUMNS - self.column + EMPTY_ROWS_SHOWN * COLUMNS
        if isinstance(run, Span) or run.pages <= most + 2 * COLUMNS:
            self.cells(run.pages, colour, words)
            return
        left = (run.pages - most) // COLUMNS * COLUMNS
        self.cells(most, colour, words)
        self.note(f"… {left:,} more pages of this run …")
        self.cells(run.pages - most - left, colour, words)


def heap_map(dump):
    drawn = _Map()
    for region in dump.regions:
        drawn.note(f"region {region.base:#x}, {human_bytes(region.bytes)}")
        for run in region.runs:
            drawn.run(run)
        drawn.new_row()
    return svg(COLUMNS * CELL, int(drawn.top) + 4, drawn.parts)


def legend():
    entries = [(colour, kind) for kind, colour in COLOURS.items()]
    entries += [(OWN, "the library's own"), (FREE, "free"), (UNBACKED, "free, without memory")]
    parts, x = [], 0
    for colour, words in entries:
        parts += [rectangle(x, 3, 12, 12, colour, "", "#bbb"), text(x + 17, 13, words)]
        x += 34 + 7 * len(words)
    parts.append(text(0, 36, "The fuller a span, the darker it is. Each cell is a page of 8 KiB; point at one for its figures."))
    return svg(COLUMNS * CELL, 44, parts)


# ---- Classes, fullness, free runs ----

def class_rows(dump):
    """A row per kind and size class, the one that wastes most first."""
    groups = {}
    for span in dump.spans:
        groups.setdefault((span.family(), span.size_class), []).append(span)
    rows = []
    for (family, size_class), spans in groups.items():
        used, room = sum(s.used for s in spans), sum(s.room for s in spans)
        pages, size = sum(s.pages for s in spans), spans[0].object_bytes
        waste = sum(s.pages * dump.page_bytes - s.used * s.object_bytes for s in spans)
        rows.append((waste, (family, size_class or "large", size if size_class else "-", len(spans), human_bytes(pages * dump.page_bytes),
                             f"{used:,}", f"{room:,}", percent(used, room), human_bytes(waste))))
    return [row for _, row in sorted(rows, key=lambda pair: (-pair[0], pair[1][0], str(pair[1][1])))]


def bars(pairs, width=560):
    """A horizontal bar for each (name, value, words)."""
    most = max((value for _, value, _ in pairs), default=0) or 1
    parts = []
    for i, (name, value, words) in enumerate(pairs):
        y = 18 * i
        parts += [text(120, y + 13, name, 11, "end"), rectangle(128, y + 3, width * value / most, 12, "#6c8ebf"),
                  text(134 + width * value / most, y + 13, words, 11)]
    return svg(COLUMNS * CELL, 18 * len(pairs) + 6, parts)


def fullness_bars(dump):
    small = [span for span in dump.spans if span.size_class]
    counts = [[s for s in small if min(9, int(10 * s.fullness())) == tenth] for tenth in range(10)]
    return bars([(f"{10 * i} to {10 * i + 10} %", len(spans),
                  f"{len(spans)} spans, {human_bytes(sum(s.pages for s in spans) * dump.page_bytes)}")
                 for i, spans in enumerate(counts)])


def free_run_bars(dump):
    groups = {}
    for run in dump.free:
        groups.setdefault(run.pages.bit_length() - 1, []).append(run)
    pairs = []
    for power in range(max(groups, default=-1) + 1):
        runs = groups.get(power, [])
        name = f"{1 << power}" if power == 0 else f"{1 << power} to {(2 << power) - 1}"
        pairs.append((name + " pages", len(runs), f"{len(runs)} runs, {human_bytes(sum(r.pages for r in runs) * dump.page_bytes)}"))
    return bars(pairs) if pairs else "<p>There is no free page.</p>"


# ---- Retained trees ----

def _tree_line(tree, number, index, page_bytes):
    address = tree.address[number]
    span = index[address // page_bytes]
    share = tree.retained[number] / (tree.retained[0] or 1)
    return (f'<span class="bar" style="width:{max(1, round(160 * share))}px"></span>'
            f"<b>{human_bytes(tree.retained[number])}</b> ({100 * share:.1f} %) retained by <code>{address:#x}</code>, "
            f"{span.kind}, {span.object_bytes} bytes")


def _tree(tree, number, index, page_bytes, depth):
    """An object and what it retains, folded."""
    chain = tree.chain(number)
    last = chain[-1]
    head = _tree_line(tree, number, index, page_bytes)
    if len(chain) > 2:
        head += f', <span class="faint">then {len(chain) - 1:,} one after another</span>'
        number = last
    elif len(chain) == 2:
        last = number
    children = tree.children[last]
    if not children or depth == 0:
        return f'<div class="leaf">{head}</div>'
    inside = "".join(_tree(tree, child, index, page_bytes, depth - 1) for child in children[:TREE_CHILDREN])
    if len(children) > TREE_CHILDREN:
        rest = sum(tree.retained[child] for child in children[TREE_CHILDREN:])
        inside += f'<div class="leaf faint">and {len(children) - TREE_CHILDREN:,} more, {human_bytes(rest)}</div>'
    return f"<details><summary>{head}</summary>{inside}</details>"


def retained_trees(dump, tree):
    index = dump.span_index()
    parts = [f"<p>{tree.reached_objects():,} objects are reached from the roots ("
             + ", ".join(f"{kind}: {len(addresses):,}" for kind, addresses in sorted(dump.roots.items()))
             + f"); {human_bytes(tree.unreached_bytes())} of those listed are not, and wait for the next cycle. "
             "A tree is what would be garbage without the object at its top.</p>"]
    if dump.objects_cut:
        parts.append(f"<p><b>The dump left {dump.objects_cut:,} objects out</b> (BH_GC_DUMP_ITEMS): "
                     "retained sizes are of the listed part only.</p>")
    parts += [_tree(tree, number, index, dump.page_bytes, TREE_DEPTH) for number in tree.biggest(TREES)]
    return "".join(parts)


# ---- The page ----

def page(dump, title):
    tree = Retained(dump)
    sections = [
        (None, table(("", ""), figures(dump))),
        ("Map", legend() + heap_map(dump)),
        ("Size classes, the most unused memory first",
         table(("kind", "class", "bytes", "spans", "memory", "used", "room", "full", "unused"), class_rows(dump))),
        ("Spans by fullness", fullness_bars(dump)),
        ("Free runs by length", free_run_bars(dump)),
        ("The biggest retained trees", retained_trees(dump, tree)),
    ]
    body = "".join((f"<h2>{html.escape(name)}</h2>" if name else "") + content for name, content in sections)
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
            f"<style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>{body}</body></html>\n")
