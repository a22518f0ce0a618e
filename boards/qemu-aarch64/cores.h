/* SPDX-License-Identifier: MIT */
/* The cores of this machine: who is who, how they start, where their stacks are. */
#ifndef BOARDS_QEMU_AARCH64_CORES_H
#define BOARDS_QEMU_AARCH64_CORES_H

#include "boards/qemu-aarch64/hardware.h"
#include "boards/qemu-aarch64/layout.h"
#include <stdint.h>

/* What a core's TPIDR_EL1 points to, from its first instructions on (start.S). */
struct core_base {
    uint32_t index;
    uint32_t reserved;
    void *slot;              /* the allocator's, at TPIDR_EL1 + BH_CORE_SLOT */
    struct step_state *step; /* board_interrupt_at() is under way; its own core's only */
} __attribute__((aligned(CORE_BASE_BYTES)));

static inline struct core_base *core_base_here(void)
{
    struct core_base *base;
    /* Not volatile: the value never changes on a core. */
    __asm__("mrs %0, tpidr_el1" : "=r"(base));
    return base;
}

/* Core 0: numbers the cores, itself first. After it board_cores() is right. */
void cores_init(const struct hardware *hardware);

/* Core 0, last: starts the others with the same translation tables, and waits until they idle. */
void cores_start(void);

/* The affinity fields of a core's MPIDR_EL1. */
uint64_t cores_mpidr(unsigned core);

/* The guard areas of all stacks are no longer mapped, from mmu_switch() on. */
void cores_map_guards(void);

/* The core in whose stack guards `address` is, or -1. */
int cores_guard_owner(uintptr_t address);

/* The end of a core's main stack. */
uintptr_t cores_main_stack_top(unsigned core);

/* start.S calls this on each core but the first, MMU on, on its own stack. */
void boot_secondary_core(unsigned core);

#endif
