/* SPDX-License-Identifier: MIT */
/*
 * When to collect, how fast to sweep, and when not to try again.
 *
 *   goal = live + (live + stacks + globals) * percent / 100
 *
 * where `live`, `stacks` and `globals` are what the last mark found and scanned (Go's formula: the
 * cost of a cycle grows with all three, so the heap may grow with all three between two).
 *
 * 1. The goal is never under the minimum heap: a small live heap is not worth collecting often, and
 *    what is small depends on the machine. Of the RAM that the allocator was given it is a 32nd, 64
 *    KiB at least and 4 MiB at most, but a 512th where that is more (from 2 GiB on), up to 64 MiB:
 *    by then a cycle costs next to nothing beside filling the heap, however little lives.
 * 2. It is at least a step over `live`, so that percent 0 does not mean a cycle per object: a 32nd
 *    of `live`, PACE_STEP_BYTES at least. This bounds the marking per allocated byte, clock or no
 *    clock.
 * 3. A limit lowers the goal, the minimum heap notwithstanding:
 *      goal <= limit - headroom - other - waste
 *    `other` is what is in use and not in collected spans: manual objects, caches, free objects,
 *    metadata. `waste` is what collected spans had more than their objects when the last cycle
 *    began. The headroom, a 32nd, is for what is taken between two looks. A cycle is also due when
 *    all that is in use, whatever it is, would pass the limit.
 * 4. A cycle that only the limit wants is left out when cycles have had half of the time lately
 *    (limiter.h), or when the heap has not grown by the step of point 2: it then passes the limit.
 * 5. A cycle is due when there has been none for two minutes, unless the percentage is negative: a
 *    program that hardly allocates still wants its finalizers run, and memory back.
 * 6. Sweeping: what is left to sweep after a cycle must be swept before the goal is reached, or the
 *    next stop has to do it. Of heap_bytes to sweep and goal - live to allocate the quotient is the
 *    pages to look at for each page that is allocated.
 * 7. A core that did not stop will probably not stop at the next allocation either: no automatic
 *    cycle starts until four times the stop's timeout have passed, so at most a fifth of the
 *    time is lost; without a clock, until so many were turned away: PACE_BACK_OFF_REQUESTS at
 *    first, and twice as many for each further cycle that is abandoned, up to
 *    PACE_BACK_OFF_MOST, until one is completed. bh_gc_collect() is not held back.
 * 8. Who helps: an idle core is woken for each PACE_HELP_BYTES that the last mark scanned. To mark
 *    less takes about as long as to wake a processor that sleeps, and marks that more than one core
 *    sets are dearer.
 *
 * Lock: pace_lock (LOCK_GC) protects `pace`; what is read without it is marked so: figures,
 * compared with others that move all the time, so that relaxed accesses will do. In a stop it is
 * written without the lock: no core stands still with it held [GC-3].
 */
#include "gc/pace.h"
#include "alloc/walk.h"
#include "gc/limiter.h"
#include "gc/stop.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/spinlock.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>

#define PACE_FIRST_PERCENT     100
#define PACE_SMALL_SHARE       32 /* the minimum heap of a small machine: point 1 */
#define PACE_SMALL_LO_BYTES    ((size_t)64 << 10)
#define PACE_SMALL_HI_BYTES    ((size_t)4 << 20)
#define PACE_LARGE_SHARE       512
#define PACE_LARGE_HI_BYTES    ((size_t)64 << 20)
#define PACE_STEP_SHARE        32
#define PACE_STEP_BYTES        ((size_t)32 << 10)
#define PACE_HEADROOM_SHARE    32
#define PACE_SWEEP_MOST_PAGES  64
#define PACE_HELP_BYTES        ((size_t)8 << 20)
#define PACE_BACK_OFF_TIMEOUTS 4
#define PACE_BACK_OFF_REQUESTS 64
#define PACE_BACK_OFF_MOST     4096

