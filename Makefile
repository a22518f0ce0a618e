# SPDX-License-Identifier: MIT
#
# Bareheap. `make help` lists the targets; flags are in mk/config.mk, rules in mk/build.mk.
#
# run, test and check first let tools/setup.sh install what they need; all other work is done
# by a second make that they start, so that it sees the tools that were installed.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

include mk/config.mk

# --- Images ---------------------------------------------------------------------------------
# An image is library, board and the sources listed here.
TEST_DIRS := tests/unit tests/misuse tests/smp tests/stress tests/gc
# What boards read of firmware's tables knows no CPU: it is tested on every board.
FIRMWARE_READERS := boards/qemu-aarch64/fdt.c boards/qemu-aarch64/hardware.c boards/qemu-x86_64/acpi.c
IMAGE_SOURCES_tests    := $(call sources_in,$(TEST_DIRS)) tests/traces/trace.c $(FIRMWARE_READERS)
IMAGE_SOURCES_selftest := $(call sources_in,tests/harness/selftest)
IMAGE_SOURCES_replay   := $(call sources_in,tests/replay tests/traces) $(BUILD)/traces.S
IMAGE_SOURCES_boards   := $(call sources_in,tests/boards)
IMAGE_SOURCES_sanitize := $(call sources_in,tests/sanitize) tests/unit/heap_test.c
# Instruction counts: the same calls of our allocator and of newlib's, which is fetched for it.
IMAGE_SOURCES_count        := $(filter-out %/newlib.c,$(call sources_in,tests/count))
IMAGE_SOURCES_count-newlib := $(filter-out %/ours.c,$(call sources_in,tests/count))
IMAGES := tests selftest replay boards sanitize count count-newlib

# `make image NAME=mine SRCS="a.c b.c"` adds one of a user's own.
ifneq ($(NAME),)
IMAGES += $(NAME)
IMAGE_SOURCES_$(NAME) := $(SRCS)
endif

include mk/build.mk
include mk/fuzz.mk
include mk/bench-gc.mk

