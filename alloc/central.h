/* SPDX-License-Identifier: MIT */
/*
 * The central tier for manual objects: per class, the spans that cores share and a stock of
 * objects on their way between cores.
 *
 * 1. A core takes and gives whole batches. The transfer cache, an array of pointers, answers first:
 *    the lock is held for a copy (TCMalloc's design). The last batch given is the first taken, as
 *    it is the warmest. It is for objects on their way from core to core: of a class that one core
 *    alone has used of late, batches go into the spans, which then become whole (but for the
 *    smallest objects, and where a span has few).
 * 2. When it is empty, objects come out of the bitmaps of partial spans, the one listed last first,
 *    whole cache lines before single objects (span.h); when there are none, a new span is made.
 * 3. When it is full, objects go back into their spans' bitmaps, those of one span together; a span
 *    that is whole again goes back to the page heap.
 * 4. How much a transfer cache may hold is reserved beforehand, so that the sum over all
 *    classes, which is one word for all cores, is written when a limit changes and not with every
 *    batch. When the budget is spent (budget.h), a class that wants more takes it from another one.
 *
 * Lock: central.lock (LOCK_CENTRAL), one per class, protects the lists, the transfer cache, and of
 * its spans free_objs, bits and link. No other lock is taken inside: pages, cells, and
 * the search for an object's span in the page map are all asked for without it. Each class has a
 * cache line of its own.
 */
#ifndef ALLOC_CENTRAL_H
#define ALLOC_CENTRAL_H

#include "alloc/types.h"
#include "arch/arch.h"
#include "kernel-lib/spinlock.h"

struct central {
    struct spinlock lock;
    struct list partial;     /* spans with free objects; a span that has none is in no list */
    void **transfer;         /* objects on their way: transfer[0 .. transfer_count) */
    uint16_t transfer_count; /* <= transfer_limit */
    uint16_t transfer_limit; /* reserved of the budget, <= the slots in the array */
    uint16_t grow_turn;      /* 0: the next batch that finds no room tries for more */
    uint16_t user;           /* the last core that took or gave, plus 1; 0: none yet */
    uint16_t shared_gives;   /* so many batches more are given as to a class of several cores */
    uint32_t spans;          /* of this class, in use */
    size_t out_objs;         /* objects not in a span: handed out, in bins, in transfer */
} __attribute__((aligned(ARCH_CACHE_LINE)));

extern struct central centrals[SIZE_CLASS_COUNT];

/* The most that can be taken at a time: a batch and one more, in whole cache lines. */
#define CENTRAL_TAKE_MAX (SIZE_CLASS_MAX_BATCH + 8)

/* Up to `want` (<= CENTRAL_TAKE_MAX) objects, of which the last is to be handed out first (see
 * span_take()); 0 when memory is out. Interrupts off. */
size_t central_take(unsigned size_class, void **objects, size_t want);

/*
 * Takes `count` (<= SIZE_CLASS_MAX_BATCH) objects back. A pointer that is no object, or one that is
 * in its span already, is a panic in the name of bh_free(). Interrupts off.
 */
void central_give(unsigned size_class, void **objects, size_t count);

/* The same, past the transfer cache: into the spans, of which those that are whole are freed. */
void central_give_home(unsigned size_class, void **objects, size_t count);

/* Empties the transfer cache into the spans, batch by batch, and gives its share of the budget up.
 * True when there was anything. */
bool central_drain(unsigned size_class);

/* Objects of the class outside spans, and how many of those are in the transfer cache. */
void central_count(unsigned size_class, size_t *out_objs, size_t *transfer_objs);

#endif
