#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The preload library under ordinary programs.

0. The library shows the names of the family and no other.
1. The programs of this folder test the family, threads, forks, limits, the operators of C++.
2. Real programs (programs.py) do some work without the library and with it: what they print, their exit
   status and the files they make must be the same.
3. Both with every variant of the library there is: plain, debug, hardened.

    tests/preload/selftest.py [--variant debug] [--case 'git*'] [--library FILE]

A program that is not installed is skipped, with a word why; so is what one of ours says it cannot do ("skip: ..."). Ends with "N passed, N failed".
"""

import argparse
import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from programs import PROGRAMS  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
OURS = ("family", "threads", "caches", "forks", "errno", "limits", "ends", "operators")
VARIANTS = ("plain", "debug", "harden")
# All that the library may show: the family, glibc's own names for it, and the operators of C++.
NAMES = set("""
malloc calloc realloc free posix_memalign aligned_alloc memalign valloc pvalloc reallocarray free_sized free_aligned_sized
malloc_usable_size mallinfo mallinfo2 malloc_trim malloc_stats mallopt cfree __posix_memalign
""".split())
NAMES |= {f"__libc_{name}" for name in "malloc calloc realloc free cfree memalign valloc pvalloc".split()}
for kind in "wa":
    new, delete = f"_Zn{kind}m", f"_Zd{'l' if kind == 'w' else 'a'}Pv"
    NAMES |= {new + rest for rest in ("", "RKSt9nothrow_t", "St11align_val_t", "St11align_val_tRKSt9nothrow_t")}
    NAMES |= {delete + rest for rest in ("", "m", "RKSt9nothrow_t", "St11align_val_t", "mSt11align_val_t",
                                         "St11align_val_tRKSt9nothrow_t")}
NOT_LOADED = b"cannot be preloaded"  # for ld.so only a warning
TIMEOUT_S = 300  # finds hangs, measures nothing


def library_of(variant):
    folder = "host" if variant == "plain" else f"host-{variant}"
    return os.path.join(BUILD, folder, "libbareheap-preload.so")


def run(command, folder, library=None):
    """(exit status, output) of a command; with the library preloaded into it and what it starts."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BAREHEAP_")}
    environment.update(LC_ALL="C.UTF-8", PYTHONHASHSEED="0", PERL_HASH_SEED="0", HOME=folder, TZ="UTC")
    if library:
        environment["LD_PRELOAD"] = library
    try:
        done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S, check=False)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        return "a hang", error.stdout or b""


def contents_of(folder, inputs):
    """What a program left in its folder: {name: bytes}, but for what it was given."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            full = os.path.join(path, name)
            relative = os.path.relpath(full, folder)
            if relative not in inputs and os.path.isfile(full):
                with open(full, "rb") as file:
                    found[relative] = file.read()
    return found


def do_work(program, inputs, library):
    """Runs a real program's script on a copy of its inputs. (status, output, files)"""
    with tempfile.TemporaryDirectory(prefix="bareheap-") as folder:
        shutil.copytree(inputs, folder, dirs_exist_ok=True)
        given = set(contents_of(folder, ()))
        status, output = run(["sh", "-eu", "-c", program.script], folder, library)
        output = output.replace(folder.encode(), b"FOLDER")
        return status, output, contents_of(folder, given) if program.compare_files else {}


def difference(before, after):
    """The first difference in words, or ""."""
    if after[0] != before[0]:
        return f"exit status {after[0]} instead of {before[0]}: {tail(after[1])}"
    if after[1] != before[1]:
        return f"its output differs: {tail(after[1])}"
    for name in sorted(set(before[2]) | set(after[2])):
        if before[2].get(name) != after[2].get(name):
            return f"the file {name} differs"
    return ""


def tail(output):
    return output.decode("utf-8", "replace")[-600:].strip() or "(no output)"


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def count(self, name, problem, started):
        self.passed += not problem
        self.failed += bool(problem)
        print(f"  {'FAILED' if problem else 'ok':6} {name} ({time.monotonic() - started:.1f} s)"
              f"{': ' + problem if problem else ''}", flush=True)

    def skip(self, name, reason):
        print(f"  skip   {name}: {reason}", flush=True)


def test_names(tally, variants):
    for variant, library in variants.items():
        started = time.monotonic()
        output = subprocess.run(["nm", "-D", "--defined-only", "--format=posix", library], check=True,
                                capture_output=True, text=True).stdout
        shown = {line.split()[0] for line in output.splitlines()}
        problems = [f"{name} is missing" for name in sorted(NAMES - shown)]
        problems += [f"{name} is shown" for name in sorted(shown - NAMES)]
        tally.count(f"names {variant}", ", ".join(problems), started)


def test_ours(tally, variants, wanted):
    folder = os.path.join(BUILD, "host", "preload-tests")
    for name in OURS:
        program = os.path.join(folder, name)
        for variant, library in variants.items():
            title = f"{name} {variant}"
            if not fnmatch.fnmatch(name, wanted):
                continue
            if not os.path.exists(program):
                tally.skip(title, "not built: there is no g++" if name == "operators" else "not built")
                continue
            started = time.monotonic()
            status, output = run([program], folder, library)
            good = status == 0 and output.endswith(b"ok\n") and NOT_LOADED not in output
            tally.count(title, "" if good else f"exit status {status}: {tail(output)}", started)
            for line in output.decode("utf-8", "replace").splitlines():
                if line.startswith("skip: "):
                    tally.skip(title, line[len("skip: "):])


def missing_of(program):
    return [tool for tool in program.needs if not shutil.which(tool)]


def test_program(tally, program, variants):
    if missing_of(program):
        tally.skip(program.name, f"{' '.join(missing_of(program))} not installed")
        return
    with tempfile.TemporaryDirectory(prefix="bareheap-") as inputs:
        program.prepare(inputs, ROOT)
        before = do_work(program, inputs, None)
        if before[0] != 0:
            tally.skip(program.name, f"it fails without the library too: {tail(before[1])}")
            return
        for variant, library in variants.items():
            started = time.monotonic()
            problem = difference(before, do_work(program, inputs, library))
            tally.count(f"{program.name} {variant}", problem, started)


def main():
    parser = argparse.ArgumentParser(description="ordinary programs with libbareheap-preload.so")
    parser.add_argument("--variant", help="plain, debug or harden (default: all that are built)")
    parser.add_argument("--case", default="*", help="only programs whose name matches this glob")
    parser.add_argument("--library", help="this library instead")
    options = parser.parse_args()
    variants = {v: library_of(v) for v in VARIANTS if options.variant in (None, v)}
    if options.library:
        variants = {"given": os.path.abspath(options.library)}
    for variant in [v for v, library in variants.items() if not os.path.exists(library)]:
        print(f"selftest: {variants.pop(variant)} is not there")
    tally = Tally()
    tally.failed += not variants
    if options.case == "*":
        test_names(tally, variants)
    test_ours(tally, variants, options.case)
    for program in PROGRAMS:
        if fnmatch.fnmatch(program.name, options.case):
            test_program(tally, program, variants)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
