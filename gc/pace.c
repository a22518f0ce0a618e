/* SPDX-License-Identifier: MIT */
/*
 * When to collect, how fast to sweep, and when not to try again.
 *
 *   goal = live + (live + stacks + globals) * percent / 100
 *
 * where `live`, `stacks` and `globals` are what the last mark found and scanned (Go's formula: the
 * cost of a cycle grows with all three, so the heap may grow with all three between two).
 *
 * 1. The goal is never under the minimum heap, a 32nd of the RAM that the allocator was given but
 *    64 KiB at least and 4 MiB at most: a small live heap is not worth collecting often, and what
 * is small depends on the machine.
 * 2. It is at least PACE_STEP_BYTES over `live`, so that percent 0 does not mean a cycle per
 * object.
 * 3. Sweeping: what is left to sweep after a cycle must be swept before the goal is reached, or the
 *    next stop has to do it. Of heap_bytes to sweep and goal - live to allocate the quotient is the
 *    pages to look at for each page that is allocated.
 * 4. A core that did not stop will probably not stop at the next allocation either: no automatic
 *    cycle starts until four times the stop's timeout have passed, so at most a fifth of the time
 * is lost; without a clock, until as many as PACE_BACK_OFF_REQUESTS were turned away.
 *    bh_gc_collect() is not held back.
 *
 * Lock: pace_lock (LOCK_GC) protects `pace`; what is read without it is marked atomic. In a stop it
 * is written without the lock: no core stands still with it held [GC-3].
 */
#include "gc/pace.h"
#include "alloc/walk.h"
#include "gc/stop.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/spinlock.h"
#include <bareheap/gc.h>

#define PACE_FIRST_PERCENT     100
#define PACE_HEAP_SHARE        32
#define PACE_HEAP_LO_BYTES     ((size_t)64 << 10)
#define PACE_HEAP_HI_BYTES     ((size_t)4 << 20)
#define PACE_STEP_BYTES        ((size_t)32 << 10)
#define PACE_SWEEP_MOST_PAGES  64
#define PACE_BACK_OFF_TIMEOUTS 4
#define PACE_BACK_OFF_REQUESTS 64

struct pace {
    int percent;
    size_t live_bytes;  /* of the last cycle */
    size_t extra_bytes; /* stacks and globals of the last cycle */
    size_t goal_bytes;  /* 0: not computed yet; read without the lock */
    size_t sweep_pages; /* read without the lock */

    bool backing_off;
    unsigned turned_away;
    uint64_t abandoned_ns;
};

static struct spinlock pace_lock = SPINLOCK_INIT(LOCK_GC, "gc pace");
static struct pace pace = {.percent = PACE_FIRST_PERCENT, .sweep_pages = 1};

static size_t pace_least_heap(void)
{
    size_t share = walk_region_bytes() / PACE_HEAP_SHARE;
    if (share < PACE_HEAP_LO_BYTES)
        return PACE_HEAP_LO_BYTES;
    return share < PACE_HEAP_HI_BYTES ? share : PACE_HEAP_HI_BYTES;
}

/* a + b, or SIZE_MAX. */
static size_t pace_add(size_t a, size_t b)
{
    size_t sum;
    return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

/* bytes * percent / 100, or SIZE_MAX. */
static size_t pace_scale(size_t bytes, size_t percent)
{
    size_t whole, part = bytes % 100 * percent / 100;
    return __builtin_mul_overflow(bytes / 100, percent, &whole) ? SIZE_MAX : pace_add(whole, part);
}

static size_t pace_compute_goal(void)
{
    if (pace.percent < 0)
        return SIZE_MAX;
    size_t growth = pace_scale(pace_add(pace.live_bytes, pace.extra_bytes), (size_t)pace.percent);
    size_t goal = pace_add(pace.live_bytes, growth > PACE_STEP_BYTES ? growth : PACE_STEP_BYTES);
    size_t least = pace_least_heap();
    return goal > least ? goal : least;
}

/* With the lock, or in a stop. Before there is a heap the goal stays 0: computed when it is asked.
 */
static void pace_set_goal(void)
{
    /* Relaxed, as are its readers: a figure, compared with another one that moves all the time. */
    atomic_store_relaxed(&pace.goal_bytes, walk_region_bytes() == 0 ? 0 : pace_compute_goal());
}

size_t pace_goal(void)
{
    size_t goal = atomic_load_relaxed(&pace.goal_bytes); /* as above */
    if (BH_LIKELY(goal != 0))
        return goal;
    uintptr_t irq = spinlock_acquire(&pace_lock);
    pace_set_goal();
    goal = pace.goal_bytes;
    spinlock_release(&pace_lock, irq);
    return goal;
}

bool pace_is_due(void)
{
    return collected_bytes() >= pace_goal();
}

size_t pace_sweep_pages(void)
{
    return atomic_load_relaxed(&pace.sweep_pages); /* relaxed: a figure */
}

/* Point 3 above, rounded up. */
static size_t pace_compute_sweep(size_t heap_bytes)
{
    size_t runway_pages = (pace.goal_bytes - pace.live_bytes) >> PAGE_SHIFT; /* > 0: point 2 */
    size_t pages = (heap_bytes >> PAGE_SHIFT) / runway_pages + 1;
    return pages < PACE_SWEEP_MOST_PAGES ? pages : PACE_SWEEP_MOST_PAGES;
}

void pace_cycle_done(size_t heap_bytes, size_t live_bytes, size_t stack_bytes, size_t global_bytes)
{
    pace.live_bytes = live_bytes;
    pace.extra_bytes = pace_add(stack_bytes, global_bytes);
    pace.backing_off = false;
    pace_set_goal();
    atomic_store_relaxed(&pace.sweep_pages, pace_compute_sweep(heap_bytes)); /* a figure */
}

void pace_cycle_abandoned(uint64_t now_ns)
{
    uintptr_t irq = spinlock_acquire(&pace_lock);
    pace.backing_off = true;
    pace.turned_away = 0;
    pace.abandoned_ns = now_ns;
    spinlock_release(&pace_lock, irq);
}

static bool pace_back_off_locked(uint64_t now_ns)
{
    if (pace.backing_off && now_ns == pace.abandoned_ns)
        pace.backing_off = ++pace.turned_away < PACE_BACK_OFF_REQUESTS;
    else if (pace.backing_off)
        pace.backing_off = now_ns - pace.abandoned_ns < PACE_BACK_OFF_TIMEOUTS * stop_timeout_ns();
    return pace.backing_off;
}

bool pace_is_backing_off(uint64_t now_ns)
{
    uintptr_t irq = spinlock_acquire(&pace_lock);
    bool backing_off = pace_back_off_locked(now_ns);
    spinlock_release(&pace_lock, irq);
    return backing_off;
}

int bh_gc_set_percent(int percent)
{
    uintptr_t irq = spinlock_acquire(&pace_lock);
    int old = pace.percent;
    pace.percent = percent < 0 ? -1 : percent;
    pace_set_goal();
    spinlock_release(&pace_lock, irq);
    return old;
}
