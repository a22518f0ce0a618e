/* SPDX-License-Identifier: MIT */
/*
 * The collector's front door: allocating, giving back, sweeping from an idle loop.
 *
 * 1. An allocation first bumps this core's cursor. That is all of it nearly always.
 * 2. When the cursor is used up, the slow path looks whether the heap has grown to its goal, and
 *    if so runs a cycle; if not it sweeps a few pages, its share of what the last cycle left.
 * 3. Then the allocator finds the next free run, or span, or pages.
 * 4. If there is none: a cycle, then cached memory is given up and the port is asked for more,
 *    with a try after each; then NULL.
 *
 * With interrupts off, so also in an interrupt handler, 2 and 4 are left out [GC-7]: a cycle
 * waits for other cores, and who has interrupts off may be holding a lock that one of them waits
 * for.
 *
 * No state, no locks. Not here: the cycle (collect.c), when it is due (pace.c).
 */
#include "alloc/walk.h"
#include "gc/collect.h"
#include "gc/pace.h"
#include "gc/stop.h"
#include "kernel-lib/check.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>

/* What collected_free() names in its message. */
#define GC_CALLER() ((uintptr_t)__builtin_return_address(0))

/* The last resorts. Each is worth another try; NULL when none is left. */
static void *gc_alloc_when_out(enum bh_kind kind, size_t bytes)
{
    /* A request that no collection can serve does not stop the world. */
    bool can_help = bytes <= walk_region_bytes() && collect_for_memory();
    void *object = can_help ? collected_alloc_slow(kind, bytes) : NULL;
    for (unsigned attempt = 0; object == NULL && walk_make_room(bytes, attempt); attempt++)
        object = collected_alloc_slow(kind, bytes);
    return object;
}

static void gc_keep_pace(void)
{
    if (!pace_is_due())
        walk_sweep(pace_sweep_pages());
    else if (!pace_is_backing_off(bh_port_now_ns()))
        collect_run(COLLECT_GROWTH);
}

static void *gc_alloc_try(enum bh_kind kind, size_t bytes)
{
    if (bytes > PTRDIFF_MAX)
        return NULL;
    BH_CHECK(!stop_is_parked(), "collected allocation on core %u, which is parked", bh_port_core());
    collect_attach();
    if (!collect_is_possible())
        return collected_alloc_slow(kind, bytes);
    gc_keep_pace();
    void *object = collected_alloc_slow(kind, bytes);
    return BH_LIKELY(object != NULL) ? object : gc_alloc_when_out(kind, bytes);
}

static __attribute__((noinline)) void *gc_alloc_slow(enum bh_kind kind, size_t bytes)
{
    void *object = gc_alloc_try(kind, bytes);
    if (BH_UNLIKELY(object == NULL))
        walk_count_failure();
    return object;
}

/* Parked is checked in debug builds only: a load more on the way that all allocations go. */
static inline void *gc_alloc(enum bh_kind kind, size_t bytes)
{
    BH_ASSERT(!stop_is_parked());
    void *object = collected_alloc_fast(kind, bytes);
    return BH_LIKELY(object != NULL) ? object : gc_alloc_slow(kind, bytes);
}

void *bh_gc_alloc(size_t bytes)
{
    return gc_alloc(KIND_SCAN, bytes);
}

void *bh_gc_alloc_noscan(size_t bytes)
{
    return gc_alloc(KIND_NOSCAN, bytes);
}

void bh_gc_free(void *object)
{
    if (object != NULL)
        collected_free(object, GC_CALLER());
}

bool bh_gc_work(size_t pages)
{
    return walk_sweep(pages);
}