# The recorded traces, as a source of the replay image.
TRACES := $(sort $(wildcard tests/traces/*.bht))
$(BUILD)/traces.S: tools/embed-traces $(TRACES)
	@mkdir -p $(@D)
	$(call say,TRACES,$@)
	$(Q)tools/embed-traces $@ $(TRACES)

$(foreach i,$(IMAGES),$(foreach c,$(CONFIGS),$(eval $(call image_rules,$(c),$(i),$(filter-out $(call board_sources,$(call arch_of,$(c))),$(IMAGE_SOURCES_$(i)))))))

# --- What the commands build ----------------------------------------------------------------
RUN_CONFIGS      := x86_64 aarch64 host
TEST_CONFIGS     := x86_64 x86_64-debug x86_64-harden aarch64 aarch64-debug aarch64-harden host host-harden host-asan host-asan-debug host-tsan host-tsan-debug
PROTECT_CONFIGS  := x86_64-mask x86_64-busy aarch64-mask aarch64-busy
SELFTEST_CONFIGS := x86_64-debug aarch64-debug host-debug
BOARDS_CONFIGS   := x86_64-debug aarch64-debug
COUNT_CONFIGS    := x86_64 aarch64
SOAK_CONFIGS     := x86_64 aarch64 host host-asan host-tsan $(PROTECT_CONFIGS)
SANITIZE_CONFIGS := x86_64-sanitize aarch64-sanitize host-asan
REPLAY_CONFIGS   := x86_64 aarch64 host host-asan host-tsan
HOST_PROGRAMS    := $(patsubst tests/host/%.c,$(BUILD)/host/programs/%,$(call sources_in,tests/host))
# The programs that are linked with these sources instead of the library.
PROGRAM_SOURCES_console := boards/common/console.c $(call sources_in,kernel-lib)
$(foreach p,$(HOST_PROGRAMS),$(eval $(call program_rules,$(notdir $(p)))))

LIBRARIES   := $(foreach a,$(ARCHES),$(foreach p,$(call protections,$(a)),$(call library,$(a),$(p)))) $(foreach c,$(PRELOAD_CONFIGS),$(call preload_library,$(c)))
COUNT_IMAGES  := $(COUNT_CONFIGS:%=$(BUILD)/%/count.elf)
NEWLIB_IMAGES := $(COUNT_CONFIGS:%=$(BUILD)/%/count-newlib.elf)
RUN_IMAGES  := $(RUN_CONFIGS:%=$(BUILD)/%/replay.elf)
TEST_IMAGES := $(TEST_CONFIGS:%=$(BUILD)/%/tests.elf) $(PROTECT_CONFIGS:%=$(BUILD)/%/tests.elf) \
               $(SELFTEST_CONFIGS:%=$(BUILD)/%/selftest.elf) \
               $(REPLAY_CONFIGS:%=$(BUILD)/%/replay.elf) $(BOARDS_CONFIGS:%=$(BUILD)/%/boards.elf) \
               $(SANITIZE_CONFIGS:%=$(BUILD)/%/sanitize.elf) $(COUNT_IMAGES) \
               $(BUILD)/aarch64-debug/tests.img $(BUILD)/aarch64-debug/boards.img

# A make of our own with a job per processor, unless the caller's make already has job slots.
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 2))

.PHONY: help run test models soak fuzz coverage mutate count check format size debug lib image traces setup clean ci
.PHONY: bench bench-gc bench-build run-build test-build soak-build count-build $(ARCHES:%=objects-%)

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed 's/:.*## /\t/' | \
	    while IFS='	' read -r name text; do printf 'make %-8s %s\n' "$$name" "$$text"; done
	@printf '\nV=1 shows every command. build/<arch>[-debug|-asan|-tsan]/ is where everything lands.\n'

run: ## replay real programs' allocations on both boards (BOARD= CORES= MEM= TRACE= ACCEL= GCTRACE=1: pictures too, 2: pacing)
	@tools/setup.sh run
	+@$(SUBMAKE) run-build
	@tools/run $(if $(BOARD),--board $(BOARD)) $(if $(CORES),--cores $(CORES)) $(if $(MEM),--mem $(MEM)) \
	    $(if $(TRACE),--trace $(TRACE)) $(if $(ACCEL),--accel $(ACCEL)) $(if $(filter 1 2,$(GCTRACE)),--gctrace=$(GCTRACE))

test: ## all tests, on the host under sanitizers and on both boards with 1 and 4 cores
	@tools/setup.sh test
	+@$(SUBMAKE) test-build
	@tools/test

bench: ## side by side with other allocators (ROUNDS=5 ROWS=a,b PEERS=a,b VARIANT=harden EFFORT=100 CPU=1)
	@tools/setup.sh bench
	+@$(SUBMAKE) bench-build
	@tools/bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ROWS),--rows $(ROWS)) $(if $(PEERS),--peers $(PEERS)) \
	    $(if $(VARIANT),--variant $(VARIANT)) $(if $(EFFORT),--effort $(EFFORT)) $(if $(filter 1,$(CPU)),--cpu)

bench-gc: ## side by side with libgc and Go (ROUNDS=5 ROWS=a,b PEERS=a,b EFFORT=100)
	@tools/setup.sh bench-gc
	+@$(SUBMAKE) bench-gc-build
	@tools/bench-gc $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ROWS),--rows $(ROWS)) $(if $(PEERS),--peers $(PEERS)) \
	    $(if $(EFFORT),--effort $(EFFORT))

models: ## the SPIN models of the stop protocol and of parallel marking's end, and that they can fail
	@tools/setup.sh models
	@tools/models

soak: ## interrupts that allocate, for SECONDS=60 on every board, with each of the protections
	@tools/setup.sh soak
	+@$(SUBMAKE) soak-build
	@tools/soak $(or $(SECONDS),60)

fuzz: ## random scripts against oracles with libFuzzer (FUZZ_SECONDS=180 FUZZ_TARGET=malloc,pages,gc)
	@tools/setup.sh fuzz
	+@$(SUBMAKE) fuzz-build
	@FUZZ_SECONDS='$(FUZZ_SECONDS)' FUZZ_TARGET='$(FUZZ_TARGET)' tools/fuzz

mutate: ## takes one thing after the other out of the collector; a test must notice (CASE='stop-*')
	@tools/setup.sh run
	@tools/mutate $(if $(CASE),--case '$(CASE)')

coverage: ## lines and branches of alloc/ that the tests on the host reach: build/coverage/index.html
	@tools/setup.sh coverage
	+@$(SUBMAKE) coverage-build
	@tools/coverage

count: ## instructions per call of malloc, free and kin, on both boards, newlib's beside ours
	@tools/setup.sh count
	+@$(SUBMAKE) count-build
	@tools/count

check: ## formatting, layers, sizes, warnings with gcc and clang on both CPUs, static analysis
	@tools/setup.sh check
	@tools/check

format: ## rewrite all C files with clang-format 14
	@tools/setup.sh check
	@tools/check --format

size: ## code size of the library per architecture, against its bars
	@tools/setup.sh lib
	+@$(SUBMAKE) build/x86_64/libbareheap.a build/aarch64/libbareheap.a
	@tools/size

debug: ## start an image that waits for gdb (BOARD=qemu-x86_64|qemu-aarch64, IMAGE=tests, CORES=, APPEND=)
	@tools/setup.sh debug
	+@$(SUBMAKE) $(if $(findstring aarch64,$(BOARD)),build/aarch64-debug,build/x86_64-debug)/$(or $(IMAGE),tests).elf
	@tools/debug --board $(or $(BOARD),qemu-x86_64) --image $(or $(IMAGE),tests) $(if $(CORES),--cores $(CORES)) \
	    $(if $(MEM),--mem $(MEM)) --append '$(APPEND)'

lib: ## the library for your kernel: build/ARCH/libbareheap.a (ARCH=x86_64|aarch64|host, PROTECT=mask|busy|restart, EXTRA_CFLAGS=)
	@tools/setup.sh lib
	@for arch in $(or $(ARCH),$(ARCHES)); do case " $(ARCHES) " in *" $$arch "*) ;; \
	    *) echo "make lib: ARCH=$$arch is none of: $(ARCHES)" >&2; exit 1;; esac; done
	@case " mask busy restart " in *" $(or $(PROTECT),mask) "*) ;; \
	    *) echo "make lib: PROTECT=$(PROTECT) is none of: mask busy restart" >&2; exit 1;; esac
	+@$(SUBMAKE) $(foreach a,$(or $(ARCH),$(ARCHES)),$(call library,$(a),$(if $(filter host,$(a)),mask,$(or $(PROTECT),mask)))) \
	    $(if $(filter host,$(or $(ARCH),$(ARCHES))),$(call preload_library,preload))

image: ## an image of your own for all boards: NAME=mine SRCS="a.c b.c", harness and library linked in
	@tools/setup.sh lib
	@test -n '$(NAME)' -a -n '$(SRCS)' || { echo 'make image: say NAME=mine SRCS="a.c b.c"' >&2; exit 1; }
	+@$(SUBMAKE) $(foreach c,x86_64-debug aarch64-debug host-asan-debug,$(BUILD)/$(c)/$(NAME).elf)

traces: ## record the traces in tests/traces anew from the programs on this machine
	@tools/setup.sh traces
	@tools/record-traces

setup: ## install everything the other targets need (Debian and Ubuntu)
	@tools/setup.sh all

clean: ## remove build/
	rm -rf $(BUILD)

# Every object of a configuration without linking: what tools/check compiles with either compiler.
ALL_SOURCES = $(call library_sources,$(1)) $(call board_sources,$(1)) $(HARNESS_SOURCES) \
              $(filter-out $(BUILD)/%,$(sort $(foreach i,$(IMAGES),$(IMAGE_SOURCES_$(i)))))
$(foreach a,$(ARCHES),$(eval objects-$(a): $(call objects,$(a),$(call ALL_SOURCES,$(a)))))
objects-host: $(call preload_objects,preload)
objects-host: $(call objects,host,$(call sources_in,tests/host tests/bench tests/fuzz) $(BENCH_GC_SOURCES))
LIBRARY_CONFIGS := $(ARCHES) $(PROTECT_CONFIGS)
.PHONY: $(LIBRARY_CONFIGS:%=library-objects-%)
$(foreach c,$(LIBRARY_CONFIGS),$(eval library-objects-$(c): $(call objects,$(c),$(call library_sources,$(call arch_of,$(c))))))

run-build: $(RUN_IMAGES)
bench-build: $(BENCH_PROGRAMS) $(call preload_library,preload) $(if $(VARIANT),$(call preload_library,preload-$(VARIANT)))
count-build: $(COUNT_IMAGES) $(NEWLIB_IMAGES)
soak-build: $(SOAK_CONFIGS:%=$(BUILD)/%/tests.elf)
test-build: $(LIBRARIES) $(TEST_IMAGES) $(HOST_PROGRAMS) $(PRELOAD_TESTS) $(BENCH_PROGRAMS) $(BENCH_GC_TESTS) $(FUZZ_TEST_PROGRAMS)
