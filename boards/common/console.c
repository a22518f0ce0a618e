/* SPDX-License-Identifier: MIT */
/*
 * bh_port_log() of a QEMU board: texts of several cores come out one after the other.
 *
 * 1. The lock is taken by trying, interrupts off, and not by spinlock_acquire(): that one lets the
 *    collector stop the waiting core, which may hold a lock of the allocator here. The
 *    holder only writes to a device, so the wait is short.
 * 2. A core that faults while it holds the lock prints its report all the same: it finds
 *    the lock to be its own and goes on without taking it.
 * 3. After console_claim() only the claimant's texts are printed; the others' are dropped.
 *
 * Locks: console_lock (LOCK_LOG), the highest rank: any lock may be held on entry.
 */
#include "boards/common/console.h"

#include "arch/arch.h"
#include "boards/board.h"
#include "boards/common/machine.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/spinlock.h"
#include <bareheap/port.h>

static struct spinlock console_lock = SPINLOCK_INIT(LOCK_LOG, "console");

/* The core that has the console to itself, plus 1; 0 while there is none. */
static uint32_t console_owner;

bool console_claim(void)
{
    uint32_t owner = 0;
    uint32_t me = bh_port_core() + 1;
    return atomic_cas_acq_rel(&console_owner, &owner, me) || owner == me;
}

static bool console_may_write(void)
{
    /* Relaxed: a core that sees the claim late prints one more text before the report. */
    uint32_t owner = atomic_load_relaxed(&console_owner);
    return owner == 0 || owner == bh_port_core() + 1;
}

void bh_port_log(const char *text, size_t bytes)
{
    if (!console_may_write())
        return;
    uintptr_t irq_state = arch_irq_save();
    bool interrupted_ourselves = spinlock_held_here(&console_lock);
    while (!interrupted_ourselves && !spinlock_try(&console_lock))
        arch_pause();
    machine_write(text, bytes);
    if (!interrupted_ourselves)
        spinlock_release_irqs_off(&console_lock);
    arch_irq_restore(irq_state);
}

void board_putc(char c)
{
    bh_port_log(&c, 1);
}
