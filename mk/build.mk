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

# --- Flags ----------------------------------------------------------------------------------
# build/<configuration>/flags says with what its objects are compiled. They depend on it, and it is
# written only when that is something else than the last time: EXTRA_CFLAGS or CC_<arch> on the command
# line compiles anew what it must, once. The text is that of the whole configuration, expanded here: what
# makefiles add for single objects is not in it, they are in MAKEFILES_READ.
# $(call flags_rules,configuration,architecture)
flags_file = $(BUILD)/$(1)/flags

define flags_rules
FLAGS_OF_$(1) := $$(strip $$(CC_$(2)) $$(call config_cflags,$(1)))
ifneq ($$(FLAGS_OF_$(1)),$$(file <$(call flags_file,$(1))))
$(call flags_file,$(1)): FORCE
endif
$(call flags_file,$(1)):
	@mkdir -p $$(@D)
	@printf '%s\n' '$$(subst ','\'',$$(FLAGS_OF_$(1)))' >$$@
endef

.PHONY: FORCE
$(foreach c,$(CONFIGS),$(eval $(call flags_rules,$(c),$(call arch_of,$(c)))))

# --- Objects --------------------------------------------------------------------------------
# $(call object_rules,configuration,architecture)
define object_rules
$(BUILD)/$(1)/obj/%.c.o: %.c $(MAKEFILES_READ) $(call flags_file,$(1))
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$(Q)$$(CC_$(2)) $$(call config_cflags,$(1)) -MMD -MP -c -o $$@ $$<

$(BUILD)/$(1)/obj/%.S.o: %.S $(MAKEFILES_READ) $(call flags_file,$(1))
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
#
# A kernel picks how its core caches are protected: libbareheap.a masks interrupts and needs nothing of
# the kernel, libbareheap-busy.a and libbareheap-restart.a want what config.h says. (The host's board
# is its kernel, and has picked.)
# $(call library,architecture,protection) is the file's name.
protections    = $(if $(filter host,$(1)),mask,mask busy restart)
library        = $(BUILD)/$(1)/libbareheap$(filter-out -mask,$(2:%=-%)).a
library_config = $(if $(filter host,$(1)),host,$(1)$(filter-out -restart,$(2:%=-%)))
library_objects = $(call objects,$(call library_config,$(1),$(2)),$(call library_sources,$(1)) \
                  $(if $(filter host,$(1)),$(filter-out %/main.c %/sanitizers.c,$(call sources_in,boards/host))))

# $(call library_rules,architecture,protection,file)
define library_rules
$(3): $(call library_objects,$(1),$(2))
	@mkdir -p $$(@D)
	$$(call say,LIB,$$@)
	$(Q)$$(CROSS_$(1))ld -r -o $(3:.a=.o) $$^
	$(Q)$$(CROSS_$(1))objcopy --wildcard --keep-global-symbol='bh_*' $(3:.a=.o)
	$(Q)rm -f $$@ && $$(CROSS_$(1))ar Drcs $$@ $(3:.a=.o) && rm -f $(3:.a=.o)
endef

$(foreach a,$(ARCHES),$(foreach p,$(call protections,$(a)),$(eval $(call library_rules,$(a),$(p),$(call library,$(a),$(p))))))

# --- The preload library --------------------------------------------------------------------
# build/host/libbareheap-preload.so, and so on for host-debug and host-harden.
preload_library = $(BUILD)/$(1:preload%=host%)/libbareheap-preload.so
preload_objects = $(call objects,$(1),$(call library_sources,preload) $(call sources_in,$(BOARD_DIRS_preload)))

# The functions on everybody's way are the library's own under the names that programs call (delete is
# free, in its twelve forms): a function that only jumps there would be one more instruction for each.
PRELOAD_NAMES_bh_malloc := malloc __libc_malloc
PRELOAD_NAMES_bh_free   := free cfree __libc_free __libc_cfree _ZdlPv _ZdaPv _ZdlPvm _ZdaPvm _ZdlPvRKSt9nothrow_t \
                           _ZdaPvRKSt9nothrow_t _ZdlPvSt11align_val_t _ZdaPvSt11align_val_t _ZdlPvmSt11align_val_t \
                           _ZdaPvmSt11align_val_t _ZdlPvSt11align_val_tRKSt9nothrow_t _ZdaPvSt11align_val_tRKSt9nothrow_t
preload_names = $(foreach f,bh_malloc bh_free,$(foreach n,$(PRELOAD_NAMES_$(f)),--add-symbol $(n)=.text.$(f):0,global,function))

define preload_rules
$(BUILD)/$(1)/malloc.o: $(call objects,$(1),alloc/malloc.c) $(MAKEFILES_READ)
	$(Q)$$(CROSS_host)objcopy $(preload_names) $$< $$@

