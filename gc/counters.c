/* SPDX-License-Identifier: MIT */
/*
 * Counters of the collector, and where bh_gc_get_stats() has the rest from: what only grows is
 * counted here, at the end of each cycle; what is so now is asked of its owner.
 *
 * Equations, of what one call returns:
 *   allocated_bytes - freed_bytes == heap_bytes
 *   sum of pause_histogram == cycles
 *   forced_cycles + growth_cycles + limit_cycles + memory_cycles + periodic_cycles == cycles
 *   pause_max_ns <= pause_total_ns <= gc_cpu_ns;   abandoned_ns is in none of these
 *   stop_last_ns <= pause_last_ns;   stop_last_ns <= stop_max_ns <= pause_max_ns
 *   sum of pauses_ns == pause_total_ns, as long as cycles <= 32
 *
 * Lock: counters_lock (LOCK_GC) protects `counters`. In a stop they are written without it: no core
 * stands still with it held [GC-3].
 */
#include "gc/counters.h"
#include "alloc/walk.h"
#include "gc/pace.h"
#include "gc/services.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/bits.h"
#include "kernel-lib/spinlock.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>

#define COUNTERS_PAUSES  (sizeof(((struct bh_gc_stats *)0)->pauses_ns) / sizeof(uint64_t))
#define COUNTERS_BUCKETS (sizeof(((struct bh_gc_stats *)0)->pause_histogram) / sizeof(uint64_t))

static struct spinlock counters_lock = SPINLOCK_INIT(LOCK_GC, "gc statistics");
static struct bh_gc_stats counters;

uint64_t counters_cycles(void)
{
    /* Relaxed: a core that asks whether its request was served has been let go by that very stop's
     * release. */
    return atomic_load_relaxed(&counters.cycles);
}

/* 0 for up to 2 us, 1 up to 4, and so on; the last is for all above. */
static unsigned counters_bucket(uint64_t pause_ns)
{
    uint64_t us = pause_ns / 1000;
    unsigned log2 = us == 0 ? 0 : bits_log2(us);
    return log2 < COUNTERS_BUCKETS ? log2 : COUNTERS_BUCKETS - 1;
}

static void counters_add_pause(uint64_t pause_ns)
{
    counters.pause_total_ns += pause_ns;
    counters.pause_last_ns = pause_ns;
    if (pause_ns > counters.pause_max_ns)
        counters.pause_max_ns = pause_ns;
    counters.pauses_ns[counters.cycles % COUNTERS_PAUSES] = pause_ns;
    counters.pause_histogram[counters_bucket(pause_ns)]++;
    counters.gc_cpu_ns += pause_ns * bh_port_core_count();
}

static void counters_add_stop(uint64_t stop_ns)
{
    counters.stop_last_ns = stop_ns;
    if (stop_ns > counters.stop_max_ns)
        counters.stop_max_ns = stop_ns;
}

static void counters_add_reason(enum collect_reason reason)
{
    static uint64_t *const cycles[] = {
        [COLLECT_GROWTH] = &counters.growth_cycles,   [COLLECT_LIMIT] = &counters.limit_cycles,
        [COLLECT_PERIOD] = &counters.periodic_cycles, [COLLECT_MEMORY] = &counters.memory_cycles,
        [COLLECT_FORCED] = &counters.forced_cycles,
    };
    ++*cycles[reason];
}

static void counters_add_mark(const struct mark_totals *mark)
{
    counters.live_bytes = mark->live_bytes;
    counters.marked_objects = mark->live_objects;
    counters.scanned_bytes = mark->scanned_bytes;
    counters.mark_overflows += mark->overflows;
    counters.mark_steals += mark->steals;
    counters.stack_bytes = mark->root_bytes[ROOTS_STACK];
    counters.global_bytes = mark->root_bytes[ROOTS_GLOBAL];
}

void counters_add(struct collect_cycle *cycle)
{
    counters_add_pause(cycle->finished_ns - cycle->request_ns);
    counters_add_stop(cycle->stopped_ns - cycle->request_ns);
    counters_add_reason(cycle->reason);
    counters_add_mark(&cycle->mark);
    counters.last_end_ns = cycle->finished_ns;
    cycle->number = counters.cycles + 1;
    cycle->pauses_ns = counters.pause_total_ns;
    atomic_store_relaxed(&counters.cycles, cycle->number); /* see counters_cycles() */
}

void counters_add_abandoned(uint64_t ns)
{
    uintptr_t irq = spinlock_acquire(&counters_lock);
    counters.abandoned_cycles++;
    counters.abandoned_ns += ns;
    spinlock_release(&counters_lock, irq);
}

/* What others know. */
static void counters_ask(struct bh_gc_stats *stats)
{
    services_count(stats);
    struct pace_report report;
    walk_get_totals(&stats->allocated_bytes, &stats->freed_bytes);
    stats->heap_bytes = stats->allocated_bytes - stats->freed_bytes;
    stats->goal_bytes = walk_region_bytes() == 0 ? 0 : pace_goal();
    pace_describe(&report);
    stats->limit_bytes = report.limit_bytes;
    stats->limiter_skips = report.limiter_skips;
    services_count(stats);
}

void bh_gc_get_stats(struct bh_gc_stats *stats)
{
    uintptr_t irq = spinlock_acquire(&counters_lock);
    *stats = counters;
    spinlock_release(&counters_lock, irq);
    counters_ask(stats);
}

void counters_own_state(uintptr_t *lo, uintptr_t *hi)
{
    *lo = (uintptr_t)&counters;
    *hi = (uintptr_t)(&counters + 1);
}
