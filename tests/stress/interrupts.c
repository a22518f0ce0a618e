/* SPDX-License-Identifier: MIT */
/*
 * The tests' own board_on_interrupt(): counts restarts, and can undo them. The fixup itself is the
 * board's: that it is called is what these tests are about.
 */
#include "tests/stress/interrupts.h"
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include <bareheap/port.h>

/* Written by its own core's interrupts alone. */
static struct restarts {
    uint64_t count;
} __attribute__((aligned(2 * ARCH_CACHE_LINE))) restarts[BOARD_MAX_CORES];

static uint32_t fixup_left_out;

void board_on_interrupt(uintptr_t *pc, uintptr_t interrupted)
{
    struct restarts *mine = &restarts[bh_port_core()];
    if (*pc == interrupted)
        return;
    atomic_store_relaxed(&mine->count, mine->count + 1); /* relaxed: a figure */
    /* Relaxed: set before the interrupts that are meant; a few more or less with it do not matter.
     */
    if (atomic_load_relaxed(&fixup_left_out))
        *pc = interrupted;
}

uint64_t interrupts_restarts(unsigned core)
{
    return atomic_load_relaxed(&restarts[core].count); /* a figure */
}

void interrupts_leave_out_fixup(void)
{
    atomic_store_relaxed(&fixup_left_out, 1u); /* see board_on_interrupt() */
}
