/* SPDX-License-Identifier: MIT */
/*
 * Stress: a collection at every n-th collected allocation, to find pointers that the collector
 * cannot see.
 *
 * 1. The fast path counts nothing. Instead no cursor gets a run of more than one object, so that
 *    every allocation is a slow path (but for tiny ones, which share a block).
 * 2. The slow path calls stress_allocation() through a hook, before it allocates. Allocations that
 *    may not collect (interrupts off) are not counted.
 * 3. A collection at the start empties the cursors of all cores.
 *
 * No locks. Not here: what a freed object is filled with, so that a use of it is seen
 * (alloc/dead.h).
 */
#include "gc/stress.h"
#include "alloc/walk.h"
#include "gc/collect.h"
#include "kernel-lib/atomics.h"
#include <bareheap/gc.h>

static unsigned stress_every;
static unsigned stress_count;

static void stress_allocation(void)
{
    /* Relaxed, both: each allocation counts once, and it does not matter between which two of
     * them a change of n falls. */
    unsigned every = atomic_load_relaxed(&stress_every);
    if (every == 0 || !collect_is_possible())
        return;
    collect_attach();
    if ((atomic_add_relaxed(&stress_count, 1) + 1) % every == 0)
        collect_run(COLLECT_GROWTH);
}

void bh_gc_set_stress(unsigned every_nth)
{
    atomic_store_relaxed(&stress_every, every_nth); /* as above */
    atomic_store_relaxed(&stress_count, 0);
    walk_set_run_bytes(every_nth != 0 ? 0 : SIZE_MAX);
    atomic_store_relaxed(&stress_hook, every_nth != 0 ? stress_allocation : NULL); /* code */
    if (every_nth != 0)
        bh_gc_collect();
}
