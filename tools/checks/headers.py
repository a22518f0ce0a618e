# SPDX-License-Identifier: MIT
"""
The public headers in C++: each alone, without a warning by g++ and clang++, and everything they declare
with the linkage of C (a second declaration that says so is an error where the first did not).
"""

import glob
import os
import re
import subprocess

from checks.files import ROOT, lines_of

COMPILERS = ("g++", "clang++-14")
FLAGS = ("-std=c++17", "-ffreestanding", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wundef", "-Wshadow",
         "-Wold-style-cast", "-Werror", "-fsyntax-only", "-DBH_PORT_IRQ=1", "-DBH_PORT_ALONE=1", "-xc++", "-")
FUNCTION = re.compile(r"^(?!static)[a-z][\w ]*[ *](bh_\w+)\(")


def complaint(compiler, header, names):
    """What the compiler says first about the header alone; empty when nothing."""
    program = [f"#include <bareheap/{header}>", *(f'extern "C" decltype({name}) {name};' for name in names)]
    command = [compiler, "-I", os.path.join(ROOT, "include"), *FLAGS]
    done = subprocess.run(command, input="\n".join(program) + "\n", capture_output=True, text=True, check=False)
    return next((line for line in done.stderr.splitlines() if "error:" in line), done.stderr.strip()[:200])


def check_headers():
    findings = []
    for path in sorted(glob.glob("include/bareheap/*.h")):
        names = [match[1] for match in map(FUNCTION.match, lines_of(path)) if match]
        for compiler in COMPILERS:
            said = complaint(compiler, os.path.basename(path), names)
            if said:
                findings.append(f"{path}:1: {compiler}: {said}")
    return findings
