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

/* What collected_bytes() says; here because statistics want it without the collector's code. */
extern size_t room_collected_bytes;

#endif
