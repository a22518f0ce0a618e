/* SPDX-License-Identifier: MIT */
/*
 * The central tier for manual objects: per class, the spans that cores share and a stock of
 * objects on their way between cores.
 *
 * 1. A core takes and gives whole batches. The transfer cache, an array of pointers, answers first:
 *    the lock is held for a copy (TCMalloc's design).
 * 2. When it is empty, objects come out of the bitmaps of partial spans, the one listed last first;
 *    when there are none, a new span is made with the lock released.
 * 3. When it is full, objects go back into their spans' bitmaps; a span that is whole again
 *    goes back to the page heap, with the lock released.
 *
 * Lock: central.lock (LOCK_CENTRAL), one per class, protects the lists, the transfer cache, and of
 * its spans free_objs, next_idx, bits and link. No other lock is taken inside.
 */
#ifndef ALLOC_CENTRAL_H
#define ALLOC_CENTRAL_H

#include "alloc/types.h"
#include "kernel-lib/spinlock.h"

struct central {
    struct spinlock lock;
    struct list partial;     /* spans with free objects; a span that has none is in no list */
    void **transfer;         /* objects on their way: transfer[0 .. transfer_count) */
    uint32_t transfer_count; /* <= transfer_room */
    uint32_t transfer_room;  /* slots in the array's cell */
    uint32_t spans;          /* of this class, in use */
    size_t out_objs;         /* objects not in a span: handed out, in bins, in transfer */
};

extern struct central centrals[SIZE_CLASS_COUNT];

/* Up to `want` (<= SIZE_CLASS_MAX_BATCH + 1) objects; 0 when memory is out. Interrupts off. */
size_t central_take(unsigned size_class, void **objects, size_t want);

/*
 * Takes `count` objects back. A pointer that is no object, or one that is in its span already, is
 * a panic in the name of bh_free(). Interrupts off.
 */
void central_give(unsigned size_class, void **objects, size_t count);

/* Empties the transfer cache into the spans, batch by batch. True when there was anything. */
bool central_drain(unsigned size_class);

/* Objects of the class outside spans, and how many of those are in the transfer cache. */
void central_count(unsigned size_class, size_t *out_objs, size_t *transfer_objs);

/* Bytes that all transfer caches hold: kept under budget_transfer_bytes(). */
extern size_t central_transfer_bytes;

#endif
