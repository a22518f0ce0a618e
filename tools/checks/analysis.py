# SPDX-License-Identifier: MIT
"""clang-format, clang-tidy and cppcheck, pinned to the versions of Debian 12."""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from checks.files import c_files

FORMAT = "clang-format-14"
TIDY = "clang-tidy-14"


def run(command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def check_format():
    output = run([FORMAT, "--dry-run", *c_files()]).stderr
    found = {}
    for match in re.finditer(r"^(\S+?):(\d+):\d+: ", output, re.M):
        found.setdefault(match[1], match[2])
    return [f"{path}:{line}: not as clang-format 14 writes it: make format" for path, line in found.items()]


def rewrite_format():
    return run([FORMAT, "-i", *c_files()]).returncode


def flags_for(path):
    """The compiler flags for analysing a file: its CPU by its folder, the host's otherwise."""
    flags = ["-std=gnu11", "-I.", "-Iinclude", "-DBH_DEBUG=2"]
    if path.startswith(("boards/preload/", "tests/preload/")):
        return [*flags, "-DBH_PORT_IRQ=1", "-DBH_PORT_ALONE=1", "-DBH_PROTECT=4", "-DBH_MIN_ALIGN=16", "-DBH_MAX_CORES=1024"]
    if path.startswith("tests/bench-gc/"):
        collector = "libgc" if "/libgc/" in path else "bareheap"
        return [*flags, "-DBH_PORT_IRQ=1", "-D_GNU_SOURCE", f"-Itests/bench-gc/{collector}"]
    if path.startswith(("boards/host/", "tools/", "tests/traces/selftest/", "tests/host/", "tests/bench/", "tests/fuzz/")):
        return [*flags, "-DBH_PORT_IRQ=1", "-D_GNU_SOURCE"]
    cpu = "aarch64" if "aarch64" in path else "x86_64"
    return [*flags, "-ffreestanding", f"--target={cpu}-none-elf"]


def tidy_one(path):
    result = run([TIDY, "--quiet", path, "--", *flags_for(path)])
    broken = re.findall(r"^.*(?:Error reading|Error parsing|unable to|invalid).*$", result.stderr, re.M)
    return broken + re.findall(r"^\S+?:\d+:\d+: (?:warning|error): .*$", result.stdout, re.M)


def check_tidy():
    files = [f for f in c_files() if f.endswith(".c")]
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        found = [line for lines in pool.map(tidy_one, files) for line in lines]
    here = os.getcwd() + os.sep
    return sorted({line.replace(here, "") for line in found})


def cppcheck(cpu, files):
    result = run(["cppcheck", "--quiet", f"-j{os.cpu_count() or 2}", "--std=c11", "--inline-suppr",
                  "--enable=warning,performance,portability", "--error-exitcode=1",
                  "--suppressions-list=tools/cppcheck-suppressions.txt", "--template={file}:{line}: {message} [{id}]",
                  "-I.", "-Iinclude", f"-D__{cpu}__", "-D__GNUC__=12", "-DBH_DEBUG=2", "-DBH_PROTECT=1", "-DBH_MAX_CORES=64",
                  "-DBH_MAX_REGIONS=32", "-DBH_STOP_TIMEOUT_NS=2000000000ULL", *files])
    findings = [line for line in result.stderr.splitlines() if re.match(r"\S+:\d+: ", line)]
    if result.returncode and not findings:  # it did not work at all: no findings mean nothing
        return [f"cppcheck: {line}" for line in (result.stderr + result.stdout).splitlines()[-3:]] or ["cppcheck failed"]
    return findings


def check_cppcheck():
    files = [f for f in c_files() if f.endswith(".c")]
    x86_64 = [f for f in files if "aarch64" not in f]
    aarch64 = [f for f in files if "aarch64" in f or f.split("/")[0] in ("kernel-lib", "alloc", "gc")]
    return sorted(set(cppcheck("x86_64", x86_64) + cppcheck("aarch64", aarch64)))
