/* SPDX-License-Identifier: MIT */
/*
 * The spinlock of spinlock.h: one word, an exchange, and why that is enough.
 *
 * Acquire
 * 1. Interrupts go off first. The other way round, an interrupt between taking the lock and
 *    masking could ask for the same lock and wait for ever for the code below it.
 * 2. The exchange writes 1 and tells what was there. Of any number of cores that try at once
 *    exactly one reads 0: it has the lock.
 * 3. Who reads 1 waits by reading: a read leaves the cache line shared, so the waiters do not
 *    take it away from the holder, who needs it for the release. Then it tries again.
 * 4. The exchange is an acquire: no access of the critical section moves up before it, neither in
 *    the compiler nor in the CPU.
 *
 * Release
 * 5. The store of 0 is a release: no access of the critical section moves down past it. With 4
 *    this makes everything done under the lock visible to the next holder.
 * 6. Interrupts come back after the store, if they were on before 1. The other way round, an
 *    interrupt between the two would find the lock held by the code it interrupted.
 *
 * Waiting can be long only if a holder is slow, as holders have interrupts off. Where a holder
 * may lose its processor all the same, bh_port_wait() is the place to help it. There is no queue:
 * critical sections are a few hundred instructions, and fairness costs a second cache line.
 *
 * Invariants: held == 1 exactly while one core is between acquire and release; owner is that core's
 * index plus 1, or 0, and only that core writes it. In debug builds the bit of rank r in
 * spinlock_ranks[c] is set exactly while core c holds a lock of rank r, which then is
 * spinlock_of_rank[c][r].
 */
#include "kernel-lib/spinlock.h"
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/bits.h"
#include "kernel-lib/check.h"
#include "kernel-lib/percore.h"

/* The library's own ranks, of which a core holds one at a time. */
#define SPINLOCK_LONE_RANKS \
    ((uint32_t)1 << LOCK_GC | (uint32_t)1 << LOCK_CENTRAL | (uint32_t)1 << LOCK_PAGE_HEAP)

void (*spinlock_wait_hook)(void);

/* Debug builds only; each row belongs to its core, which touches it with interrupts off. */
static PER_CORE(uint32_t, spinlock_ranks);
static const struct spinlock *spinlock_of_rank[BH_MAX_CORES][LOCK_RANKS];

void spinlock_init(struct spinlock *lock, enum lock_rank rank, const char *name)
{
    *lock = (struct spinlock)SPINLOCK_INIT(rank, name);
}

bool spinlock_held_here(const struct spinlock *lock)
{
    /* Relaxed: only this core writes its own number, and another's number says no, old or new. */
    return atomic_load_relaxed(&lock->owner) == bh_port_core() + 1;
}

uint32_t spinlock_ranks_held(void)
{
    return BH_DEBUG >= 1 ? per_core_here(spinlock_ranks) : 0;
}

/* The ranks that a core may not hold when it takes one of rank `rank`: that and all above, and
 * for one of our own all of those: waiters do not look for a stop (see wait below). */
static uint32_t spinlock_forbidden_ranks(enum lock_rank rank)
{
    uint32_t forbidden = ~(uint32_t)0 << rank;
    return SPINLOCK_LONE_RANKS >> rank & 1 ? forbidden | SPINLOCK_LONE_RANKS : forbidden;
}

/* Before waiting, since the mistakes that this finds would wait for ever. */
static void spinlock_check_order(const struct spinlock *lock)
{
    unsigned core = bh_port_core();
    uint32_t wrong = spinlock_ranks[core] & spinlock_forbidden_ranks(lock->rank);
    if (spinlock_held_here(lock))
        bh_panic("lock %s taken twice on core %u", lock->name, core);
    if (wrong == 0)
        return;
    const struct spinlock *other = spinlock_of_rank[core][bits_lowest(wrong)];
    bh_panic("lock %s of rank %u taken on core %u, which holds lock %s of rank %u", lock->name,
             (unsigned)lock->rank, core, other->name, (unsigned)other->rank);
}

