# SPDX-License-Identifier: MIT
"""The columns of the comparison: which library is preloaded, and whether its malloc is what programs get."""

import glob
import os
import platform
import subprocess
from dataclasses import dataclass

from benches.inputs import ROOT
from benches.rows import WORKLOADS

FOLDERS = (f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")
# name: (file, Debian package)
PEER_FILES = {
    "mimalloc": ("libmimalloc.so.2", "libmimalloc2.0"),
    "jemalloc": ("libjemalloc.so.2", "libjemalloc2"),
    "tcmalloc": ("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
}
PEERS = ("glibc", *PEER_FILES)
OURS = "bareheap"


@dataclass
class Allocator:
    name: str
    library: str  # "" for none: the C library's own
    version: str = ""

    @property
    def is_peer(self):
        return self.name in PEERS


def find_library(name):
    for folder in FOLDERS:
        for path in glob.glob(os.path.join(folder, name + "*")):
            return path
    return None


def package_version(package):
    try:
        return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True,
                              check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def peer(name):
    """(allocator or None, why not)."""
    if name == "glibc":
        return Allocator(name, "", platform.libc_ver()[1]), ""
    file, package = PEER_FILES[name]
    path = find_library(file)
    if path is None:
        return None, f"{name}: no {file} on this machine; install {package}"
    return Allocator(name, path, package_version(package)), ""


def ours(variant=""):
    folder = "host-" + variant if variant else "host"
    path = os.path.join(ROOT, "build", folder, "libbareheap-preload.so")
    name = OURS + ("-" + variant if variant else "")
    if not os.path.exists(path):
        return None, f"{name}: build/{folder}/libbareheap-preload.so is not built"
    return Allocator(name, path, ""), ""


def in_effect(allocator):
    """Why the library is not what a program's malloc comes from, or "": ld.so would only warn."""
    environment = {"PATH": "/usr/bin:/bin"}
    if allocator.library:
        environment["LD_PRELOAD"] = allocator.library
    result = subprocess.run([WORKLOADS, "--allocator"], env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        return (f"{allocator.name}: a program with it preloaded fails (status {result.returncode}): "
                f"{result.stderr.strip()}")
    used = os.path.realpath(result.stdout.strip())
    expected = os.path.realpath(allocator.library) if allocator.library else used
    if used != expected:
        return f"{allocator.name}: malloc comes from {used}, not from {expected}: {result.stderr.strip()}"
    return ""


def chosen(peers, variant):
    """(allocators, messages about those that are left out)."""
    names = peers.split(",") if peers else list(PEERS)
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise ValueError(f"no peer {' '.join(unknown)}; there are {' '.join(PEERS)}")
    found = [peer(name) for name in names] + [ours()] + ([ours(variant)] if variant else [])
    allocators, messages = [], []
    for allocator, message in found:
        message = message or in_effect(allocator)
        if message:
            messages.append(message)
        else:
            allocators.append(allocator)
    return allocators, messages
