# SPDX-License-Identifier: MIT
"""Checks that only read text: licence lines, lengths, paths, tags, and whether scripts parse."""

import ast
import re
import shutil
import subprocess

from checks.files import all_files, lines_of, python_files, shell_files, sources

MAX_LINES = 500
# Written by a generator; the generator is what people read.
GENERATED = {"alloc/size_classes.h"}
# Homes and working folders of particular machines. The folder names are split so that this file
# does not find itself.
MACHINE_PATH = re.compile(r"(?<![\w.$)}-])/(?:wo" r"rk|ho" r"me|ro" r"ot|Us" r"ers)/\w+")
# [ALLOC-7]: defined in alloc/README.md, where it opens a line ("- **[ALLOC-7]** ...").
TAG = re.compile(r"\[((?:ALLOC|GC)-\d+)\]")
NOTES = {"ALLOC": "alloc/README.md", "GC": "gc/README.md"}


def check_spdx():
    return [f"{path}:1: no SPDX-License-Identifier in the first three lines"
            for path in sources()
            if not any("SPDX-License-Identifier: MIT" in line for line in lines_of(path)[:3])]


def check_length():
    return [f"{path}:{MAX_LINES}: {len(lines_of(path))} lines; the limit is {MAX_LINES}: split it by subject"
            for path in sources() if path not in GENERATED and len(lines_of(path)) > MAX_LINES]


def check_paths():
    findings = []
    for path in sources() + [f for f in all_files() if f.endswith(".md")]:
        for number, line in enumerate(lines_of(path), 1):
            match = MACHINE_PATH.search(line)
            if match:
                findings.append(f"{path}:{number}: {match[0]} is a path of one machine")
    return findings


def defined_tags(note):
    """Tags that open a line or a table row of a design note, behind marks of lists and emphasis."""
    try:
        lines = lines_of(note)
    except OSError:
        return set()
    return {m[1] for line in lines if (m := re.match(r"[\s|*#>-]*`?\[((?:ALLOC|GC)-\d+)\]", line))}


def check_tags():
    defined = {kind: defined_tags(note) for kind, note in NOTES.items()}
    findings = []
    for path in sources():
        for number, line in enumerate(lines_of(path), 1):
            for tag in TAG.findall(line):
                kind = tag.split("-")[0]
                if tag not in defined[kind] and not path.startswith("tools/checks/"):
                    findings.append(f"{path}:{number}: [{tag}] is not in {NOTES[kind]}")
    return findings


def check_scripts():
    findings = []
    for path in python_files():
        try:
            ast.parse("\n".join(lines_of(path)), path)
        except SyntaxError as error:
            findings.append(f"{path}:{error.lineno}: {error.msg}")
    for path in shell_files():
        command = ["shellcheck", "--severity=warning", "-f", "gcc", path] if shutil.which("shellcheck") else ["sh", "-n", path]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            findings += (result.stdout + result.stderr).strip().splitlines()
    return findings
