# SPDX-License-Identifier: MIT
"""
The collector's trace lines (gc/gctrace.c: Go's format, with KB for small heaps), read and plotted.
"""

import dataclasses
import re

from pictures.draw import Axes, line, rectangle, svg, text

NUMBER = r"(\d+(?:\.\d+)?)"
LINE = re.compile(rf"\bgc (\d+) @{NUMBER}s (\d+)%: {NUMBER}\+{NUMBER}\+{NUMBER} ms clock, .*?"
                  rf"(\d+)->(\d+)->(\d+) (KB|MB), (\d+) (?:KB|MB) goal\b.*?(\d+) P( \(forced\))?")
WIDTH, PLOT_HEIGHT, LEFT, GAP = 960, 200, 70, 75
BEFORE, LIVE, GOAL, PAUSE, FORCED, SHARE = "#c05020", "#2a7f3f", "#999999", "#3060b0", "#8a4fb0", "#b08a20"
GOAL_SHOWN = 4  # times the largest heap: a goal above that is "never", and would flatten the rest


@dataclasses.dataclass(frozen=True)
class Cycle:
    number: int
    end_s: float
    percent: int  # of the time since the start that the cores stood still
    sweep_ms: float
    mark_ms: float
    finish_ms: float
    before_mib: float
    after_mib: float
    live_mib: float
    goal_mib: float
    cores: int
    forced: bool

    @property
    def pause_ms(self):
        return self.sweep_ms + self.mark_ms + self.finish_ms


def read_cycles(lines):
    """The cycles of all trace lines among the lines, in order."""
    cycles = []
    for one in lines:
        found = LINE.search(one)
        if found:
            unit = 1 if found[10] == "MB" else 1 / 1024
            sizes = [int(found[i]) * unit for i in (7, 8, 9, 11)]
            cycles.append(Cycle(int(found[1]), float(found[2]), int(found[3]), float(found[4]), float(found[5]),
                                float(found[6]), *sizes, int(found[12]), found[13] is not None))
    return cycles


def _legend(y, entries):
    parts, x = [], WIDTH - 20
    for colour, words in reversed(entries):
        x -= 12 + 6.5 * len(words)
        parts += [rectangle(x - 14, y - 9, 10, 10, colour), text(x, y, words)]
        x -= 14
    return parts


def _heap(cycles, top, seconds):
    highest = max(cycle.before_mib for cycle in cycles) or 1 / 1024
    goals = [(c.end_s, min(c.goal_mib, GOAL_SHOWN * highest)) for c in cycles]
    unit, scale = ("MiB", 1) if highest >= 1 else ("KiB", 1024)
    axes = Axes(LEFT, top, WIDTH - LEFT - 20, PLOT_HEIGHT, seconds, scale * max(highest, *(g for _, g in goals)))
    saw = [point for c in cycles for point in ((c.end_s, scale * c.before_mib), (c.end_s, scale * c.live_mib))]
    return axes.frame("Collected heap at each cycle", "seconds", unit) + [
        axes.curve([(x, scale * y) for x, y in goals], GOAL, dashed=True), axes.curve(saw, BEFORE),
        axes.curve([(c.end_s, scale * c.live_mib) for c in cycles], LIVE),
    ] + _legend(top - 10, [(BEFORE, "before the cycle"), (LIVE, "live"), (GOAL, "goal it started at")])


def _pauses(cycles, top, seconds):
    axes = Axes(LEFT, top, WIDTH - LEFT - 20, PLOT_HEIGHT, seconds, max(c.pause_ms for c in cycles))
    parts = axes.frame("Pauses: all cores stood still", "seconds", "ms")
    for c in cycles:
        colour, words = (FORCED, ", forced") if c.forced else (PAUSE, "")
        title = (f"gc {c.number}{words}: {c.pause_ms:.3f} ms = sweep {c.sweep_ms:g} + mark {c.mark_ms:g} + "
                 f"rest {c.finish_ms:g}; {c.before_mib:.1f} -> {c.live_mib:.1f} MiB")
        parts += [line(axes.x(c.end_s), axes.y(0), axes.x(c.end_s), axes.y(c.pause_ms), colour, 1.5),
                  rectangle(axes.x(c.end_s) - 2, axes.y(c.pause_ms) - 2, 4, 4, colour, title)]
    return parts + _legend(top - 10, [(PAUSE, "started by growth"), (FORCED, "forced")])


def _share(cycles, top, seconds):
    axes = Axes(LEFT, top, WIDTH - LEFT - 20, PLOT_HEIGHT / 2, seconds, max(1, *(c.percent for c in cycles), 1))
    return axes.frame("Share of the time so far that the cores stood still", "seconds", "%") + [
        axes.curve([(c.end_s, c.percent) for c in cycles], SHARE)]


def plot(cycles, title):
    """An SVG of all cycles; there is at least one."""
    seconds = max(cycle.end_s for cycle in cycles) or 0.001
    pauses = sorted(cycle.pause_ms for cycle in cycles)
    p99 = pauses[min(len(pauses) - 1, len(pauses) * 99 // 100)]
    words = (f"{len(cycles)} cycles ({sum(c.forced for c in cycles)} forced) on {cycles[-1].cores} cores; pauses: "
             f"median {pauses[len(pauses) // 2]:.3f} ms, 99 % {p99:.3f} ms, longest {pauses[-1]:.3f} ms, "
             f"sum {sum(pauses):.1f} ms")
    top = 95
    parts = [text(20, 28, title, 17), text(20, 50, words, 12)]
    parts += _heap(cycles, top, seconds)
    parts += _pauses(cycles, top + PLOT_HEIGHT + GAP, seconds)
    parts += _share(cycles, top + 2 * (PLOT_HEIGHT + GAP), seconds)
    return svg(WIDTH, top + 2 * (PLOT_HEIGHT + GAP) + PLOT_HEIGHT // 2 + 50, parts)
