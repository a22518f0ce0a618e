# SPDX-License-Identifier: MIT
"""Which files the checks look at: what git tracks or would track, by kind."""

import functools
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED_FOLDERS = {".git", "build", "__pycache__"}
# Recorded data and what the recorded programs read: not ours to format or license.
DATA_FOLDERS = ("tests/traces/input/",)


def walk_files():
    for folder, folders, names in os.walk("."):
        folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), ".")


@functools.lru_cache(maxsize=None)
def all_files():
    """Every file of the project, sorted; a copy without .git is walked."""
    try:
        output = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], check=True,
                                capture_output=True, text=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        output = walk_files()
    return sorted(f for f in output if os.path.isfile(f) and not f.startswith(DATA_FOLDERS))


@functools.lru_cache(maxsize=None)
def lines_of(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def c_files():
    return [f for f in all_files() if f.endswith((".c", ".h"))]


def interpreter(path):
    """The program a script names in its first line: "python3", "sh", or ""."""
    with open(path, "rb") as file:
        first = file.readline(80).decode("utf-8", "replace")
    return os.path.basename(first.split()[-1]) if first.startswith("#!") and first.split() else ""


def python_files():
    return [f for f in all_files() if f.endswith(".py") or interpreter(f) == "python3"]


def shell_files():
    return [f for f in all_files() if f.endswith(".sh") or interpreter(f) in ("sh", "bash")]


def sources():
    """Everything that somebody wrote as code."""
    code = (".c", ".h", ".S", ".ld", ".mk")
    scripts = set(python_files()) | set(shell_files())
    return [f for f in all_files() if f.endswith(code) or f in scripts or os.path.basename(f) == "Makefile"]
