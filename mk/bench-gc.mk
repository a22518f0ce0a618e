# SPDX-License-Identifier: MIT
#
# Programs that compare garbage collectors (tests/bench-gc/README.md): the same sources of C for ours
# and for libgc, each with a collector.h of its own, and their translation into Go. What other
# collectors need is only looked for when their program is built.

BENCH_GC := $(BUILD)/host/bench-gc
BENCH_GC_SHARED  := tests/bench/common.c tests/bench/options.c tests/bench/steps.c tests/traces/trace.c
BENCH_GC_SOURCES := $(call sources_in,tests/bench-gc) tests/bench-gc/bareheap/collector.c

$(call objects,host,$(BENCH_GC_SOURCES)): CFLAGS_host += -Itests/bench-gc/bareheap

$(BENCH_GC)/bareheap: $(call objects,host,$(BENCH_GC_SOURCES) $(BENCH_GC_SHARED)) $(BUILD)/host/libbareheap.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC_host) $(call config_ldflags,host) -Wl,--gc-sections -o $@ $^

LIBGC_OBJECTS := $(patsubst tests/bench-gc/%.c,$(BENCH_GC)/libgc-obj/%.o,$(call sources_in,tests/bench-gc) tests/bench-gc/libgc/collector.c)

$(BENCH_GC)/libgc-obj/%.o: tests/bench-gc/%.c $(MAKEFILES_READ) $(call flags_file,host)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC_host) $(call config_cflags,host) -Itests/bench-gc/libgc -MMD -MP -c -o $@ $<

$(BENCH_GC)/libgc: $(LIBGC_OBJECTS) $(call objects,host,$(BENCH_GC_SHARED))
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC_host) $(call config_ldflags,host) -o $@ $^ -lgc

GO_ENVIRONMENT := GOCACHE=$(abspath $(BUILD))/go-cache GOENV=off GOFLAGS= GO111MODULE=on GOPROXY=off

$(BENCH_GC)/go: $(wildcard tests/bench-gc/go/*.go) tests/bench-gc/go/go.mod $(MAKEFILES_READ)
	@mkdir -p $(@D)
	$(call say,GO,$@)
	$(Q)cd tests/bench-gc/go && $(GO_ENVIRONMENT) go build -trimpath -buildvcs=false -o $(abspath $@) .

.PHONY: bench-gc-build
bench-gc-build: $(BENCH_GC)/bareheap $(BENCH_GC)/libgc $(BENCH_GC)/go $(BUILD)/host/bench/launch

# For `make test`: the rows in C, libgc's where it is installed; the Go program when there is one already,
# so that it is not an old one.
BENCH_GC_TESTS := $(BENCH_GC)/bareheap $(if $(wildcard /usr/include/gc/gc.h),$(BENCH_GC)/libgc) $(wildcard $(BENCH_GC)/go)
