/* SPDX-License-Identifier: MIT */
/*
 * The allocator as the collector sees it: the only header of this floor that floors above include.
 *
 * 1. Allocating: collected_alloc() bumps a core's cursor; the slow path finds the next free run in
 *    a span's bitmap, sweeping spans as it goes.
 * 2. Finding: walk_find() turns any word into the object it points into, or says no.
 * 3. A cycle, all cores stopped: walk_sweep_all(), walk_cycle_begin(), then walk_mark() for all
 *    that is reached, then walk_cycle_end(); from there spans are swept one by one.
 * 4. Sweeping: a swept span's `bits` are its mark bits; objects are not touched.
 *
 * Stopped means: every other core is in the collector's stop or park and so inside no
 * function of this floor (they mask interrupts while they hold anything).
 */
#ifndef ALLOC_WALK_H
#define ALLOC_WALK_H

#include "alloc/types.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/bitmap.h"
#include <bareheap/alloc.h>

/* An object as walk_find() found it. */
struct walk_object {
    struct bh_span *span;
    uintptr_t base; /* address of its first byte */
    uint32_t idx;   /* its number in the span */
};

/*
 * Whether `word` points into an allocated collected object, and which. Any word is legal. To be
 * called while all cores are stopped.
 */
static inline bool walk_find(uintptr_t word, struct walk_object *found)
{
    const struct pagemap *map = pagemap_current;
    uintptr_t page = (word >> PAGE_SHIFT) - map->first_page;
    /* Acquire: pairs with page_heap_publish(), which writes the record and span_of before the
     * class. */
    if (page >= map->pages || atomic_load_acquire(&map->class_of[page]) != PAGE_COLLECTED)
        return false;
    struct bh_span *span = map->span_of[page];
    uintptr_t offset = word - span->base;
    uint32_t idx = (uint32_t)((offset * span->reciprocal) >> 32);
    if (idx >= span->objs || !bitmap_test(span->bits, idx))
        return false; /* the tail behind the last object, or a free slot */
    found->span = span;
    found->idx = idx;
    found->base = span->base + (uintptr_t)idx * span->object_bytes;
    return true;
}

/* Which words of a typed span's objects may be pointers: a bitmap of `words` words, for one
 * element. */
struct walk_layout {
    const uint64_t *pointers;
    size_t words;
    bool repeats; /* the object is a row of elements; else there are no pointers behind the first */
};

/* Marks an object; true for the one caller who marked it first in this cycle. */
static inline bool walk_mark(const struct walk_object *object)
{
    if (bitmap_test(span_mark_bits(object->span), object->idx))
        return false;
    return bitmap_set_atomic(span_mark_bits(object->span), object->idx);
}

static inline bool walk_is_marked(const struct walk_object *object)
{
    return bitmap_test(span_mark_bits(object->span), object->idx);
}

/*
 * A zeroed object of `kind` (KIND_NOSCAN, KIND_SCAN) with room for `bytes` and, so that a pointer
 * one past the end lies inside, at least one byte more. Any context. The fast function never
 * leaves this core's cursor and answers NULL when that is used up; the slow one finds the next
 * run, or span, or pages, and answers NULL when memory is out (it runs no collection and
 * calls no hook: the collector does, between tries).
 */
void *collected_alloc_fast(enum bh_kind kind, size_t bytes);
void *collected_alloc_slow(enum bh_kind kind, size_t bytes);

/*
 * Gives back an allocated collected object. Panics on what is none ("bh_gc_free(0x...): ...").
 * `caller` is for the message. Any context but a stop.
 */
void collected_free(void *object, uintptr_t caller);

/* Bytes of collected objects and cursors' runs: grows as runs are taken, is set by
 * walk_cycle_end() and shrinks by collected_free(). What pacing compares with the goal. */
size_t collected_bytes(void);

/* All cores stopped, everything swept: empties every core's cursor, clears nothing else. Mark bits
 * are all zero after it. */
void walk_cycle_begin(void);

/*
 * All cores stopped: what is not marked is garbage from here on, all spans are unswept, and
 * collected_bytes() is `live_bytes`, what the marker counted (whole objects).
 */
void walk_cycle_end(size_t live_bytes);

/*
 * Sweeps spans until `pages` pages were looked at; false when none are left unswept. Any
 * context; several cores may sweep at once. A span with nothing left goes back to the page heap.
 */
bool walk_sweep(size_t pages);

/* Whether a span is left to sweep. A racy look: false may be old news by the time it is used. */
bool walk_is_unswept(void);

/* Sweeps all that is left. Any context; in a stop when it must be complete. */
void walk_sweep_all(void);

/*
 * Calls visit for each allocated collected object, in address order. The heap must not change:
 * all cores stopped, or only this one allocates and `visit` does not. Unswept spans are shown
 * as the last mark left them.
 */
void walk_each_object(void (*visit)(const struct walk_object *object, void *arg), void *arg);

/* The same for spans of any kind (state other than free). */
void walk_each_span(void (*visit)(struct bh_span *span, void *arg), void *arg);

/* A collected request is answered with NULL: for the statistics. */
void walk_count_failure(void);

/* Memory for the collector itself (mark stack, tables): whole pages, not zeroed, NULL when out. */
void *walk_pages_alloc(size_t bytes);
void walk_pages_free(void *pages);

/*
 * Where an address is, in words: "byte 4 of object 3 (0x1230, 64 bytes) of the scan span
 * 0x1000, class 5". Returns the length as print_format() does.
 */
size_t walk_describe(uintptr_t address, char *buffer, size_t bytes);

/* Bytes of all regions: what a minimum heap is scaled by. */
size_t walk_region_bytes(void);

/*
 * Called by the allocator when memory is out, with no lock held and interrupts on, before it gives
 * up caches and asks the port; true when something may have been freed. Set once by the
 * collector, at the first collected allocation.
 */
extern bool (*walk_collect_hook)(void);

/*
 * The collector is there: bh_handle_signal() calls `stop`, with interrupts off, which stands still
 * if there is a stop; and other cores can be interrupted, so they are also asked for their caches
 * when memory is out.
 */
void walk_attach_stop(void (*stop)(uintptr_t interrupted_sp));

/*
 * For the collector's own slow path, after a collection did not help: gives back caches, asks the
 * port for pages. True when another try makes sense. `attempt` counts from 0.
 */
bool walk_make_room(size_t bytes, unsigned attempt);

#endif