$(call preload_library,$(1)): private OBJECTS := $(BUILD)/$(1)/malloc.o \
                                                $(filter-out %/alloc/malloc.c.o,$(call preload_objects,$(1)))
$(call preload_library,$(1)): $(BUILD)/$(1)/malloc.o $(call preload_objects,$(1))
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$(Q)$$(CC_preload) $$(call config_ldflags,$(1)) -o $$@ $$(OBJECTS)
endef

$(foreach c,$(PRELOAD_CONFIGS),$(eval $(call preload_rules,$(c))))

# What is run under it: ordinary programs, built as such, whose calls of malloc stay calls. g++ is not
# needed for anything else; without it that one is left out.
PRELOAD_TESTS := $(patsubst tests/preload/%.c,$(BUILD)/host/preload-tests/%,$(call sources_in,tests/preload)) \
                 $(if $(shell command -v $(CXX)),$(BUILD)/host/preload-tests/operators)

$(BUILD)/host/preload-tests/%: tests/preload/%.c tests/preload/expect.h $(MAKEFILES_READ) $(call flags_file,host)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC_host) $(CFLAGS_common) $(EXTRA_CFLAGS) -fno-builtin -Wno-deprecated-declarations -pthread -o $@ $<

$(BUILD)/host/preload-tests/%: tests/preload/%.cc $(MAKEFILES_READ)
	@mkdir -p $(@D)
	$(call say,CXX,$@)
	$(Q)$(CXX) -std=c++17 $(OPTIMIZE) -g -Wall -Wextra -pthread -o $@ $<

# --- Images ---------------------------------------------------------------------------------
# $(call image_rules,configuration,image,sources) makes build/<configuration>/<image>.elf.
#
# The image holds a table of its own symbols, for backtraces. It is linked twice: first with an
# empty table, from which the names and addresses are taken, then with the table. The table lies
# behind all code, so the addresses of functions are those of the first link; gen-symbols --check
# makes sure.
define image_rules
$(BUILD)/$(1)/$(2).elf: private OBJECTS := $(call objects,$(1),$(3) $(call board_sources,$(call arch_of,$(1))) \
                                          $(call library_sources,$(call arch_of,$(1)))) $(call image_extra,$(1),$(2))
$(BUILD)/$(1)/$(2).elf: $(call image_extra,$(1),$(2)) $(call objects,$(1),$(3) $(call board_sources,$(call arch_of,$(1))) \
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

# What is in an image beside what our sources give: newlib's malloc, to be measured against.
image_extra = $(if $(filter count-newlib,$(2)),$(BUILD)/$(1)/newlib-malloc.o)

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
	$(Q)$$(CC_host) $$(call config_ldflags,host) -Wl,--gc-sections -o $$@ $$^
endef

# Programs that know nothing of the library: workloads for any malloc, and what starts them. The
# compiler must not believe that malloc and free in a row are nothing.
BENCH_PROGRAMS := $(BUILD)/host/bench/workloads $(BUILD)/host/bench/launch
BENCH_SOURCES  := $(filter-out %/launch.c,$(call sources_in,tests/bench)) tests/traces/trace.c
$(call objects,host,$(call sources_in,tests/bench)): CFLAGS_host += -fno-builtin-malloc -fno-builtin-calloc \
    -fno-builtin-realloc -fno-builtin-free

$(BUILD)/host/bench/workloads: $(call objects,host,$(BENCH_SOURCES))
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC_host) $(call config_ldflags,host) -o $@ $^

$(BUILD)/host/bench/launch: $(call objects,host,tests/bench/launch.c)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC_host) -static -o $@ $^

# --- newlib's malloc ------------------------------------------------------------------------
# With the flags that newlib's own makefiles have for a bare machine.
NEWLIB_CFLAGS := -g -O2 -ffreestanding -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables
NEWLIB_CFLAGS_x86_64  := $(NEWLIB_CFLAGS) -mno-red-zone
NEWLIB_CFLAGS_aarch64 := $(NEWLIB_CFLAGS) -mno-outline-atomics

$(BUILD)/newlib/newlib.h: tools/newlib
	$(call say,FETCH,newlib)
	$(Q)tools/newlib fetch $(@D)

define newlib_rules
$(BUILD)/$(1)/newlib-malloc.o: $(BUILD)/newlib/newlib.h $(MAKEFILES_READ)
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$(Q)tools/newlib malloc $(BUILD)/newlib $$@ $$(CC_$(1)) $$(NEWLIB_CFLAGS_$(1))
endef

$(foreach a,x86_64 aarch64,$(eval $(call newlib_rules,$(a))))

# What `virt` enters without an ELF loader: the bytes of the image.
$(BUILD)/aarch64%.img: $(BUILD)/aarch64%.elf
	$(call say,OBJCOPY,$@)
	$(Q)$(CROSS_aarch64)objcopy -O binary $< $@

# Header dependencies, of whatever has been compiled before.
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
