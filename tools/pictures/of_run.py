# SPDX-License-Identifier: MIT
"""
What `make run GCTRACE=1` leaves behind: of each boot in mode gc the heap dump and the trace lines, as text
and as pictures, and a page with links to all of them. Everything is in build/run/, anew with each run.
"""

import glob
import html
import os
import threading

from pictures.dump import DumpError, read_dumps
from pictures.gctrace import LINE as TRACE_LINE
from pictures.gctrace import plot, read_cycles
from pictures.page import STYLE, page


class RunPictures:
    """Called from the threads of the boots."""

    def __init__(self, folder):
        self.folder = folder
        self.lock = threading.Lock()
        self.lines = {}  # by boot: its lines of either kind
        self.made = {}  # title: the names of the pictures
        self.problems = []
        os.makedirs(folder, exist_ok=True)
        for pattern in ("index.html", "*.heap.txt", "*.heap.html", "*.gc.txt", "*.gc.svg"):
            for old in glob.glob(os.path.join(folder, pattern)):
                os.remove(old)

    def on_line(self, boot, line):
        if line.startswith("hd ") or TRACE_LINE.search(line):
            with self.lock:
                self.lines.setdefault(boot, []).append(line)

    def on_end(self, boot):
        lines = self.lines.pop(boot, [])
        dump = [line for line in lines if line.startswith("hd ")]
        trace = [line for line in lines if not line.startswith("hd ")]
        made = []
        try:
            if dump:
                made.append(self.draw(boot, "heap", dump, lambda: page(read_dumps(dump)[-1], f"The heap of {boot.title()}"), "html"))
            if trace:
                made.append(self.draw(boot, "gc", trace, lambda: plot(read_cycles(trace), f"Collections of {boot.title()}"), "svg"))
        except DumpError as error:
            self.problems.append(f"{boot.title()}: {error}")
        if made:
            with self.lock:
                self.made[boot.title()] = made

    def draw(self, boot, kind, lines, picture, suffix):
        """The lines and what they look like; the picture's name."""
        name = f"{boot.title().replace(' ', '-')}.{kind}"
        for end, content in ((".txt", lambda: "\n".join(lines) + "\n"), (f".{suffix}", picture)):
            with open(os.path.join(self.folder, name + end), "w", encoding="utf-8") as file:
                file.write(content())
        return f"{name}.{suffix}"

    def close(self):
        """Writes the page of links; lines that say where all is."""
        if not self.made:
            return [*self.problems, "no heap dumps and plots: they are of mode gc"]
        rows = "".join(f"<tr><td>{html.escape(title)}</td>" +
                       "".join(f'<td><a href="{name}">{name.rsplit(".", 2)[1]}</a></td>' for name in names) + "</tr>"
                       for title, names in sorted(self.made.items()))
        index = os.path.join(self.folder, "index.html")
        with open(index, "w", encoding="utf-8") as file:
            file.write(f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>make run</title>'
                       f"<style>{STYLE}</style></head><body><h1>make run GCTRACE=1</h1><p>heap: its map after the last of "
                       f"the collections that are forced along the trace; gc: heap and pauses over time.</p><table>{rows}</table></body></html>\n")
        return [*self.problems, f"heap maps (*.heap.html), plots of collections (*.gc.svg) and their text: {index}"]