struct pace {
    int percent;
    size_t live_bytes;    /* of the last cycle */
    size_t extra_bytes;   /* stacks and globals of the last cycle */
    size_t scanned_bytes; /* by its mark */

    /* Read without the lock. */
    size_t growth_goal_bytes; /* of the percentage; 0: not computed yet */
    size_t least_goal_bytes;  /* live and a step: no limit makes the goal smaller */
    size_t limit_bytes;
    size_t waste_bytes;
    size_t sweep_pages;
    uint64_t period_ns;
    uint64_t last_ns; /* the last cycle's end, or the beginning */

    struct limiter limiter;
    uint64_t limiter_skips;
    bool is_held_back; /* one since the last cycle: counted once */

    bool backing_off;
    unsigned requests; /* to be turned away without a clock; 0: none abandoned lately */
    unsigned turned_away;
    uint64_t abandoned_ns;
};

static struct spinlock pace_lock = SPINLOCK_INIT(LOCK_GC, "gc pace");
static struct pace pace = {
    .percent = PACE_FIRST_PERCENT,
    .least_goal_bytes = PACE_STEP_BYTES,
    .limit_bytes = SIZE_MAX,
    .sweep_pages = 1,
    .period_ns = PACE_PERIOD_NS,
    .limiter = {.capacity_ns = PACE_LIMITER_NS},
};

/* ---- sums that do not wrap ---- */

