/* SPDX-License-Identifier: MIT */
/*
 * The collector's front door: allocating, giving back, sweeping from an idle loop.
 *
 * 1. An allocation first bumps this core's cursor, which then takes the next free run of its span.
 *    That is all of it nearly always.
 * 2. When the span is used up, the slow path looks whether the heap has grown to its goal, and
 *    if so runs a cycle; if not it sweeps a few pages, its share of what the last cycle left.
 * 3. Then the allocator finds a span, or pages.
 * 4. If there is none: the rest of the sweep, first of it spans that are garbage as a whole; then a
 *    cycle; then cached memory is given up and the port is asked for more,
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
#include "gc/roots.h"
#include "gc/services.h"
#include "gc/special.h"
#include "gc/stop.h"
#include "gc/stress.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>

/* What the last cycle has found may do: whole spans, then the rest of the sweep. */
static void *gc_alloc_of_swept(const struct walk_request *request)
{
    void *object = walk_reclaim(SIZE_MAX) ? collected_alloc_slow(request) : NULL;
    if (object != NULL || !walk_is_unswept())
        return object;
    walk_sweep_all();
    return collected_alloc_slow(request);
}

/* The last resorts. Each is worth another try; NULL when none is left. */
static void *gc_alloc_when_out(const struct walk_request *request)
{
    /* A request that no collection can serve does not stop the world. */
    bool can_help = request->room <= walk_region_bytes() && collect_for_memory();
    void *object = can_help ? collected_alloc_slow(request) : NULL;
    for (unsigned attempt = 0; object == NULL && walk_make_room(request->room, attempt); attempt++)
        object = collected_alloc_slow(request);
    return object;
}

/* The share of the sweep is for each page that is allocated. Who wants pages gets those of whole
 * spans that are garbage first. */
static void gc_sweep_share(const struct walk_request *request)
{
    size_t pages = walk_request_pages(request);
    if (!walk_is_unswept())
        return;
    if (walk_request_is_large(request))
        walk_reclaim(pages);
    walk_sweep(pace_sweep_pages() * pages);
}

static void gc_keep_pace(const struct walk_request *request)
{
    if (!collect_when_due(walk_request_pages(request) << PAGE_SHIFT))
        gc_sweep_share(request);
}

void (*stress_hook)(void);

static void gc_stress(void)
{
    void (*hook)(void) = atomic_load_relaxed(&stress_hook); /* relaxed: code is always there */
    if (BH_UNLIKELY(hook != NULL))
        hook();
}

static void *gc_alloc_try(const struct walk_request *request)
{
    if (request->bytes > PTRDIFF_MAX)
        return NULL;
    BH_CHECK(!stop_is_parked(), "collected allocation on core %u, which is parked", bh_port_core());
    gc_stress();
    void *object = collected_alloc_next(request);
    if (BH_LIKELY(object != NULL))
        return object;
    collect_attach();
    if (!collect_is_possible())
        return collected_alloc_slow(request);
    gc_keep_pace(request);
    object = collected_alloc_slow(request);
    if (BH_UNLIKELY(object == NULL))
        object = gc_alloc_of_swept(request);
    return BH_LIKELY(object != NULL) ? object : gc_alloc_when_out(request);
}

static void *gc_alloc_slow(const struct walk_request *request)
{
    void *object = gc_alloc_try(request);
    if (BH_UNLIKELY(object == NULL))
        walk_count_failure();
    return object;
}

static __attribute__((noinline)) void *gc_alloc_plain(enum bh_kind kind, size_t bytes)
{
    struct walk_request request = walk_request_plain(kind, bytes);
    return gc_alloc_slow(&request);
}

static __attribute__((noinline)) void *gc_alloc_typed(struct bh_gc_type *type)
{
    struct walk_request request = walk_request_typed(type);
    return gc_alloc_slow(&request);
}

static __attribute__((noinline)) void *gc_alloc_other(enum bh_kind kind, size_t bytes)
{
    void *object = collected_alloc_other(kind, bytes);
    return BH_LIKELY(object != NULL) ? object : gc_alloc_plain(kind, bytes);
}

/* Parked is checked in debug builds only: a load more on the way that all allocations go. */
BH_INLINE void *gc_alloc(enum bh_kind kind, size_t bytes)
{
    BH_ASSERT(!stop_is_parked());
    if (BH_UNLIKELY(!collected_is_usual(kind, bytes)))
        return gc_alloc_other(kind, bytes);
    void *object = collected_alloc_fast(kind, bytes);
    return BH_LIKELY(object != NULL) ? object : gc_alloc_plain(kind, bytes);
}

CACHE_FAST void *bh_gc_alloc(size_t bytes)
{
    return gc_alloc(KIND_SCAN, bytes);
}

CACHE_FAST void *bh_gc_alloc_noscan(size_t bytes)
{
    return gc_alloc(KIND_NOSCAN, bytes);
}

/* Small objects come of runs that are zeroed as one piece: for them it is the same. */
CACHE_FAST void *bh_gc_alloc_buffer(size_t bytes)
{
    if (BH_LIKELY(bytes < SIZE_CLASS_MAX))
        return bh_gc_alloc_noscan(bytes);
    struct walk_request request = walk_request_plain(KIND_NOSCAN, bytes);
    request.unzeroed = true;
    return gc_alloc_slow(&request);
}

CACHE_FAST void *bh_gc_alloc_typed(struct bh_gc_type *type)
{
    BH_ASSERT(!stop_is_parked());
    void *object = collected_alloc_typed_fast(type);
    return BH_LIKELY(object != NULL) ? object : gc_alloc_typed(type);
}

/* Their size decides where, each time: by the slow path's front part, but not past the cursor. */
void *bh_gc_alloc_typed_array(struct bh_gc_type *type, size_t count)
{
    struct walk_request request;
    bool fits = walk_request_array(type, count, &request);
    if (fits)
        return gc_alloc_slow(&request);
    walk_count_failure();
    return NULL;
}

void *bh_gc_alloc_typed_tail(struct bh_gc_type *type, size_t tail_bytes)
{
    struct walk_request request;
    bool fits = walk_request_tail(type, tail_bytes, &request);
    if (fits)
        return gc_alloc_slow(&request);
    walk_count_failure();
    return NULL;
}

/* Of an object that may be pinned, or have records. */
static void gc_forget(void *object, uintptr_t caller)
{
    void (*pin_hook)(const void *object, uintptr_t caller) =
        atomic_load_relaxed(&roots_pin_hook); /* relaxed: code is always there */
    if (pin_hook != NULL)
        pin_hook(object, caller);
    services_forget(object);
}

void bh_gc_free(void *object)
{
    if (object == NULL)
        return;
    if (special_is_noted(object))
        gc_forget(object, CRIME_CALLER());
    collected_free(object, CRIME_CALLER());
}

bool bh_gc_work(size_t pages)
{
    return walk_sweep(pages) || (collect_when_overdue() && walk_is_unswept());
}
