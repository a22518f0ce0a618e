/* SPDX-License-Identifier: MIT */
/*
 * kernel-lib/spinlock.h: mutual exclusion of all cores and of their timer interrupts, the wait
 * hook, and in debug builds the mistakes that it must name.
 */
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/spinlock.h"
#include "tests/harness/harness.h"

#define ROUNDS_PER_CORE 2000u
#define TICK_NS         UINT64_C(200000)

static struct spinlock low = SPINLOCK_INIT(LOCK_TEST_LOW, "low");
static struct spinlock high = SPINLOCK_INIT(LOCK_TEST_HIGH, "high");

/* Guarded by `low`. Two words that are equal whenever the lock is free. */
static uint64_t guarded[2];
static uint32_t ticks_total;

static void add_one_locked(void)
{
    EXPECT(spinlock_held_here(&low));
    EXPECT(!arch_irq_enabled());
    EXPECT_EQ(guarded[0], guarded[1]);
    guarded[0]++;
    compiler_barrier(); /* two stores, with room in between for somebody else */
    guarded[1]++;
}

static void add_one(void)
{
    uintptr_t irq_state = spinlock_acquire(&low);
    add_one_locked();
    spinlock_release(&low, irq_state);
}

static void tick(void)
{
    add_one();
    (void)atomic_add_relaxed(&ticks_total, 1); /* relaxed: a count, read when all have stopped */
}

static void start_anew(void)
{
    if (bh_port_core() == 0) {
        guarded[0] = guarded[1] = 0;
        ticks_total = 0;
    }
    harness_barrier();
}

TEST(spinlock_gives_back_the_interrupt_state)
{
    EXPECT(arch_irq_enabled());
    uintptr_t outer = spinlock_acquire(&low);
    EXPECT(!arch_irq_enabled());
    EXPECT(spinlock_held_here(&low));
    uintptr_t inner = spinlock_acquire(&high);
    spinlock_release(&high, inner);
    EXPECT(!arch_irq_enabled());
    spinlock_release(&low, outer);
    EXPECT(arch_irq_enabled());
    EXPECT(!spinlock_held_here(&low));
}

TEST(spinlock_try_takes_only_a_free_lock)
{
    uintptr_t irq_state = arch_irq_save();
    EXPECT(spinlock_try(&low));
    EXPECT(!spinlock_try(&low));
    EXPECT(spinlock_held_here(&low));
    spinlock_release_irqs_off(&low);
    EXPECT(!spinlock_held_here(&low));
    EXPECT(!arch_irq_enabled());
    arch_irq_restore(irq_state);
}

TEST(spinlock_ranks_are_noted)
{
    EXPECT_EQ(spinlock_ranks_held(), 0);
    uintptr_t irq_state = spinlock_acquire(&high);
    EXPECT_EQ(spinlock_ranks_held(), BH_DEBUG >= 1 ? 1u << LOCK_TEST_HIGH : 0u);
    spinlock_release(&high, irq_state);
    EXPECT_EQ(spinlock_ranks_held(), 0);
}

TEST_ALL_CORES(spinlock_excludes_the_other_cores)
{
    start_anew();
    for (unsigned i = 0; i < ROUNDS_PER_CORE; i++)
        add_one();
    harness_barrier();
    EXPECT_EQ(guarded[0], (uint64_t)ROUNDS_PER_CORE * board_cores());
}

TEST_ALL_CORES(spinlock_excludes_interrupts)
{
    start_anew();
    board_timer_start(TICK_NS, tick);
    for (unsigned i = 0; i < ROUNDS_PER_CORE; i++)
        add_one();
    board_timer_stop();
    harness_barrier();
    EXPECT_EQ(guarded[0], (uint64_t)ROUNDS_PER_CORE * board_cores() + ticks_total);
}

#define HOLD_YIELDS 20000

static uint32_t hook_calls;
static uint32_t may_release;
static uint32_t is_held;
static uint32_t is_wanted;

/* Called by the core that waits; lets the holder go on after a few looks. */
static void count_hook(void)
{
    if (atomic_add_relaxed(&hook_calls, 1) == 10) /* relaxed: one core counts */
        atomic_store_release(&may_release, 1);    /* pairs with hold_until_told() */
}

/* Until the hook has been called ten times; of our own locks, whose waiters do not call it, for a
 * while. */
static void hold_until_told(void *arg)
{
    struct spinlock *lock = arg;
    uintptr_t irq_state = spinlock_acquire(lock);
    atomic_store_release(&is_held, 1);       /* pairs with the load in calls_while_waiting() */
    while (!atomic_load_acquire(&is_wanted)) /* pairs with the store there */
        board_yield();
    for (unsigned i = 0; i < HOLD_YIELDS || lock == &low; i++) {
        if (atomic_load_acquire(&may_release))
            break;
        board_yield();
    }
    spinlock_release(lock, irq_state);
}

/* How often the hook is called by a core that waits for the lock. */
static uint32_t calls_while_waiting(struct spinlock *lock)
{
    void (*previous)(void) = spinlock_wait_hook;
    hook_calls = may_release = is_held = is_wanted = 0;
    spinlock_wait_hook = count_hook;
    board_start(1, hold_until_told, lock);
    while (!atomic_load_acquire(&is_held))
        board_yield();
    atomic_store_release(&is_wanted, 1); /* pairs with hold_until_told() */
    uintptr_t irq_state = spinlock_acquire(lock);
    spinlock_release(lock, irq_state);
    board_wait(1);
    spinlock_wait_hook = previous;
    return hook_calls;
}

TEST(spinlock_waiter_calls_the_hook_but_for_our_own_locks)
{
    static struct spinlock own[] = {SPINLOCK_INIT(LOCK_GC, "gc"),
                                    SPINLOCK_INIT(LOCK_CENTRAL, "central"),
                                    SPINLOCK_INIT(LOCK_PAGE_HEAP, "page heap")};
    if (board_cores() < 2) {
        harness_skip("needs a second core to wait for");
        return;
    }
    EXPECT(calls_while_waiting(&low) >= 10);
    for (unsigned i = 0; i < 3; i++)
        EXPECT_EQ(calls_while_waiting(&own[i]), 0);
}

#if BH_DEBUG >= 1

static struct spinlock first = SPINLOCK_INIT(LOCK_GC, "first");
static struct spinlock second = SPINLOCK_INIT(LOCK_CENTRAL, "second");

TEST_PANICS(spinlock_panics_when_taken_twice, "lock low taken twice on core 0")
{
    (void)spinlock_acquire(&low);
    (void)spinlock_acquire(&low);
}

TEST_PANICS(spinlock_panics_out_of_order,
            "lock low of rank 0 taken on core 0, which holds lock high of rank 4")
{
    (void)spinlock_acquire(&high);
    (void)spinlock_acquire(&low);
}

TEST_PANICS(spinlock_panics_at_two_of_our_own,
            "lock second of rank 2 taken on core 0, which holds lock first of rank 1")
{
    (void)spinlock_acquire(&first);
    (void)spinlock_acquire(&second);
}

TEST_PANICS(spinlock_panics_when_not_held, "lock low released on core 0, which does not hold it")
{
    spinlock_release_irqs_off(&low);
}

#endif
