/* SPDX-License-Identifier: MIT */
/*
 * bh_port_log() of a QEMU board: texts of several cores come out one after the other.
 *
 * 1. The lock is taken by trying, interrupts off, and not by spinlock_acquire(): that one lets the
 *    collector stop the waiting core, which may hold a lock of the allocator here. The
 *    holder only writes to a device, so the wait is short.
 * 2. A core that faults while it holds the lock prints its report all the same: it finds
 *    the lock to be its own and goes on without taking it.
 * 3. After console_claim() only the claimant's texts are printed; the others' are dropped, also by
 *    cores that wait for the lock at that moment.
 * 4. The claimant waits for the lock with a bound, over all its texts together, and then writes
 *    without it: the holder may be a core that an exception has interrupted in the middle of a text
 *    and that now waits for the claimant to end the machine (start.c).
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

/* The claimant's looks at a lock that stays taken: far longer than the longest text takes. */
#define CONSOLE_CLAIMANT_POLLS 4000000u

static struct spinlock console_lock = SPINLOCK_INIT(LOCK_LOG, "console");

/* The core that has the console to itself, plus 1; 0 while there is none. */
static uint32_t console_owner;

/* How often the claimant may still look. Only the claimant writes it. */
static uint32_t console_polls_left = CONSOLE_CLAIMANT_POLLS;

bool console_claim(void)
{
    uint32_t owner = 0;
    uint32_t me = bh_port_core() + 1;
    return atomic_cas_acq_rel(&console_owner, &owner, me) || owner == me;
}

/* Whether core `owner` - 1 keeps this core's texts off the console. */
static bool is_another(uint32_t owner)
{
    return owner != 0 && owner != bh_port_core() + 1;
}

/* Waits for the lock. False: go on without it, or not at all when another core has the console. */
static bool console_take(void)
{
    if (spinlock_held_here(&console_lock))
        return false;
    for (;;) {
        if (spinlock_try(&console_lock))
            return true;
        /* Relaxed: a claim that is seen late is seen at the next look. */
        uint32_t owner = atomic_load_relaxed(&console_owner);
        if (is_another(owner) || (owner != 0 && console_polls_left == 0))
            return false;
        if (owner != 0)
            console_polls_left--;
        arch_pause();
    }
}

void bh_port_log(const char *text, size_t bytes)
{
    uintptr_t irq_state = arch_irq_save();
    bool taken = console_take();
    /* Relaxed: a core that sees the claim late prints one more text before the report. */
    if (!is_another(atomic_load_relaxed(&console_owner)))
        machine_write(text, bytes);
    if (taken)
        spinlock_release_irqs_off(&console_lock);
    arch_irq_restore(irq_state);
}

void board_putc(char c)
{
    bh_port_log(&c, 1);
}