/* Debug builds: this core has taken `lock`. */
static void spinlock_note_taken(const struct spinlock *lock)
{
    unsigned core = bh_port_core();
    spinlock_ranks[core] |= (uint32_t)1 << lock->rank;
    spinlock_of_rank[core][lock->rank] = lock;
}

/* Debug builds: this core is about to release `lock`. */
static void spinlock_note_released(const struct spinlock *lock)
{
    unsigned core = bh_port_core();
    if (!spinlock_held_here(lock))
        bh_panic("lock %s released on core %u, which does not hold it", lock->name, core);
    spinlock_ranks[core] &= ~((uint32_t)1 << lock->rank);
}

#if BH_PORT_ALONE
#define SPINLOCK_ALONE() bh_port_alone()
#else
#define SPINLOCK_ALONE() false
#endif

/* Makes `held` 1; false when it was 1 already. */
static bool spinlock_take(struct spinlock *lock)
{
    if (!SPINLOCK_ALONE())
        /* Acquire: pairs with the release store in spinlock_release_irqs_off(). */
        return atomic_exchange_acquire(&lock->held, 1) == 0;
    /* Relaxed: no other core looks, and how the next one comes to look is the port's to order. */
    bool free = atomic_load_relaxed(&lock->held) == 0;
    atomic_store_relaxed(&lock->held, 1);
    return free;
}

/* One attempt; notes the new holder. */
static bool spinlock_try_unchecked(struct spinlock *lock)
{
    if (!spinlock_take(lock))
        return false;
    /* Relaxed: read as a yes only by this core itself. */
    atomic_store_relaxed(&lock->owner, bh_port_core() + 1);
    if (BH_DEBUG >= 1)
        spinlock_note_taken(lock);
    return true;
}

/* Ranks whose waiters wait on, stop or no stop; spinlock.h says why. */
#define SPINLOCK_DEAF_RANKS (SPINLOCK_LONE_RANKS | (uint32_t)1 << LOCK_LOG)

/* Looks at a lock before the port hears of it: a few critical sections' time. */
#define SPINLOCK_LOOKS_PER_WAIT 64

/* Until the lock looks free. */
static void spinlock_wait(const struct spinlock *lock)
{
    /* Relaxed: a hint to try again; the exchange that follows orders. */
    for (unsigned looks = 1; atomic_load_relaxed(&lock->held) != 0; looks++) {
        /* Acquire: pairs with the release in collect_attach(), which may come while we wait. */
        void (*hook)(void) = atomic_load_acquire(&spinlock_wait_hook);
        if (hook != NULL && !(SPINLOCK_DEAF_RANKS >> lock->rank & 1))
            hook();
        arch_pause();
        if (looks % SPINLOCK_LOOKS_PER_WAIT == 0)
            bh_port_wait(looks / SPINLOCK_LOOKS_PER_WAIT - 1);
    }
}

void spinlock_acquire_irqs_off(struct spinlock *lock)
{
    BH_ASSERT(!arch_irq_enabled());
    if (BH_DEBUG >= 1)
        spinlock_check_order(lock);
    while (!spinlock_try_unchecked(lock))
        spinlock_wait(lock);
}

uintptr_t spinlock_acquire(struct spinlock *lock)
{
    uintptr_t irq_state = arch_irq_save();
    spinlock_acquire_irqs_off(lock);
    return irq_state;
}

/* Out of order is allowed here, for who never waits cannot deadlock; twice of one rank is not. */
bool spinlock_try(struct spinlock *lock)
{
    BH_ASSERT(!arch_irq_enabled());
    BH_ASSERT(spinlock_held_here(lock) || !(spinlock_ranks_held() >> lock->rank & 1));
    return spinlock_try_unchecked(lock);
}

void spinlock_release_irqs_off(struct spinlock *lock)
{
    if (BH_DEBUG >= 1)
        spinlock_note_released(lock);
    /* Relaxed: see spinlock_held_here(); the release below puts it before the next owner's. */
    atomic_store_relaxed(&lock->owner, 0);
    atomic_store_release(&lock->held, 0); /* pairs with spinlock_take() */
}

void spinlock_release(struct spinlock *lock, uintptr_t irq_state)
{
    spinlock_release_irqs_off(lock);
    arch_irq_restore(irq_state);
}
