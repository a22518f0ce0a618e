# SPDX-License-Identifier: MIT
#
# Compilers, flags and configurations: everything about how a file is compiled is in here.
#
# A configuration is one way to compile every source, and a folder build/<configuration>/:
# the name of an architecture (x86_64, aarch64, or host for a Linux process), then how it differs
# from what a user of the library gets: -debug (BH_DEBUG=2), -harden (BH_HARDEN=1), -asan, -tsan, and
# how the core caches are protected (BH_PROTECT): our boards use restartable sequences unless it says
# -mask or -busy.

# Where everything lands. `make check` compiles with other compilers into folders of its own.
BUILD ?= build

HOST_CPU := $(shell uname -m)

# --- Compilers ------------------------------------------------------------------------------
# CROSS_<arch> is the prefix of gcc and binutils for that architecture.
CROSS_x86_64  ?= $(if $(filter x86_64,$(HOST_CPU)),,x86_64-linux-gnu-)
CROSS_aarch64 ?= $(if $(filter aarch64,$(HOST_CPU)),,aarch64-linux-gnu-)
CROSS_host    ?=

CC_x86_64  ?= $(CROSS_x86_64)gcc
CC_aarch64 ?= $(CROSS_aarch64)gcc
CC_host    ?= $(CROSS_host)gcc
CC_preload ?= $(CC_host)

# --- Flags ----------------------------------------------------------------------------------
WARNINGS := -Wall -Wextra -Wconversion -Wundef -Wmissing-prototypes -Wshadow
OPTIMIZE ?= -O2
# A user's own, behind all others, so that they win (-fPIE against -fno-pie).
EXTRA_CFLAGS ?=

# The prefix map keeps this machine's paths out of the debug information.
CFLAGS_common := -std=gnu11 $(OPTIMIZE) -g $(WARNINGS) -I. -Iinclude -ffunction-sections -fdata-sections \
                 -fno-omit-frame-pointer -fvisibility=hidden -ffile-prefix-map=$(CURDIR)=.
# What is to be inlined says so (static inline) or is called once: gcc's own choice of the rest costs
# 500 bytes of a malloc-only image on AArch64.
CFLAGS_kernel := -ffreestanding -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables -momit-leaf-frame-pointer \
                 -fno-inline-functions

CFLAGS_x86_64  := $(CFLAGS_common) $(CFLAGS_kernel) -mno-red-zone
CFLAGS_aarch64 := $(CFLAGS_common) $(CFLAGS_kernel) -mno-outline-atomics
CFLAGS_host    := $(CFLAGS_common) -fPIC -pthread -DBH_PORT_IRQ=1

# A shared library that a dynamic linker loads before all others: thread-local variables at fixed
# offsets, nothing visible but what says so, threads for cores (boards/preload).
CFLAGS_preload := $(CFLAGS_common) -fPIC -pthread -ftls-model=initial-exec -fno-builtin -fno-plt -fomit-frame-pointer \
                  -DBH_PORT_IRQ=1 -DBH_PORT_ALONE=1 -DBH_PROTECT=BH_PROTECT_NONE -DBH_MIN_ALIGN=16 -DBH_MAX_CORES=1024 \
                  -DBH_CACHE_CORE_BYTES=4194304 -DBH_GUARD_BYTES=2097152

LDFLAGS_kernel  := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--fatal-warnings
LDFLAGS_x86_64  := $(LDFLAGS_kernel) -Wl,-z,max-page-size=4096 -T linker-scripts/qemu-x86_64.ld
LDFLAGS_aarch64 := $(LDFLAGS_kernel) -Wl,-z,max-page-size=4096 -T linker-scripts/qemu-aarch64.ld
LDFLAGS_host    := -pthread
LDFLAGS_preload := -pthread -shared -Wl,--gc-sections -Wl,-z,defs -Wl,-z,now -Wl,-z,nodelete -Wl,--build-id=none

# --- Configurations -------------------------------------------------------------------------
ARCHES := x86_64 aarch64 host
CONFIGS := x86_64 x86_64-debug x86_64-harden aarch64 aarch64-debug aarch64-harden \
           x86_64-mask x86_64-busy aarch64-mask aarch64-busy \
           host host-debug host-harden host-asan host-asan-debug host-tsan host-tsan-debug
