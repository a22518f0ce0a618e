/* SPDX-License-Identifier: MIT */
/*
 * What the board keeps per core, and the stacks of every core.
 *
 * The GS base of each core is its `struct core`: bh_port_core() is one load, and the allocator
 * finds this core's cache with another (port.h, bh_core_init).
 */
#ifndef BOARDS_QEMU_X86_64_CORE_H
#define BOARDS_QEMU_X86_64_CORE_H

#include "arch/arch.h"
#include "boards/board.h"
#include "boards/qemu-x86_64/layout.h"
#include <stdbool.h>
#include <stdint.h>

/* The 64-bit task state segment: only its stacks are used. Intel SDM volume 3, 7.7. */
struct task_state {
    uint32_t reserved0;
    uint64_t ring_stacks[3];
    uint64_t reserved1;
    uint64_t interrupt_stacks[7]; /* entry IST n is at n - 1 */
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map; /* at or past the limit: none */
} __attribute__((packed, aligned(16)));

struct core {
    uint32_t index; /* first: bh_port_core() reads GS:0 */
    uint32_t apic_id;
    void *slot;              /* the allocator's, at GS:BH_CORE_SLOT */
    uint32_t up;             /* set by the core itself, read by core 0 */
    void (*tick)(void);      /* board_timer_start()'s handler; its own core's only */
    struct step_state *step; /* board_interrupt_at() is under way; its own core's only */
    struct task_state tss;
} __attribute__((aligned(ARCH_CACHE_LINE)));

extern struct core cores[BOARD_MAX_CORES];

static inline struct core *core_here(void)
{
    return &cores[bh_port_core()];
}

/* Descriptor tables, interrupt stacks and GS base of core `index`, on that core, first of all. */
void core_load(unsigned index);

/* A stack that can be used: between two guards, [lo, hi). */
struct stack_range {
    uintptr_t lo;
    uintptr_t hi;
};

/* The one of this core's stacks that `sp` is on, the main stack for any other value. */
struct stack_range stack_range_of(uintptr_t sp);

/* The end of the main stack of core `core`. */
uintptr_t stack_main_top(unsigned core);

/* If `address` is in one of the guards of the cores' stacks: true, and whose. */
bool stack_guard_at(uintptr_t address, unsigned *core);

/* Unmaps every guard. Core 0, once, after the image is mapped. */
void stacks_unmap_guards(void);

/* Lists the cores that the firmware knows, up to BOARD_MAX_CORES. On the boot page tables. */
void cores_find(void);

/* Starts them, and waits until all are up. On the final page tables, with the clock running. */
void cores_start(void);

#endif
