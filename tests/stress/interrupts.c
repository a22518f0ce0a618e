/* SPDX-License-Identifier: MIT */
/*
 * The tests' own board_on_interrupt(): counts interrupts and restarts, and can leave the fixup out.
 */
#include "tests/stress/interrupts.h"
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include <bareheap/port.h>

/* Written by its own core's interrupts alone. */
static struct counts {
    struct interrupts_count count;
} __attribute__((aligned(2 * ARCH_CACHE_LINE))) counts[BOARD_MAX_CORES];

static uint32_t fixup_left_out;

void board_on_interrupt(uintptr_t *pc)
{
    struct interrupts_count *count = &counts[bh_port_core()].count;
    uintptr_t interrupted = *pc;
    /* Relaxed: set before the interrupts that are meant; a few more or less with it do not matter.
     */
    if (!atomic_load_relaxed(&fixup_left_out))
        bh_restart_fixup(pc);
    atomic_store_relaxed(&count->taken, count->taken + 1); /* relaxed: figures */
    if (*pc != interrupted)
        atomic_store_relaxed(&count->restarts, count->restarts + 1);
}

struct interrupts_count interrupts_count(unsigned core)
{
    const struct interrupts_count *count = &counts[core].count;
    return (struct interrupts_count){atomic_load_relaxed(&count->taken),
                                     atomic_load_relaxed(&count->restarts)}; /* figures */
}

void interrupts_leave_out_fixup(void)
{
    atomic_store_relaxed(&fixup_left_out, 1u); /* see board_on_interrupt() */
}