# make coverage adds up what the tests reach in these.
COVERAGE_CONFIGS := host-coverage host-coverage-debug host-coverage-harden
CONFIGS += x86_64-sanitize aarch64-sanitize $(COVERAGE_CONFIGS) host-fuzz host-fuzz-asan
# The preload library: compiled in folders of its own, linked into those of the host.
PRELOAD_CONFIGS := preload preload-debug preload-harden
CONFIGS += $(PRELOAD_CONFIGS)

arch_of = $(firstword $(subst -, ,$(1)))

FLAGS_debug := -DBH_DEBUG=2
FLAGS_harden := -DBH_HARDEN=1
FLAGS_mask  := -DBH_PROTECT=BH_PROTECT_MASK
FLAGS_busy  := -DBH_PROTECT=BH_PROTECT_BUSY
FLAGS_asan  := -fsanitize=address,undefined -fno-sanitize-recover=undefined $(FLAGS_busy)
# As a kernel is built for its KASAN; the tool itself is tests/sanitize/kasan.c.
FLAGS_sanitize := -fsanitize=kernel-address --param asan-stack=0 --param asan-globals=0 \
                  --param asan-instrumentation-with-call-threshold=0
# gcc counts lines and branches. Not optimised: each line and branch is as it was written.
FLAGS_coverage := --coverage -fprofile-update=atomic -O0 $(FLAGS_busy)
# For libFuzzer. With -asan the objects' bounds are watched, without the plain paths are taken.
FLAGS_fuzz := -fsanitize=fuzzer-no-link -fsanitize=undefined -fno-sanitize-recover=undefined -mllvm -asan-globals=0
# A stop under ThreadSanitizer, with more threads than processors, takes seconds at times.
# It calls signal handlers late, with a program counter that nothing returns to: no sequences.
FLAGS_tsan  := -fsanitize=thread -DBH_STOP_TIMEOUT_NS=30000000000ULL $(FLAGS_mask)

# Restartable sequences, where no word of the configuration says otherwise. A core's slot: GS:8 and
# [TPIDR_EL1 + 8], the defaults; a process has the GS base or TPIDR_EL1 not for itself, but
# thread-local variables, which on x86-64 are at a constant offset from FS.
RESTART_x86_64  := -DBH_PROTECT=BH_PROTECT_RESTART
RESTART_aarch64 := -DBH_PROTECT=BH_PROTECT_RESTART
RESTART_host    := $(if $(filter x86_64,$(HOST_CPU)),-DBH_PROTECT=BH_PROTECT_RESTART -DBH_CORE_REGISTER=fs -DBH_CORE_SLOT=bh_core_slot@tpoff)
OTHER_PROTECTION := mask busy asan tsan coverage

# The flags of a configuration: its architecture's, those of each word after it, the user's.
config_words   = $(wordlist 2,9,$(subst -, ,$(1)))
config_cflags  = $(CFLAGS_$(call arch_of,$(1))) $(foreach w,$(call config_words,$(1)),$(FLAGS_$(w))) \
                 $(if $(filter $(OTHER_PROTECTION),$(call config_words,$(1))),,$(RESTART_$(call arch_of,$(1)))) $(EXTRA_CFLAGS)
config_ldflags = $(LDFLAGS_$(call arch_of,$(1))) \
                 $(filter -fsanitize=% --coverage,$(foreach w,$(call config_words,$(1)),$(FLAGS_$(w))))

# --- Sources --------------------------------------------------------------------------------
# All lists are sorted: the order of objects in an image must not depend on the file system.
cpu_of = $(if $(filter host preload,$(1)),$(HOST_CPU),$(1))
sources_in = $(sort $(wildcard $(foreach d,$(1),$(d)/*.c $(d)/*.S)))

# Floors 1 to 4: the library. A malloc for programs does without the collector.
library_sources = $(call sources_in,arch/$(call cpu_of,$(1)) kernel-lib alloc $(if $(filter preload,$(1)),,gc))

# Floor 5: the board of an architecture. boards/common is for the boards without an OS, but for the
# symbol table, which the host has as well, and the header for single steps on x86-64.
BOARD_DIRS_x86_64  := boards/qemu-x86_64 boards/common
BOARD_DIRS_aarch64 := boards/qemu-aarch64 boards/common
BOARD_DIRS_host    := boards/host
BOARD_DIRS_preload := boards/preload
board_sources = $(sort $(call sources_in,$(BOARD_DIRS_$(1))) boards/common/symbols.c)

HARNESS_SOURCES := $(call sources_in,tests/harness)
