# SPDX-License-Identifier: MIT
#
# The rules: how a source becomes an object, objects become the library, and library, board and
# an image's own sources become an image. Everything lands in build/<configuration>/.

# What compiles everything anew when it changes.
MAKEFILES_READ := mk/config.mk mk/build.mk

# V=1 shows the commands instead of a line each.
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@printf '  %-8s %s\n' '$(1)' '$(2)')

objects = $(patsubst %,$(BUILD)/$(1)/obj/%.o,$(2))

# --- Objects --------------------------------------------------------------------------------
# $(call object_rules,configuration,architecture)
define object_rules
$(BUILD)/$(1)/obj/%.c.o: %.c $(MAKEFILES_READ)
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$(Q)$$(CC_$(2)) $$(call config_cflags,$(1)) -MMD -MP -c -o $$@ $$<

$(BUILD)/$(1)/obj/%.S.o: %.S $(MAKEFILES_READ)
	@mkdir -p $$(@D)
	$$(call say,AS,$$@)
	$(Q)$$(CC_$(2)) $$(call config_cflags,$(1)) -MMD -MP -c -o $$@ $$<

# In an archive the harness is linked only into images that do not bring a board_main() themselves.
$(BUILD)/$(1)/libharness.a: $(call objects,$(1),$(HARNESS_SOURCES))
	$$(call say,AR,$$@)
	$(Q)rm -f $$@ && $$(CROSS_$(2))ar Drcs $$@ $$^
endef

$(foreach c,$(CONFIGS),$(eval $(call object_rules,$(c),$(call arch_of,$(c)))))

# --- The library ----------------------------------------------------------------------------
# One object, in which every name but bh_* is local: a kernel that links it may have its own
# list_push() or panic(). The sections stay apart, so that --gc-sections drops what is not used.
# The host's library has its board in it, for its users have no kernel.
library_objects = $(call objects,$(1),$(call library_sources,$(1)) \
                  $(if $(filter host,$(1)),$(filter-out %/main.c %/sanitizers.c,$(call sources_in,boards/host))))

define library_rules
$(BUILD)/$(1)/libbareheap.a: $(call library_objects,$(1))
	$$(call say,LIB,$$@)
	$(Q)$$(CROSS_$(1))ld -r -o $(BUILD)/$(1)/bareheap.o $$^
	$(Q)$$(CROSS_$(1))objcopy --wildcard --keep-global-symbol='bh_*' $(BUILD)/$(1)/bareheap.o
	$(Q)rm -f $$@ && $$(CROSS_$(1))ar Drcs $$@ $(BUILD)/$(1)/bareheap.o
endef

$(foreach a,$(ARCHES),$(eval $(call library_rules,$(a))))

# --- Images ---------------------------------------------------------------------------------
# $(call image_rules,configuration,image,sources) makes build/<configuration>/<image>.elf.
#
# The image holds a table of its own symbols, for backtraces. It is linked twice: first with an
# empty table, from which the names and addresses are taken, then with the table. The table lies
# behind all code, so the addresses of functions are those of the first link; gen-symbols --check
# makes sure.
define image_rules
$(BUILD)/$(1)/$(2).elf: private OBJECTS := $(call objects,$(1),$(3) $(call board_sources,$(call arch_of,$(1))) \
                                          $(call library_sources,$(call arch_of,$(1))))
$(BUILD)/$(1)/$(2).elf: $(call objects,$(1),$(3) $(call board_sources,$(call arch_of,$(1))) \
                       $(call library_sources,$(call arch_of,$(1)))) \
                     $(BUILD)/$(1)/libharness.a tools/gen-symbols $(wildcard linker-scripts/*) $(MAKEFILES_READ)
	$$(call say,LINK,$$@)
	$(Q)tools/gen-symbols --empty --output $(BUILD)/$(1)/$(2).symbols.S
	$(Q)$$(call link,$(1),$(2),$$(basename $$@).pass1.elf)
	$(Q)$$(CROSS_$(call arch_of,$(1)))nm --format=sysv $$(basename $$@).pass1.elf | tools/gen-symbols --output $(BUILD)/$(1)/$(2).symbols.S
	$(Q)$$(call link,$(1),$(2),$$(basename $$@).pass2.elf)
	$(Q)$$(CROSS_$(call arch_of,$(1)))nm --format=sysv $$(basename $$@).pass2.elf | tools/gen-symbols --check $(BUILD)/$(1)/$(2).symbols.S
	$(Q)rm -f $$(basename $$@).pass1.elf && mv $$(basename $$@).pass2.elf $$@
endef

# $(call link,configuration,image,output), in a recipe whose OBJECTS are set.
link = $(CC_$(call arch_of,$(1))) $(call config_cflags,$(1)) -c -o $(BUILD)/$(1)/$(2).symbols.o $(BUILD)/$(1)/$(2).symbols.S && \
       $(CC_$(call arch_of,$(1))) $(call config_ldflags,$(1)) -o $(3) $(OBJECTS) $(BUILD)/$(1)/$(2).symbols.o $(BUILD)/$(1)/libharness.a

# Programs with threads of their own on the host's library, or on the sources of
# PROGRAM_SOURCES_<name>: build/host/programs/NAME.
define program_rules
$(BUILD)/host/programs/$(1): $(call objects,host,tests/host/$(1).c $(PROGRAM_SOURCES_$(1))) \
                             $(if $(PROGRAM_SOURCES_$(1)),,$(BUILD)/host/libbareheap.a)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$(Q)$$(CC_host) $$(call config_ldflags,host) -o $$@ $$^
endef

# What `virt` enters without an ELF loader: the bytes of the image.
$(BUILD)/aarch64%.img: $(BUILD)/aarch64%.elf
	$(call say,OBJCOPY,$@)
	$(Q)$(CROSS_aarch64)objcopy -O binary $< $@

# Header dependencies, of whatever has been compiled before.
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
