# SPDX-License-Identifier: MIT
"""
Programs that must not compile: what <bareheap/gc.h> refuses at compile time, with the words it has for it,
by both compilers; and beside them one of each sort that must compile.
"""

import os
import subprocess

from checks.files import ROOT

COMPILERS = ("gcc", "clang-14")
FLAGS = ("-std=gnu11", "-ffreestanding", "-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Wshadow", "-Werror",
         "-fsyntax-only", "-xc", "-")
PROGRAM = """
#include <bareheap/gc.h>
struct members {{
    long number;
    void *pointer;
    char text[8];
    double *row[3];
    uintptr_t tagged;
    struct members *last __attribute__((aligned(8)));
    void *far[60];
}};
struct __attribute__((packed)) skewed {{
    char first;
    void *pointer;
    char rest[7];
}};
BH_GC_TYPE(type, struct {tag}, {pointers});
"""
# (tag, pointers, what the compilers must say; None: nothing)
CASES = (
    ("members", "BH_GC_POINTER(struct members, pointer) | BH_GC_WORD(struct members, tagged)", None),
    ("members", "BH_GC_POINTERS(struct members, row) | BH_GC_POINTER(struct members, last)", None),
    ("members", "BH_GC_POINTER(struct members, number)", "number is no pointer"),
    ("members", "BH_GC_POINTER(struct members, text)", "text is no pointer"),
    ("members", "BH_GC_POINTER(struct members, row)", "row is no pointer"),
    ("members", "BH_GC_POINTERS(struct members, text)", "text is no array of pointers"),
    ("members", "BH_GC_WORD(struct members, row)", "row is no word"),
    ("members", "BH_GC_POINTERS(struct members, far)", "far is beyond the 64th word: BH_GC_TYPE_LARGE"),
    ("members", "BH_GC_POINTER(struct members, far[59])", "far[59] is beyond the 64th word: BH_GC_TYPE_LARGE"),
    ("skewed", "BH_GC_POINTER(struct skewed, pointer)", "pointer is not aligned"),
)


def complaints(compiler, tag, pointers):
    command = [compiler, "-I", os.path.join(ROOT, "include"), *FLAGS]
    return subprocess.run(command, input=PROGRAM.format(tag=tag, pointers=pointers), capture_output=True, text=True,
                          check=False).stderr


def check_refusals():
    findings = []
    for compiler in COMPILERS:
        for tag, pointers, words in CASES:
            said = complaints(compiler, tag, pointers)
            if (words is None and said) or (words is not None and f'"{words}"' not in said):
                findings.append(f"include/bareheap/gc.h:1: {compiler} should say {words or 'nothing'} about {pointers}; "
                                f"it says {said.strip() or 'nothing'}")
    return findings
