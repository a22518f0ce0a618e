# SPDX-License-Identifier: MIT
"""
The bar chart: bench.svg, drawn by gnuplot from bench.gp, which this writes.

A panel for each measure, side by side. Each row has a bar per column from 1, which is the reference, to its
ratio to the reference, on a logarithmic axis: to the left is less, and twice as much is as long as half.
Colours are those of Okabe and Ito, which people who do not see all colours can tell apart.
"""

import subprocess
from dataclasses import dataclass

from benches.results import REFERENCE, geometric_mean, ratios

COLOURS = {"glibc": "#999999", "go": "#56B4E9", "jemalloc": "#E69F00", "tcmalloc": "#56B4E9", "bareheap": "#0072B2",
           "bareheap-harden": "#D55E00"}
OTHER_COLOUR = "#CC79A7"
MEAN = "GEOMETRIC MEAN"
BAR = 0.8  # of a row's height, all bars together
ROW_PIXELS = 13  # for each bar
NEAR_ONE = (0.8, 1.25)  # marks on an axis that is fine enough for them


@dataclass
class Style:
    reference: str = REFERENCE
    limits: tuple = (1 / 4, 8)  # what is farther out is cut, with its figure beside it
    title: str = "written by tools/bench"


BENCH = Style()


def panel_data(cells, name, reference):
    """[(row, ratio)]: the mean first, then the rows; a row that failed is left out."""
    found = ratios(cells, name, reference)
    mean = geometric_mean(list(found.values()))
    return [(MEAN, mean)] + [(row, found[row]) for row in cells if row in found]


def boxes(cells, name, place, count, style):
    """Lines "x y low high bottom top text text-x" of one allocator; the first row is on top."""
    labels = [MEAN, *cells]
    lines = []
    for row, ratio in panel_data(cells, name, style.reference):
        top = len(labels) - labels.index(row) + BAR / 2 - place * BAR / count
        bottom = top - BAR / count
        shown = min(max(ratio, style.limits[0]), style.limits[1])
        text = f"{ratio:.2g}" if shown != ratio else ""
        lines.append(f'{shown:.4f} {(top + bottom) / 2:.4f} {min(1, shown):.4f} {max(1, shown):.4f} '
                     f'{bottom:.4f} {top:.4f} "{text}" {max(1, shown):.4f}')
    return lines


def datablocks(panels, names, style):
    parts = []
    for number, (_, cells) in enumerate(panels):
        for place, name in enumerate(names):
            parts += [f"$p{number}_{place} << END", *boxes(cells, name, place, len(names), style), "END"]
    return parts


def plot_command(number, names):
    plots = []
    for place, name in enumerate(names):
        colour = COLOURS.get(name, OTHER_COLOUR)
        plots.append(f"$p{number}_{place} using 1:2:3:4:5:6 with boxxyerror fillstyle solid 1 noborder "
                     f"linecolor rgb '{colour}' title '{name}'")
        plots.append(f"$p{number}_{place} using 8:2:7 with labels left offset 0.3,0 font ',8' notitle")
    return "plot " + ", \\\n     ".join(plots)


def panel(number, panels, names, style):
    title, cells = panels[number]
    between = len(cells) + 0.5  # the mean and the rows
    width = 0.90 / len(panels)
    left, right = 0.13 + number * (width - 0.02), 0.11 + (number + 1) * (width - 0.02)
    labels = [MEAN, *cells]
    tics = ", ".join(f"'{label if number == 0 else ''}' {len(labels) - at}" for at, label in enumerate(labels))
    return [
        f"set lmargin at screen {left:.3f}", f"set rmargin at screen {right:.3f}",
        f"set title '{title}, {style.reference} = 1 (less is better)' noenhanced",
        f"set ytics ({tics}) nomirror noenhanced",
        f"set yrange [0.4:{len(labels) + 0.6}]",
        "set arrow 1 from 1, graph 0 to 1, graph 1 nohead linecolor rgb 'black' linewidth 1.5 front",
        f"set arrow 2 from graph 0, first {between} to graph 1, first {between} nohead linecolor rgb '#666666'",
        "set key off" if number else
        f"set key at screen 0.5, screen 0.012 center bottom horizontal samplen 1.5 maxcols {len(names)} noenhanced",
        plot_command(number, names),
    ]


def marks(limits):
    """The figures at the axis: powers of two, and on a short axis two near 1."""
    shown = [(f"1/{2 ** at}", 2.0 ** -at) for at in range(8, 0, -1)] + [(str(2 ** at), 2.0 ** at) for at in range(8)]
    if limits[1] / limits[0] <= 32:
        shown += [(str(mark), mark) for mark in NEAR_ONE]
    shown = sorted((at, text) for text, at in shown if limits[0] <= at <= limits[1])
    return ", ".join(f"'{text}' {at}" for at, text in shown)


def script(panels, names, output, subtitle, style=BENCH):
    """The whole gnuplot program."""
    rows = max(len(cells) for _, cells in panels) + 1
    height = max(300, rows * (ROW_PIXELS * len(names) // 2 + 8) + 150)
    lines = [
        f"# For gnuplot 5.4; {style.title}.",
        f"set terminal svg size 1200,{height} font 'sans-serif,12' background rgb 'white'",
        f"set output '{output}'",
        *datablocks(panels, names, style),
        f"set multiplot title '{subtitle}' noenhanced font ',13'",
        f"set tmargin at screen {1 - 75 / height:.4f}", f"set bmargin at screen {75 / height:.4f}",
        "set logscale x 2", f"set xrange [{style.limits[0] * 0.9}:{style.limits[1] * 1.25}]",
        f"set xtics ({marks(style.limits)}) nomirror font ',9'",
        "set grid xtics linecolor rgb '#dddddd' linetype 1", "set tics scale 0.3", "set border 3",
    ]
    for number in range(len(panels)):
        lines += panel(number, panels, names, style)
    return "\n".join([*lines, "unset multiplot", ""])


def draw(panels, names, folder, subtitle, style=BENCH):
    """Writes bench.gp and bench.svg. Returns the chart's path and "", or None and why there is none."""
    shown = [name for name in names if name != style.reference]
    if style.reference not in names or not shown:
        return None, f"no chart: it shows ratios to {style.reference}, which is not among the columns with another"
    with open(f"{folder}/bench.gp", "w", encoding="utf-8") as file:
        file.write(script(panels, shown, "bench.svg", subtitle, style))
    try:
        result = subprocess.run(["gnuplot", "bench.gp"], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return None, "no chart: gnuplot is not installed (package gnuplot-nox)"
    if result.returncode:
        return None, f"no chart: gnuplot said: {result.stderr.strip()}"
    return f"{folder}/bench.svg", ""