/* a + b, or SIZE_MAX. */
static size_t pace_add(size_t a, size_t b)
{
    size_t sum;
    return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

/* a - b, or 0. */
static size_t pace_sub(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

/* bytes * percent / 100, or SIZE_MAX. */
static size_t pace_scale(size_t bytes, size_t percent)
{
    size_t whole, part = bytes % 100 * percent / 100;
    return __builtin_mul_overflow(bytes / 100, percent, &whole) ? SIZE_MAX : pace_add(whole, part);
}

static size_t pace_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t pace_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- the goal of the percentage ---- */

size_t pace_least_heap(size_t ram_bytes)
{
    size_t small = pace_max(ram_bytes / PACE_SMALL_SHARE, PACE_SMALL_LO_BYTES);
    size_t large = pace_min(ram_bytes / PACE_LARGE_SHARE, PACE_LARGE_HI_BYTES);
    return pace_max(pace_min(small, PACE_SMALL_HI_BYTES), large);
}

static size_t pace_least_goal(void)
{
    return pace_add(pace.live_bytes, pace_max(pace.live_bytes / PACE_STEP_SHARE, PACE_STEP_BYTES));
}

static size_t pace_compute_goal(void)
{
    if (pace.percent < 0)
        return SIZE_MAX;
    size_t growth = pace_scale(pace_add(pace.live_bytes, pace.extra_bytes), (size_t)pace.percent);
    size_t goal = pace_max(pace_add(pace.live_bytes, growth), pace_least_goal());
    return pace_max(goal, pace_least_heap(walk_region_bytes()));
}

/* With the lock, or in a stop. Before there is a heap the goal stays 0: computed when it is asked.
 */
static void pace_set_goal(void)
{
    size_t goal = walk_region_bytes() == 0 ? 0 : pace_compute_goal();
    atomic_store_relaxed(&pace.growth_goal_bytes, goal);
    atomic_store_relaxed(&pace.least_goal_bytes, pace_least_goal());
}

static size_t pace_growth_goal(void)
{
    size_t goal = atomic_load_relaxed(&pace.growth_goal_bytes);
    if (BH_LIKELY(goal != 0))
        return goal;
    uintptr_t irq = spinlock_acquire(&pace_lock);
    pace_set_goal();
    goal = pace.growth_goal_bytes;
    spinlock_release(&pace_lock, irq);
    return goal;
}

/* ---- the goal of the limit ---- */

/* In use, but not in collected spans. */
static size_t pace_other_bytes(void)
{
    return pace_sub(walk_used_bytes(), walk_collected_span_bytes());
}

/* What of the limit may be used before a cycle. */
static size_t pace_budget(size_t limit)
{
    return limit - limit / PACE_HEADROOM_SHARE;
}

/* The largest collected heap that, with `bytes` more of anything, stays under the limit. */
static size_t pace_limit_goal(size_t limit, size_t bytes)
{
    if (BH_LIKELY(limit == SIZE_MAX))
        return SIZE_MAX;
    size_t other = pace_add(pace_other_bytes(), bytes);
    size_t waste = atomic_load_relaxed(&pace.waste_bytes);
    size_t goal = pace_sub(pace_sub(pace_budget(limit), other), waste);
    return pace_max(goal, atomic_load_relaxed(&pace.least_goal_bytes));
}

size_t pace_goal(void)
{
    size_t limit = atomic_load_relaxed(&pace.limit_bytes);
    return pace_min(pace_growth_goal(), pace_limit_goal(limit, 0));
}

bool pace_is_due(void)
{
    return collected_bytes() >= pace_goal();
}

bool pace_is_over_limit(size_t bytes)
{
    size_t limit = atomic_load_relaxed(&pace.limit_bytes);
    return BH_UNLIKELY(limit != SIZE_MAX) &&
           pace_add(walk_used_bytes(), bytes) > pace_budget(limit);
}

/* Point 3, the limiter not asked. What is still to be swept is no reason: it is to be swept. */
static bool pace_limit_is_due(size_t bytes)
{
    size_t collected = collected_bytes();
    size_t limit = atomic_load_relaxed(&pace.limit_bytes);
    if (BH_LIKELY(limit == SIZE_MAX) || collected < atomic_load_relaxed(&pace.least_goal_bytes))
        return false;
    return collected >= pace_limit_goal(limit, bytes) ||
           (pace_is_over_limit(bytes) && !walk_is_unswept());
}

/* Point 4. */
static bool pace_limiter_allows(void)
{
    uint64_t now_ns = bh_port_now_ns();
    uintptr_t irq = spinlock_acquire(&pace_lock);
    bool allows = limiter_allows(&pace.limiter, now_ns);
    pace.limiter_skips += !allows && !pace.is_held_back;
    pace.is_held_back |= !allows;
    spinlock_release(&pace_lock, irq);
    return allows;
}

/* ---- the period ---- */

bool pace_is_overdue(void)
{
    uint64_t now_ns = bh_port_now_ns();
    uint64_t last_ns = atomic_load_relaxed(&pace.last_ns);
    return now_ns > last_ns && now_ns - last_ns >= atomic_load_relaxed(&pace.period_ns) &&
           pace_growth_goal() != SIZE_MAX;
}

void pace_begin(uint64_t now_ns)
{
    atomic_store_relaxed(&pace.last_ns, now_ns);
}

enum pace_due pace_due(size_t bytes)
{
    if (collected_bytes() >= pace_growth_goal())
        return PACE_GROWTH;
    if (pace_limit_is_due(bytes) && pace_limiter_allows())
        return PACE_LIMIT;
    return pace_is_overdue() ? PACE_PERIOD : PACE_NOT_DUE;
}

/* ---- after a cycle ---- */

size_t pace_sweep_pages(void)
{
    return atomic_load_relaxed(&pace.sweep_pages);
}

unsigned pace_helpers(void)
{
    /* In a stop: no lock. */
    size_t helpers = pace.scanned_bytes / PACE_HELP_BYTES;
    return helpers < BH_MAX_CORES ? (unsigned)helpers : BH_MAX_CORES;
}

/* Point 6 above, rounded up. */
static size_t pace_compute_sweep(size_t heap_bytes)
{
    size_t runway_pages = pace_max((pace_goal() - pace.live_bytes) >> PAGE_SHIFT, 1);
    size_t pages = (heap_bytes >> PAGE_SHIFT) / runway_pages + 1;
    return pace_min(pages, PACE_SWEEP_MOST_PAGES);
}

void pace_cycle_done(const struct pace_cycle *cycle)
{
    pace.live_bytes = cycle->live_bytes;
    pace.extra_bytes = cycle->extra_bytes;
    pace.scanned_bytes = cycle->scanned_bytes;
    pace.backing_off = false;
    pace.requests = 0;
    pace.is_held_back = false;
    limiter_add(&pace.limiter, cycle->start_ns, cycle->end_ns);
    atomic_store_relaxed(&pace.last_ns, cycle->end_ns);
    atomic_store_relaxed(&pace.waste_bytes,
                         pace_sub(walk_collected_span_bytes(), cycle->heap_bytes));
    pace_set_goal();
    atomic_store_relaxed(&pace.sweep_pages, pace_compute_sweep(cycle->heap_bytes));
}

void pace_cycle_abandoned(uint64_t now_ns)
{
    uintptr_t irq = spinlock_acquire(&pace_lock);
    size_t requests = pace_max((size_t)2 * pace.requests, PACE_BACK_OFF_REQUESTS);
    pace.requests = (unsigned)pace_min(requests, PACE_BACK_OFF_MOST);
    pace.backing_off = true;
    pace.turned_away = 0;
    pace.abandoned_ns = now_ns;
    spinlock_release(&pace_lock, irq);
}

static bool pace_back_off_locked(uint64_t now_ns)
{
    if (pace.backing_off && now_ns == pace.abandoned_ns)
        pace.backing_off = pace.turned_away++ < pace.requests;
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

/* ---- settings ---- */

int bh_gc_set_percent(int percent)
{
    uintptr_t irq = spinlock_acquire(&pace_lock);
    int old = pace.percent;
    pace.percent = percent < 0 ? -1 : percent;
    pace_set_goal();
    spinlock_release(&pace_lock, irq);
    return old;
}

size_t bh_gc_set_limit(size_t bytes)
{
    uintptr_t irq = spinlock_acquire(&pace_lock);
    size_t old = pace.limit_bytes;
    atomic_store_relaxed(&pace.limit_bytes, bytes);
    walk_set_pressure(bytes == SIZE_MAX ? SIZE_MAX : pace_budget(bytes));
    spinlock_release(&pace_lock, irq);
    return old;
}

void pace_set_period_ns(uint64_t ns)
{
    atomic_store_relaxed(&pace.period_ns, ns);
}

void pace_set_limiter_ns(uint64_t capacity_ns)
{
    uintptr_t irq = spinlock_acquire(&pace_lock);
    pace.limiter = (struct limiter){.capacity_ns = capacity_ns};
    spinlock_release(&pace_lock, irq);
}

void pace_describe(struct pace_report *report)
{
    uint64_t now_ns = bh_port_now_ns();
    uintptr_t irq = spinlock_acquire(&pace_lock);
    *report = (struct pace_report){
        .percent = pace.percent,
        .live_bytes = pace.live_bytes,
        .extra_bytes = pace.extra_bytes,
        .least_bytes = pace_least_heap(walk_region_bytes()),
        .growth_goal_bytes = pace.growth_goal_bytes,
        .limit_bytes = pace.limit_bytes,
        .limit_goal_bytes = pace_limit_goal(pace.limit_bytes, 0),
        .other_bytes = pace_other_bytes(),
        .waste_bytes = pace.waste_bytes,
        .sweep_pages = pace.sweep_pages,
        .limiter_fill_ns = limiter_fill_ns(&pace.limiter, now_ns),
        .limiter_capacity_ns = pace.limiter.capacity_ns,
        .limiter_skips = pace.limiter_skips,
    };
    spinlock_release(&pace_lock, irq);
}

void pace_own_state(uintptr_t *lo, uintptr_t *hi)
{
    *lo = (uintptr_t)&pace;
    *hi = (uintptr_t)(&pace + 1);
}
