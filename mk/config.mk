# SPDX-License-Identifier: MIT
#
# Compilers, flags and configurations: everything about how a file is compiled is in here.
#
# A configuration is one way to compile every source, and a folder build/<configuration>/:
# the name of an architecture (x86_64, aarch64, or host for a Linux process), then how it differs
# from what a user of the library gets: -debug (BH_DEBUG=2), -asan, -tsan.

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

# --- Flags ----------------------------------------------------------------------------------
WARNINGS := -Wall -Wextra -Wconversion -Wundef -Wmissing-prototypes -Wshadow
OPTIMIZE ?= -O2
EXTRA_CFLAGS ?=

# The prefix map keeps this machine's paths out of the debug information.
CFLAGS_common := -std=gnu11 $(OPTIMIZE) -g $(WARNINGS) -I. -Iinclude -ffunction-sections -fdata-sections \
                 -fno-omit-frame-pointer -fvisibility=hidden -ffile-prefix-map=$(CURDIR)=. $(EXTRA_CFLAGS)
# What is to be inlined says so (static inline) or is called once: gcc's own choice of the rest costs
# 500 bytes of a malloc-only image on AArch64.
CFLAGS_kernel := -ffreestanding -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables -momit-leaf-frame-pointer \
                 -fno-inline-functions

CFLAGS_x86_64  := $(CFLAGS_common) $(CFLAGS_kernel) -mno-red-zone
CFLAGS_aarch64 := $(CFLAGS_common) $(CFLAGS_kernel) -mno-outline-atomics
CFLAGS_host    := $(CFLAGS_common) -fPIC -pthread -DBH_PORT_IRQ=1

LDFLAGS_kernel  := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--fatal-warnings
LDFLAGS_x86_64  := $(LDFLAGS_kernel) -Wl,-z,max-page-size=4096 -T linker-scripts/qemu-x86_64.ld
LDFLAGS_aarch64 := $(LDFLAGS_kernel) -Wl,-z,max-page-size=4096 -T linker-scripts/qemu-aarch64.ld
LDFLAGS_host    := -pthread

# --- Configurations -------------------------------------------------------------------------
ARCHES := x86_64 aarch64 host
CONFIGS := x86_64 x86_64-debug aarch64 aarch64-debug \
           host host-debug host-asan host-asan-debug host-tsan host-tsan-debug

arch_of = $(firstword $(subst -, ,$(1)))

FLAGS_debug := -DBH_DEBUG=2
FLAGS_asan  := -fsanitize=address,undefined -fno-sanitize-recover=undefined
# A stop under ThreadSanitizer, with more threads than processors, takes seconds at times.
FLAGS_tsan  := -fsanitize=thread -DBH_STOP_TIMEOUT_NS=30000000000ULL

# The flags of a configuration: its architecture's, then those of each word after it.
config_cflags  = $(CFLAGS_$(call arch_of,$(1))) $(foreach w,$(wordlist 2,9,$(subst -, ,$(1))),$(FLAGS_$(w)))
config_ldflags = $(LDFLAGS_$(call arch_of,$(1))) \
                 $(filter -fsanitize=%,$(foreach w,$(wordlist 2,9,$(subst -, ,$(1))),$(FLAGS_$(w))))

# --- Sources --------------------------------------------------------------------------------
# All lists are sorted: the order of objects in an image must not depend on the file system.
cpu_of = $(if $(filter host,$(1)),$(HOST_CPU),$(1))
sources_in = $(sort $(wildcard $(foreach d,$(1),$(d)/*.c $(d)/*.S)))

# Floors 1 to 4: the library.
library_sources = $(call sources_in,arch/$(call cpu_of,$(1)) kernel-lib alloc gc)

# Floor 5: the board of an architecture. boards/common is for the boards without an OS, but for the
# symbol table, which the host has as well.
BOARD_DIRS_x86_64  := boards/qemu-x86_64 boards/common
BOARD_DIRS_aarch64 := boards/qemu-aarch64 boards/common
BOARD_DIRS_host    := boards/host
board_sources = $(sort $(call sources_in,$(BOARD_DIRS_$(1))) boards/common/symbols.c)

HARNESS_SOURCES := $(call sources_in,tests/harness)
