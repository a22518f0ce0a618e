# SPDX-License-Identifier: MIT
"""
From samples to the table, the geometric means and the verdict on each bar.

A cell is the median over the rounds. The ratio of a row is ours to the best peer of that row; the
geometric mean against a peer is over all rows that both have finished.
"""

import csv
import math
import statistics
from dataclasses import dataclass

from benches.allocators import OURS

MEASURES = {
    "time": ("ms", lambda sample: sample.time_ns / 1e6),
    "CPU time": ("ms", lambda sample: sample.cpu_ns / 1e6),
    "peak memory": ("MiB", lambda sample: sample.peak_kib / 1024),
}
WORST_ROW_BAR = 1.25
HARDENED_BAR = 1.30
REFERENCE = "mimalloc"


def medians(samples, measure, measures=MEASURES):
    """{row: {allocator: median}}, rows and allocators in the order of the samples."""
    value = measures[measure][1]
    cells = {}
    for sample in samples:
        cells.setdefault(sample.row, {}).setdefault(sample.allocator, []).append(value(sample))
    return {row: {name: statistics.median(values) for name, values in cell.items()} for row, cell in cells.items()}


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else math.nan


def ratios(cells, name, other):
    """{row: name / other} for the rows that have both."""
    return {row: cell[name] / cell[other] for row, cell in cells.items() if name in cell and other in cell}


def mean_ratio(cells, name, other):
    return geometric_mean(list(ratios(cells, name, other).values()))


def best_peer(cell, peers):
    """(name, value) of the least, or None when no peer finished."""
    found = [(cell[name], name) for name in peers if name in cell]
    return (min(found)[1], min(found)[0]) if found else None


def to_best(cells, name, peers):
    """{row: name / best peer}"""
    found = {}
    for row, cell in cells.items():
        best = best_peer(cell, peers)
        if best and name in cell:
            found[row] = cell[name] / best[1]
    return found


def comparisons(name, peers):
    """The columns of ratios behind the figures: [(title, what gives {row: ratio})]."""
    if name != OURS:
        return [("/plain", lambda cells: ratios(cells, name, OURS))]
    return [("/best", lambda cells: to_best(cells, name, peers)),
            (f"/{REFERENCE}", lambda cells: ratios(cells, name, REFERENCE))]


def table(cells, measure, names, peers):
    """The lines of one measure: medians, ours to the best peer and to mimalloc, a variant to ours, means."""
    unit = MEASURES[measure][0]
    compared = [name for name in names if name not in peers]
    heads = names + [title for name in compared for title, _ in comparisons(name, peers)]
    lines = [f"{measure}, {unit}".ljust(14) + "".join(f"{head[:15]:>{width(head)}}" for head in heads)]
    for row, cell in cells.items():
        texts = [f"{cell[name]:{width(name)}.1f}" if name in cell else "failed".rjust(width(name)) for name in names]
        for name in compared:
            for title, compare in comparisons(name, peers):
                found = compare({row: cell})
                texts.append((f"{found[row]:.2f}" if row in found else "-").rjust(width(title)))
        lines.append(row.ljust(14) + "".join(texts))
    return lines + ["geometric mean of ratios to " + f"{REFERENCE}: " + ", ".join(
        f"{name} {mean_ratio(cells, name, REFERENCE):.3f}" for name in names if name != REFERENCE)]


def width(head):
    return max(10, min(len(head), 15) + 2)


@dataclass
class Bar:
    text: str
    figure: float
    passed: bool

    def line(self):
        return f"  {'pass' if self.passed else 'MISS'}  {self.figure:6.3f}  {self.text}"


def means_bars(time, peak, peers):
    """The bars that compare with one peer each."""
    bars = []
    for peer in peers:
        mean = mean_ratio(time, OURS, peer)
        if peer == REFERENCE:
            bars.append(Bar(f"geometric mean of time / {peer} <= 1.00", mean, mean <= 1))
        else:
            bars.append(Bar(f"geometric mean of time / {peer} < 1.00", mean, mean < 1))
    if REFERENCE in peers:
        mean = mean_ratio(peak, OURS, REFERENCE)
        bars.append(Bar(f"geometric mean of peak memory / {REFERENCE} <= 1.00", mean, mean <= 1))
    return bars


def judge(time, peak, names, peers):
    """All bars that the columns allow; none without ours."""
    bars = []
    rows = to_best(time, OURS, peers)
    if rows:
        worst = max(rows, key=rows.get)
        over = [row for row in rows if rows[row] > WORST_ROW_BAR]
        remark = f" (above: {' '.join(sorted(over, key=rows.get, reverse=True))})" if over else f" (largest: {worst})"
        bars = means_bars(time, peak, peers)
        bars.append(Bar(f"no row's time above {WORST_ROW_BAR} x the best peer{remark}", rows[worst], not over))
    hardened = OURS + "-harden"
    if hardened in names and OURS in names:
        mean = mean_ratio(time, hardened, OURS)
        bars.append(Bar(f"geometric mean of time, hardened / plain <= {HARDENED_BAR:.2f}", mean, mean <= HARDENED_BAR))
    return bars


def write_csv(samples, path):
    """Every run, for other people's statistics."""
    more = sorted({key for sample in samples for key in sample.more})
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "allocator", "round", "time_ns", "user_us", "system_us", "peak_kib", "checksum", *more])
        for s in samples:
            writer.writerow([s.row, s.allocator, s.round, s.time_ns, s.user_us, s.system_us, s.peak_kib, s.checksum,
                             *[s.more.get(key, "") for key in more]])
