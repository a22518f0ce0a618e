/* SPDX-License-Identifier: MIT */
/*
 * Per-core data, stacks and descriptor tables, and the functions of port.h that follow from them.
 *
 * Invariant: cores[i].index == i; core 0 is the one that booted.
 */
#include "boards/qemu-x86_64/core.h"

#include "boards/common/image.h"
#include "boards/qemu-x86_64/cpu.h"
#include "boards/qemu-x86_64/interrupts.h"
#include "boards/qemu-x86_64/pages.h"
#include "kernel-lib/bits.h"
#include "kernel-lib/check.h"
#include <bareheap/port.h>

BH_STATIC_ASSERT(BOARD_MAX_CORES == GDT_CORES, "the descriptor table has a TSS for every core");
BH_STATIC_ASSERT(STACKS_BYTES == STACK_PAGE_FAULT_TOP, "the last stack ends the block");
BH_STATIC_ASSERT(sizeof(struct task_state) == 112, "104 bytes, rounded up to the alignment");

BH_STATIC_ASSERT(offsetof(struct core, slot) == BH_CORE_SLOT,
                 "mk/config.mk names the slot's place");

#define TSS_LIMIT            103u
#define TSS_AVAILABLE        (UINT64_C(0x89) << 40) /* type and present bit */
#define GDT_WORDS_BEFORE_TSS (SELECTOR_TSS / 8)

struct core cores[BOARD_MAX_CORES];

/* In boot.S. */
extern uint64_t gdt[GDT_WORDS_BEFORE_TSS + 2 * GDT_CORES];
extern const char gdt_pointer[];

unsigned bh_port_core(void)
{
    /* Not volatile, no memory: a job never changes its core, so one read per function is enough. */
    unsigned index;
    __asm__("movl %%gs:0, %0" : "=r"(index));
    return index;
}

/* The stacks of one core by their offsets (layout.h), ascending, the main stack first. Below each
 * is a guard, down to the end of the one before. */
static const struct stack_range stacks[] = {
    {STACK_MAIN_GUARD_BYTES, STACK_MAIN_TOP},
    {STACK_MAIN_TOP + STACK_SIDE_GUARD_BYTES, STACK_FAULT_TOP},
    {STACK_FAULT_TOP + STACK_SIDE_GUARD_BYTES, STACK_PAGE_FAULT_TOP},
};

#define STACK_COUNT (sizeof(stacks) / sizeof(stacks[0]))

static uintptr_t stack_part(unsigned core, size_t offset)
{
    return (uintptr_t)__stacks_start + (size_t)core * STACKS_BYTES + offset;
}

uintptr_t stack_main_top(unsigned core)
{
    return stack_part(core, STACK_MAIN_TOP);
}

bool stack_guard_at(uintptr_t address, unsigned *core)
{
    if (address < stack_part(0, 0) || address >= stack_part(BOARD_MAX_CORES, 0))
        return false;
    size_t offset = address - stack_part(0, 0);
    *core = (unsigned)(offset / STACKS_BYTES);
    offset %= STACKS_BYTES;
    for (size_t i = 0; i < STACK_COUNT; i++)
        if (offset >= stacks[i].lo && offset < stacks[i].hi)
            return false;
    return true;
}

static void stacks_unmap_guards_of(unsigned core)
{
    size_t end_before = 0;
    for (size_t i = 0; i < STACK_COUNT; i++) {
        pages_unmap(stack_part(core, end_before), stack_part(core, stacks[i].lo));
        end_before = stacks[i].hi;
    }
}

void stacks_unmap_guards(void)
{
    for (unsigned core = 0; core < BOARD_MAX_CORES; core++)
        stacks_unmap_guards_of(core);
}

struct stack_range stack_range_of(uintptr_t sp)
{
    uintptr_t block = stack_part(bh_port_core(), 0);
    size_t found = 0;
    for (size_t i = 0; i < STACK_COUNT; i++)
        if (sp > block + stacks[i].lo && sp <= block + stacks[i].hi)
            found = i;
    return (struct stack_range){block + stacks[found].lo, block + stacks[found].hi};
}

uintptr_t bh_port_stack_top(uintptr_t sp)
{
    return stack_range_of(sp).hi;
}

static void task_state_init(struct task_state *tss, unsigned core)
{
    tss->interrupt_stacks[IST_FAULT - 1] = stack_part(core, STACK_FAULT_TOP);
    tss->interrupt_stacks[IST_PAGE_FAULT - 1] = stack_part(core, STACK_PAGE_FAULT_TOP);
    tss->io_map = sizeof(*tss);
}

/* A system descriptor of two words. Intel SDM volume 3, figures 7-4 and 3-8. */
static void descriptor_set(unsigned core)
{
    uint64_t base = (uint64_t)&cores[core].tss;
    uint64_t *descriptor = &gdt[GDT_WORDS_BEFORE_TSS + 2 * core];
    descriptor[0] = TSS_LIMIT | (base & 0xffffff) << 16 | TSS_AVAILABLE | (base >> 24 & 0xff) << 56;
    descriptor[1] = base >> 32;
}

void core_load(unsigned index)
{
    cores[index].index = index;
    cpu_write_msr(MSR_GS_BASE, (uint64_t)&cores[index]);
    task_state_init(&cores[index].tss, index);
    descriptor_set(index);
    __asm__ volatile("lgdt (%0)" : : "r"(gdt_pointer) : "memory");
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS + 16 * index) : "memory");
    /* A reset leaves the x87 with its exceptions unmasked, which C does not expect. */
    __asm__ volatile("fninit");
    interrupts_load();
    bh_core_init();
}
