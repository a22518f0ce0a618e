# SPDX-License-Identifier: MIT
"""What the pictures share: SVG elements, numbers for people, axes."""

import html
import math

FONT = "font-family:system-ui,sans-serif"
INK, FAINT, GRID = "#222", "#777", "#ddd"


def human_bytes(count):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


def percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "-"


def mixed(colour, share):
    """A colour #rrggbb on white: share 0 is nearly white, 1 is the colour."""
    share = 0.15 + 0.85 * max(0.0, min(1.0, share))
    parts = (int(colour[i:i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - part) * share):02x}" for part in parts)


def rectangle(x, y, width, height, fill, title="", stroke="none"):
    inside = f"<title>{html.escape(title)}</title>" if title else ""
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.3):.1f}" height="{max(height, 0.3):.1f}" '
            f'fill="{fill}" stroke="{stroke}">{inside}</rect>')


def text(x, y, words, size=11, anchor="start", fill=INK):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{fill}">{html.escape(str(words))}</text>')


def line(x1, y1, x2, y2, colour=GRID, width=1.0):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" stroke-width="{width}"/>')


def svg(width, height, elements):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" style="{FONT};background:#fff">' + "\n".join(elements) + "</svg>\n")


def ticks(high, most=6):
    """Round values from 0 to at least `high`."""
    if high <= 0:
        return [0, 1]
    step = 10 ** math.floor(math.log10(high / most))
    step *= next(factor for factor in (1, 2, 5, 10) if step * factor * most >= high)
    return [step * i for i in range(math.ceil(high / step - 1e-9) + 1)]


class Axes:
    """A plot's frame: [0, x_high] and [0, y_high] onto a rectangle of the drawing."""

    def __init__(self, left, top, width, height, x_high, y_high):
        self.left, self.top, self.width, self.height = left, top, width, height
        self.x_ticks, self.y_ticks = ticks(x_high, 10), ticks(y_high, 5)

    def x(self, value):
        return self.left + self.width * value / self.x_ticks[-1]

    def y(self, value):
        return self.top + self.height * (1 - value / self.y_ticks[-1])

    def frame(self, title, x_label, y_label):
        bottom = self.top + self.height
        parts = [text(self.left, self.top - 10, title, 13), text(self.left + self.width, bottom + 32, x_label, 11, "end", FAINT),
                 text(self.left - 50, self.top - 10, y_label, 11, "start", FAINT)]
        for value in self.y_ticks:
            parts += [line(self.left, self.y(value), self.left + self.width, self.y(value)),
                      text(self.left - 6, self.y(value) + 4, f"{value:g}", 10, "end", FAINT)]
        for value in self.x_ticks:
            parts += [line(self.x(value), bottom, self.x(value), bottom + 4, FAINT),
                      text(self.x(value), bottom + 16, f"{value:g}", 10, "middle", FAINT)]
        return parts

    def curve(self, points, colour, dashed=False):
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        dash = ' stroke-dasharray="5 3"' if dashed else ""
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>'
