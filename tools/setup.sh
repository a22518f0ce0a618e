#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs what a make target needs and this machine lacks.
#
#     tools/setup.sh lib|run|test|models|soak|count|check|debug|traces|bench|bench-gc|fuzz|coverage|all
#
# 1. The programs a target needs are looked up in PATH: when all are there, that is all that happens.
# 2. On Debian and Ubuntu the packages of the missing ones are installed with apt-get, with sudo when
#    the user is not root. Nothing else on the machine is changed.
# 3. Elsewhere the script says what to install, and fails, so that make stops here.
set -eu

target=${1:-all}

# program:Debian package. A name with a slash is a file.
build="gcc:gcc ld:binutils python3:python3 /usr/include/stdio.h:libc6-dev"
case $(uname -m) in
    x86_64) build="$build aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu" ;;
    aarch64) build="$build x86_64-linux-gnu-gcc:gcc-x86-64-linux-gnu" ;;
    *) build="$build aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu x86_64-linux-gnu-gcc:gcc-x86-64-linux-gnu" ;;
esac
qemu="qemu-system-x86_64:qemu-system-x86 qemu-system-aarch64:qemu-system-arm"
analysis="clang-14:clang-14 clang-format-14:clang-format-14 clang-tidy-14:clang-tidy-14 cppcheck:cppcheck shellcheck:shellcheck"
debugger="gdb-multiarch:gdb-multiarch"
# What tools/record-traces runs under the recorder.
recorded="sqlite3:sqlite3 lua5.4:lua5.4 xz:xz-utils perl:perl git:git redis-server:redis-server redis-cli:redis-tools"
recorded="$recorded ld.gold:binutils /usr/include/stb/stb_truetype.h:libstb-dev"
# What tools/bench compares with, runs, and draws with.
libraries=/usr/lib/$(uname -m)-linux-gnu
compared="$libraries/libmimalloc.so.2:libmimalloc2.0 $libraries/libjemalloc.so.2:libjemalloc2"
compared="$compared $libraries/libtcmalloc_minimal.so.4:libtcmalloc-minimal4 gnuplot:gnuplot-nox clang-14:clang-14 node:nodejs"
compared="$compared sqlite3:sqlite3 lua5.4:lua5.4 perl:perl git:git /usr/include/stb/stb_truetype.h:libstb-dev"
# What tools/bench-gc compares with.
collectors="/usr/include/gc/gc.h:libgc-dev go:golang-go gnuplot:gnuplot-nox"
# What tests/preload runs under the preload library, and skips where it is missing (redis, which comes
# as a service, is left to the user).
preloaded="g++:g++ perl:perl git:git sqlite3:sqlite3 xz:xz-utils node:nodejs clang-14:clang-14"
# libFuzzer is where clang's other runtimes are.
fuzzer="clang-14:clang-14 /usr/lib/clang/14/lib/linux/libclang_rt.fuzzer-$(uname -m).a:libclang-rt-14-dev"
counter="gcovr:gcovr"
# What tools/models checks models with.
models="spin:spin"

case $target in
    lib) needed="$build" ;;
    run | soak) needed="$build $qemu" ;;
    count) needed="$build $qemu xz:xz-utils" ;;
    test) needed="$build $qemu $preloaded $debugger $models" ;;
    models) needed="$build $models" ;;
    check) needed="$build $analysis g++:g++ /usr/include/gc/gc.h:libgc-dev" ;;
    debug) needed="$build $qemu $debugger" ;;
    traces) needed="$build $recorded" ;;
    bench) needed="$build $compared" ;;
    bench-gc) needed="$build $collectors" ;;
    fuzz) needed="$build $fuzzer" ;;
    coverage) needed="$build $counter" ;;
    all) needed="$build $qemu $analysis $debugger $recorded $preloaded $compared $collectors $fuzzer $counter $models" ;;
    *)
        echo "setup: no target $target; there are lib, run, test, models, soak, count, check, debug, traces, bench, bench-gc, fuzz, coverage, all" >&2
        exit 2
        ;;
esac

# Prints the pairs of $needed that are not there.
missing_pairs() {
    for pair in $needed; do
        name=${pair%%:*}
        case $name in
            /*) [ -e "$name" ] || echo "$pair" ;;
            *) command -v "$name" >/dev/null 2>&1 || echo "$pair" ;;
        esac
    done
}

missing=$(missing_pairs)
[ -n "$missing" ] || exit 0

programs=$(for pair in $missing; do printf '%s ' "${pair%%:*}"; done)
packages=$(for pair in $missing; do printf '%s ' "${pair##*:}"; done)

explain_elsewhere() {
    cat >&2 <<END
setup: make $target needs programs that are not on this machine: $programs
setup: there is no apt-get here, so please install them yourself:
  Debian, Ubuntu  apt-get install $packages
  Fedora          dnf install gcc python3 gcc-aarch64-linux-gnu binutils-aarch64-linux-gnu \\
                      qemu-system-x86-core qemu-system-aarch64-core libasan libubsan libtsan
  Arch            pacman -S gcc python aarch64-linux-gnu-gcc qemu-system-x86 qemu-system-aarch64
  elsewhere       a Linux machine or container is needed: the host board is a Linux process
  make check needs clang, clang-format and clang-tidy of version 14 as clang-14, clang-format-14 and
  clang-tidy-14, and cppcheck.
END
    exit 1
}

command -v apt-get >/dev/null 2>&1 || explain_elsewhere

as_root=
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
    command -v sudo >/dev/null 2>&1 || {
        echo "setup: make $target needs $programs; as root, run: apt-get install $packages" >&2
        exit 1
    }
fi

echo "setup: installing $packages(for make $target)"
log=$(mktemp)
# The lists may be old or missing; an update that fails (one dead mirror) need not stop us.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >"$log" 2>&1 || true
# shellcheck disable=SC2086 # the lists are lists
if ! $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qy -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 install --no-install-recommends $packages >>"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "setup: apt-get could not install $packages; the lines above say why" >&2
    exit 1
fi
rm -f "$log"

missing=$(missing_pairs)
if [ -n "$missing" ]; then
    echo "setup: still missing after the installation: $missing" >&2
    exit 1
fi
