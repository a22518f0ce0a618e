# SPDX-License-Identifier: MIT
"""
The machines an image can run on: how each is started and what its exit status means.

The one place that knows QEMU's options; the test runner, `make run` and `make debug` use it. A
machine is a board in one shape: qemu-aarch64 and qemu-aarch64-max are the same board (and the
same image) on two CPU models with two interrupt controllers.

    machine = MACHINES["qemu-x86_64"]
    argv = machine.command(image="build/x86_64/tests.elf", cores=4, mem_mib=256, append="case=a*")
    status = subprocess.call(argv)
    machine.passed(status)
"""

import dataclasses
import os
import shutil

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def without_randomisation():
    """
    What to put in front of a program with gcc's ThreadSanitizer or AddressSanitizer: where the kernel
    randomises mappings by more than 28 bits they find memory where their shadow has to be.
    """
    try:
        with open("/proc/sys/vm/mmap_rnd_bits", encoding="ascii") as file:
            bits = int(file.read())
    except (OSError, ValueError):
        return []
    return ["setarch", "-R"] if bits > 28 and shutil.which("setarch") else []


@dataclasses.dataclass(frozen=True)
class Machine:
    """One machine. `program` is empty for the host, whose images are programs themselves."""

    name: str
    board: str  # the folder in boards/
    arch: str  # the configuration in build/ that its images are in
    program: str = ""
    options: tuple = ()
    pass_status: int = 0
    fail_status: int = 1
    max_cores: int = 16
    suffix: str = "elf"  # of the image's file
    accel: str = "tcg,thread=multi"  # unless another one is asked for
    words: str = ""  # more of them for the image's command line

    def image(self, name, variant=""):
        """The path of image `name` (tests, replay) in a variant ("", "debug", "asan-debug")."""
        if os.path.sep in name:
            return name
        return os.path.join("build", f"{self.arch}-{variant}" if variant else self.arch, f"{name}.{self.suffix}")

    def command(self, image, cores=1, mem_mib=256, append="", accel=None, extra=()):
        """The argument vector that runs `image`; console on standard output."""
        if not self.program:
            return [*without_randomisation(), os.path.join(".", image) if os.path.sep not in image else image,
                    f"cores={cores}", f"mem={mem_mib}M", *append.split(), *extra]
        return [self.program, *self.options,
                "-accel", accel or self.accel,
                "-smp", str(cores), "-m", f"{mem_mib}M",
                "-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio",
                "-no-reboot", "-kernel", image, "-append", f"{append} {self.words}".strip(), *extra]

    def passed(self, status):
        """Whether this exit status is the image's "passed". Not enough alone: demand the end marker."""
        return status == self.pass_status


def _x86_64(name, *options, **more):
    return Machine(name, "qemu-x86_64", "x86_64", "qemu-system-x86_64",
                   (*options, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"),
                   pass_status=33, fail_status=35, **more)


def _aarch64(name, *options, **more):
    return Machine(name, "qemu-aarch64", "aarch64", "qemu-system-aarch64",
                   (*options, "-semihosting-config", "enable=on,target=native"), **more)


# One thread plays all cores in turn, each for as many instructions as the next: QEMU changes over after
# 100 ms by the cores' clocks, which here tick 1024 ns per instruction. What a core gets done does not
# depend on what else the developer's machine is doing.
_IN_TURNS = {"accel": "tcg,thread=single", "words": "turns=1"}
_IN_TURNS_OPTIONS = ("-icount", "shift=10,sleep=off")

MACHINES = {
    machine.name: machine
    for machine in (
        _x86_64("qemu-x86_64", "-M", "q35", "-cpu", "max"),
        _x86_64("qemu-x86_64-microvm", "-M", "microvm,pit=on", "-cpu", "max"),
        _x86_64("qemu-x86_64-turns", "-M", "q35", "-cpu", "max", *_IN_TURNS_OPTIONS, **_IN_TURNS),
        _aarch64("qemu-aarch64", "-M", "virt,gic-version=2", "-cpu", "cortex-a72", max_cores=8),
        _aarch64("qemu-aarch64-max", "-M", "virt,gic-version=3", "-cpu", "max"),
        _aarch64("qemu-aarch64-el2", "-M", "virt,virtualization=on", "-cpu", "cortex-a72", max_cores=8),
        _aarch64("qemu-aarch64-raw", "-M", "virt,gic-version=3", "-cpu", "cortex-a72", suffix="img"),
        _aarch64("qemu-aarch64-turns", "-M", "virt,gic-version=2", "-cpu", "cortex-a72", *_IN_TURNS_OPTIONS,
                 max_cores=8, **_IN_TURNS),
        Machine("host", "host", "host"),
    )
}
