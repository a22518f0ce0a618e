# SPDX-License-Identifier: MIT
"""
Warnings. Every source is compiled by the makefile's own rules, with -Werror, into folders of its own
(build/check/...), so that a second run compiles only what has changed.
"""

import os
import re
import subprocess

from checks.files import ROOT

ARCHES = ("x86_64", "aarch64", "host")
CLANG = {
    "x86_64": "clang-14 --target=x86_64-none-elf",
    "aarch64": "clang-14 --target=aarch64-none-elf",
    "host": "clang-14",
}
# What kernels compile with; the library must not mind. name: (configuration, flags).
KERNEL_FLAGS = {
    "linux-like": ("x86_64", "-mcmodel=kernel -mno-red-zone -mno-sse -mno-sse2 -mno-mmx -msoft-float -DBH_DEBUG=1"),
    "no vector registers": ("x86_64", "-mgeneral-regs-only -DBH_DEBUG=3"),
    "position-independent": ("x86_64", "-fPIE -DBH_PORT_IRQ=1"),
    "x18 reserved": ("aarch64", "-ffixed-x18 -mgeneral-regs-only -DBH_DEBUG=1"),
    "strict alignment, PIE": ("aarch64", "-fPIE -mstrict-align -DBH_PORT_IRQ=1"),
    "interrupts masked": ("x86_64-mask", "-DBH_DEBUG=3"),
    "interrupts masked, PIE": ("aarch64-mask", "-fPIE -mgeneral-regs-only"),
    "busy flag": ("x86_64-busy", "-DBH_DEBUG=3"),
    "busy flag, PIE": ("aarch64-busy", "-fPIE -mgeneral-regs-only"),
    "hardened": ("x86_64", "-DBH_HARDEN=1 -mgeneral-regs-only"),
    "hardened, PIE": ("aarch64", "-DBH_HARDEN=1 -fPIE -DBH_DEBUG=1"),
    "small": ("aarch64", "-Os -DBH_MAX_CORES=1 -DBH_DEBUG=3"),
}
NO_SYMBOLS = "-g0"  # nobody debugs these objects, and it is a tenth of the time
DIAGNOSTIC = re.compile(r"^\S+?:\d+(:\d+)?: (warning|error|fatal error):|^\S+: (Assembler|error)|^ld:|\*\*\* No rule")


def run_make(folder, *arguments):
    command = ["make", "--no-print-directory", f"-j{os.cpu_count() or 2}", f"BUILD=build/check/{folder}", *arguments]
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def make(folder, target, variables):
    """Runs make; the findings are the lines that carry a diagnostic."""
    result = run_make(folder, "-k", target, *variables)
    output = (result.stdout + result.stderr).splitlines()
    findings = [line for line in output if DIAGNOSTIC.search(line)]
    if result.returncode and not findings:
        findings = [f"make {target}: {line}" for line in output[-5:]]
    return findings


def compile_all(folder, compilers):
    findings = []
    for arch in ARCHES:
        for debug in (0, 3):
            variables = [f"EXTRA_CFLAGS=-Werror -DBH_DEBUG={debug} {NO_SYMBOLS}"]
            if compilers:
                variables.append(f"CC_{arch}={compilers[arch]}")
            found = make(f"{folder}-{debug}", f"objects-{arch}", variables)
            findings += [f for f in found if f not in findings]
    return findings


def compile_library(compiler, arch, command, debug):
    """The library's objects as check_gcc() and check_clang() compile them. Returns their folder."""
    variables = [f"EXTRA_CFLAGS=-Werror -DBH_DEBUG={debug} {NO_SYMBOLS}"] + ([f"CC_{arch}={command}"] if command else [])
    make(f"{compiler}-{debug}", f"library-objects-{arch}", variables)
    return f"build/check/{compiler}-{debug}"


def check_gcc():
    return compile_all("gcc", {})


def check_clang():
    return compile_all("clang", CLANG)


def check_kernel_flags():
    findings = []
    for name, (config, flags) in KERNEL_FLAGS.items():
        arch = config.split("-")[0]
        folder = name.replace(" ", "-").replace(",", "")
        for compiler, variables in (("gcc", []), ("clang", [f"CC_{arch}={CLANG[arch]}"])):
            found = make(f"{folder}-{compiler}", f"library-objects-{config}",
                         [f"EXTRA_CFLAGS=-Werror {NO_SYMBOLS} {flags}", *variables])
            findings += [f"{line} ({compiler}, {name})" for line in found]
    return findings


def would_make(*variables):
    """What `make lib` would make now: the kind of each object and library."""
    return re.findall(r"'(CC|AS|LIB)'", run_make("rebuild", "-n", "lib", "ARCH=x86_64", *variables).stdout)


def check_rebuild():
    """`make lib` after flags or a compiler that are not those of the last time, and after the same."""
    flags = """EXTRA_CFLAGS=-O0 -g0 -Werror -DBH_TEXT='"a, b"'"""
    findings = make("rebuild", "lib", ["ARCH=x86_64", flags])
    everything = len(would_make(flags, "-B")) or 1
    for name, variables, count in (("the same flags", (flags,), 0), ("other flags", (flags + " -DBH_DEBUG=1",), everything),
                                   ("another compiler", (flags, "CC_x86_64=clang-14"), everything)):
        made = len(would_make(*variables))
        if made != count:
            findings.append(f"mk/build.mk:1: after a make lib, one with {name} makes {made} files, not {count}")
    return findings
