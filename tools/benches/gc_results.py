# SPDX-License-Identifier: MIT
"""
What tools/bench-gc makes of its samples: measures, tables, and the verdict on each bar.

A cell is the median over the rounds, a ratio that of two medians, a geometric mean is over all rows that
both have finished. A pause of a row is the longest of each run, then the median of the runs.
"""

from benches.allocators import OURS
from benches.results import Bar, best_peer, geometric_mean, mean_ratio, medians, ratios

MEASURES = {
    "time": ("ms", lambda sample: sample.time_ns / 1e6),
    "CPU time": ("ms", lambda sample: sample.cpu_ns / 1e6),
    "peak memory": ("MiB", lambda sample: sample.peak_kib / 1024),
    "longest pause": ("ms", lambda sample: sample.more["pause_max_ns"] / 1e6),
    "99th percentile pause": ("ms", lambda sample: sample.more["pause_p99_ns"] / 1e6),
    "collections": ("", lambda sample: sample.more["cycles"]),
}
# row: the most that ours may take of the better peer's time
TIME_BARS = {"trees-1": 0.5, "trees-2": 0.5, "gcbench-1": 0.6, "gcbench-2": 0.6}
PEAK_ROWS = ("trees-1", "trees-2")  # no more than Go's
MARK_BAR = 0.25  # of libgc's, with one marker
SPEEDUP_BAR = 1.6  # of two markers
PAUSE_BAR = 0.5  # of libgc's, where the heap is the same: the graph
MEAN_BAR = 0.6


def cells_of(samples, measure):
    return medians(samples, measure, MEASURES)


def ratio_text(cell, name, other):
    if name not in cell or other not in cell or cell[other] == 0:
        return "-"
    return f"{cell[name] / cell[other]:.3f}"


def table(cells, measure, names):
    """The lines of one measure: medians, and ours to each peer."""
    peers = [name for name in names if name != OURS] if OURS in names else []
    title = f"{measure}, {MEASURES[measure][0]}".rstrip(", ")
    lines = [title.ljust(25) + "".join(f"{head:>11}" for head in names + ["/" + peer for peer in peers])]
    for row, cell in cells.items():
        figures = [f"{cell[name]:.2f}" if name in cell else "failed" for name in names]
        figures += [ratio_text(cell, OURS, peer) for peer in peers]
        lines.append(row.ljust(25) + "".join(f"{figure:>11}" for figure in figures))
    means = [f"{mean_ratio(without_zeros(cells), OURS, peer):.3f}" for peer in peers]
    if peers:
        lines.append("geometric mean of ratios".ljust(25 + 11 * len(names)) + "".join(f"{mean:>11}" for mean in means))
    return lines


def without_zeros(cells):
    """Rows without a collection have no pause, and a ratio to nothing is none."""
    return {row: {name: value for name, value in cell.items() if value > 0} for row, cell in cells.items()}


def at_most(text, figure, limit):
    return Bar(f"{text} <= {limit:g}", figure, figure <= limit)


def time_bars(time, peers):
    bars = []
    for row, limit in TIME_BARS.items():
        best = best_peer(time.get(row, {}), peers)
        if best and OURS in time[row]:
            bars.append(at_most(f"{row}: time / {best[0]}, the better peer", time[row][OURS] / best[1], limit))
    return bars


def peak_bars(peak):
    found = ratios(peak, OURS, "go")
    return [at_most(f"{row}: peak memory / go", found[row], 1) for row in PEAK_ROWS if row in found]


def graph_bars(time):
    bars = []
    found = ratios(time, OURS, "libgc")
    if "graph-1" in found:
        bars.append(at_most("graph-1: mark time per object / libgc", found["graph-1"], MARK_BAR))
    one, two = (time.get(row, {}).get(OURS) for row in ("graph-1", "graph-2"))
    if one and two:
        bars.append(Bar(f"graph: one marker / two markers >= {SPEEDUP_BAR}", one / two, one / two >= SPEEDUP_BAR))
    return bars


def pause_bars(pause):
    found = ratios(without_zeros(pause), OURS, "libgc")
    return [at_most(f"{row}: longest pause / libgc, on the same heap", found[row], PAUSE_BAR)
            for row in ("graph-1", "graph-2") if row in found]


def mean_bars(time, peers):
    found = {peer: ratios(time, OURS, peer) for peer in peers}
    return [at_most(f"geometric mean of time / {peer}, {len(values)} rows", geometric_mean(list(values.values())),
                    MEAN_BAR) for peer, values in found.items() if values]


def judge(samples, names):
    """All bars that the rows and columns allow."""
    peers = [name for name in names if name != OURS]
    time, peak, pause = (cells_of(samples, measure) for measure in ("time", "peak memory", "longest pause"))
    return time_bars(time, peers) + peak_bars(peak) + graph_bars(time) + pause_bars(pause) + mean_bars(time, peers)
