# SPDX-License-Identifier: MIT
#
# Fuzzing (tests/fuzz/README.md): build/<configuration>/fuzz-<target>, a program of the library, the
# machine of tests/fuzz and one target. With gcc it has a driver of its own and is one of `make test`; the
# configurations host-fuzz* are compiled by clang and linked with libFuzzer.

FUZZ_TARGETS := malloc pages gc
FUZZ_MACHINE := tests/fuzz/machine.c tests/fuzz/objects.c
FUZZ_TEST_CONFIGS      := host host-debug host-harden host-asan
FUZZ_DRIVER_CONFIGS    := $(FUZZ_TEST_CONFIGS) $(COVERAGE_CONFIGS)
FUZZ_LIBFUZZER_CONFIGS := host-fuzz host-fuzz-asan

$(FUZZ_LIBFUZZER_CONFIGS:%=$(BUILD)/%/%): CC_host = clang-14
# What is sought is ways through the library; the oracle's own loops would only slow it down.
$(FUZZ_LIBFUZZER_CONFIGS:%=$(BUILD)/%/obj/tests/%): FLAGS_fuzz =

fuzz_objects = $(call objects,$(1),$(call library_sources,host) $(FUZZ_MACHINE) tests/fuzz/fuzz_$(2).c \
               tests/fuzz/$(if $(filter $(1),$(FUZZ_LIBFUZZER_CONFIGS)),libfuzzer,driver).c)

# $(call fuzz_rules,configuration,target)
define fuzz_rules
$(BUILD)/$(1)/fuzz-$(2): $(call fuzz_objects,$(1),$(2)) tests/fuzz/state.ld $(MAKEFILES_READ)
	$$(call say,LINK,$$@)
	$(Q)$$(CC_host) $$(call config_ldflags,$(1)) $(if $(filter $(1),$(FUZZ_LIBFUZZER_CONFIGS)),-fsanitize=fuzzer) \
	    -Wl,-T,tests/fuzz/state.ld -o $$@ $$(filter %.o,$$^)
endef

$(foreach c,$(FUZZ_DRIVER_CONFIGS) $(FUZZ_LIBFUZZER_CONFIGS),$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_rules,$(c),$(t)))))

# What `make test`, `make fuzz` and `make coverage` want.
fuzz_programs = $(foreach c,$(1),$(FUZZ_TARGETS:%=$(BUILD)/$(c)/fuzz-%))
FUZZ_TEST_PROGRAMS := $(call fuzz_programs,$(FUZZ_TEST_CONFIGS))

.PHONY: fuzz-build coverage-build
fuzz-build: $(call fuzz_programs,host $(FUZZ_LIBFUZZER_CONFIGS))
coverage-build: $(COVERAGE_CONFIGS:%=$(BUILD)/%/tests.elf) $(call fuzz_programs,$(COVERAGE_CONFIGS))
