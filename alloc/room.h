/* SPDX-License-Identifier: MIT */
/*
 * What happens before NULL: collect, give back caches and sweep, have the other cores give back
 * theirs, ask the port for pages.
 *
 * No lock of ours is held. With interrupts off (an interrupt handler, a kernel's critical section)
 * only the middle step is taken: it neither waits nor calls out.
 */
#ifndef ALLOC_ROOM_H
#define ALLOC_ROOM_H

#include "alloc/page_heap.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Step `attempt` (from 0) of making room for `bytes`. True: try again. False: give up. */
bool room_make(size_t bytes, unsigned attempt);

/* The middle step: this core's cache and cursors and the transfer caches into the spans, and a
 * sweep. With interrupts off only some of the sweep: the rest takes too long. */
void room_reclaim(void);

/* Counts a request that was answered with NULL, and is that NULL. */
void *room_failed(void);

/* Requests that failed so far. */
uint64_t room_failures(void);

/* What the allocator wants of collected spans, which kernels that do not collect need not link. */
struct room_collected {
    void (*reclaim)(size_t pages); /* gives up this core's cursors, sweeps up to `pages` pages */
    void (*verify)(void);          /* its part of bh_heap_verify() */
};

/* Set by collected.c with the first collected object, always to the same; NULL until then. Relaxed:
 * what it points to is constant. */
extern const struct room_collected *room_collected;

/* drain_others() in a kernel that has shown that its cores can be interrupted, else NULL. Relaxed:
 * it is only ever set to this one function. */
extern void (*room_drain_hook)(void);

/*
 * Of collected objects and cursors' runs, in bytes: taken ever, and free again ever; their
 * difference is what collected_bytes() says. And the pages of collected spans. Here because
 * statistics want them without the collector's code. Relaxed: figures.
 */
struct room_collected_count {
    uint64_t taken_bytes;
    uint64_t freed_bytes;
    size_t span_pages;
};
extern struct room_collected_count room_collected_count;

size_t room_collected_bytes(void);

/* Called by whoever is about to take `bytes` of pages, or has found a cache empty, holding no lock:
 * when that would be over the limit the collector hears of it. */
extern size_t room_limit_bytes; /* SIZE_MAX: none. Relaxed: a figure */
void room_press(size_t bytes);

static inline void room_watch(size_t bytes)
{
    size_t limit = atomic_load_relaxed(&room_limit_bytes);
    if (BH_UNLIKELY(limit != SIZE_MAX) && page_heap_used_bytes() + bytes > limit)
        room_press(bytes);
}

#endif
