/* SPDX-License-Identifier: MIT */
/*
 * A spinlock that masks interrupts, and the order in which locks are taken.
 *
 * 1. Interrupts go off before the lock is tried and come back on after it is released, so an
 *    interrupt handler on the same core never finds the lock held by what it interrupted.
 * 2. Acquire: the exchange that takes the lock is an acquire, so nothing of the critical
 *    section is seen to happen before it. Pairs with the release store in spinlock_release().
 * 3. Waiting reads the word without writing it, and between reads calls the wait hook: a core
 *    that waits with interrupts off cannot take the stop interrupt, so it looks for the stop itself
 *    and stands still (gc/stop.c). Not for the library's own locks, whose holders always come to
 *    their end, stop or no stop: there a waiter may be carrying a span from one list to another,
 *    and a collection may see it only when it is done; or it may be in an interrupt handler with a
 *    stack of its own, so that what it interrupted would be seen by nobody. Nor for the console's,
 *    taken under others.
 * 4. Debug builds keep a mask of the ranks each core holds: taking a rank at or under one that is
 *    held is a panic that names both.
 */
#ifndef KERNEL_LIB_SPINLOCK_H
#define KERNEL_LIB_SPINLOCK_H

#include <bareheap/config.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Ranks, in the order in which they may nest: a core that holds rank r takes only ranks above
 * r. The allocator's own locks (up to LOCK_PAGE_HEAP) are taken one at a time.
 */
enum lock_rank {
    LOCK_TEST_LOW = 0,  /* for the tests of this file */
    LOCK_GC = 1,        /* gc: root and pin tables */
    LOCK_CENTRAL = 2,   /* alloc: one class's spans and batches */
    LOCK_PAGE_HEAP = 3, /* alloc: free runs, regions, metadata cells */
    LOCK_TEST_HIGH = 4,
    LOCK_LOG = 5, /* a board's console */
    LOCK_RANKS
};

struct spinlock {
    uint32_t held;  /* 0 or 1 */
    uint32_t owner; /* the core that holds it plus 1: for messages */
    enum lock_rank rank;
    const char *name;
};

#define SPINLOCK_INIT(lock_rank, lock_name)                             \
    {                                                                   \
        .held = 0, .owner = 0, .rank = (lock_rank), .name = (lock_name) \
    }

void spinlock_init(struct spinlock *lock, enum lock_rank rank, const char *name);

/* Masks interrupts, takes the lock, returns the interrupt state for the release. */
uintptr_t spinlock_acquire(struct spinlock *lock);
void spinlock_release(struct spinlock *lock, uintptr_t irq_state);

/* Takes the lock, or takes it if it is free. Interrupts must be off already, and stay so. */
void spinlock_acquire_irqs_off(struct spinlock *lock);
bool spinlock_try(struct spinlock *lock);
void spinlock_release_irqs_off(struct spinlock *lock);

bool spinlock_held_here(const struct spinlock *lock);

/*
 * Called between looks at a lock that is held, interrupts off. NULL, or the collector's poll.
 * Set once, before a second core runs.
 */
extern void (*spinlock_wait_hook)(void);

/* The ranks this core holds, a bit each. Always 0 unless BH_DEBUG >= 1. */
uint32_t spinlock_ranks_held(void);

#endif
