# SPDX-License-Identifier: MIT
"""
Floors: a file includes only its own floor, those below, and include/bareheap/.

Two rules beside the order: the allocator is seen from above through alloc/walk.h alone (its own
tests excepted), and port.h belongs to the floors that call hooks or implement them.
"""

import re

from checks.files import all_files, lines_of

FLOORS = ("arch", "kernel-lib", "alloc", "gc", "boards", "tests")
OPEN_TO_GC = {"alloc/walk.h"}
INCLUDE = re.compile(r'\s*#\s*include\s+(["<])([^">]+)[">]')


def floor_of(path):
    """The floor's number, or None for files and headers that are on no floor."""
    folder = path.split("/")[0]
    return FLOORS.index(folder) if folder in FLOORS else None


def finding(path, target):
    """What is wrong with `path` including `target`, or None."""
    here, there = floor_of(path), floor_of(target)
    if here is None or there is None:
        return None
    if there > here:
        return (f'includes "{target}", a floor above ({FLOORS[there]} over {FLOORS[here]}); '
                "move what both need to the lower floor")
    sees_walk_only = FLOORS[here] in ("gc", "boards")
    if FLOORS[there] == "alloc" and sees_walk_only and target not in OPEN_TO_GC:
        return f'includes "{target}"; above the allocator only alloc/walk.h is visible'
    return None


def check_layers():
    findings = []
    for path in all_files():
        if not path.endswith((".c", ".h", ".S")):
            continue
        for number, line in enumerate(lines_of(path), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            problem = finding(path, match[2])
            if not problem and match[1] == '"' and "/" not in match[2] and floor_of(path) is not None:
                problem = f'includes "{match[2]}" without its folder; write "floor/file.h"'
            if problem:
                findings.append(f"{path}:{number}: {problem}")
    return findings
