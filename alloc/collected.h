/* SPDX-License-Identifier: MIT */
/*
 * Collected objects: the cursors of the cores and the spans they share.
 *
 * 1. A core has a cursor per kind and class: {next, end} bumps through a run of free objects that
 *    was zeroed when it was taken. There are no free lists.
 * 2. When a run is used up, the next one is found in the span's bitmap; taking it sets its bits,
 *    so that a bit set means: allocated, or reserved for one core's cursor, and zero.
 * 3. When a span is used up, the next is a partial one, or an unswept one that has room once
 *    swept (sweep.c), or new.
 *
 * Locks: collected_central.lock (LOCK_CENTRAL), one per kind and class, protects the lists and, of
 * listed spans, free_objs, sweep_cycle and the exchange of bitmaps. A cached span's next_idx and
 * cursor belong to its core with interrupts off, or to the collector while all are stopped. `bits`
 * is changed by atomic operations: collected_free() clears bits while a cursor sets others.
 * No other lock is taken inside.
 */
#ifndef ALLOC_COLLECTED_H
#define ALLOC_COLLECTED_H

#include "alloc/types.h"
#include "kernel-lib/percore.h"
#include "kernel-lib/spinlock.h"

struct cursor {
    uintptr_t next; /* the next object's address */
    uintptr_t end;  /* of the run; next == end: used up */
    struct bh_span *span;
};

struct collected_cache {
    struct cursor cursors[KIND_COUNT - KIND_FIRST_COLLECTED][SIZE_CLASS_COUNT];
    uintptr_t tiny_next; /* tiny noscan objects share a block of 16 bytes */
    uintptr_t tiny_end;
};

/* Class 0 is that of large objects. span_count == spans in the lists + spans cached. */
struct collected_central {
    struct spinlock lock;
    struct list partial; /* swept, free_objs > 0 */
    struct list full;    /* swept, free_objs == 0 */
    struct list unswept; /* as the last mark left them */
    size_t span_count;
    size_t unswept_count; /* spans in `unswept`; read without the lock */
};

/* By core; a constant empty one until that core's first collected object. */
extern PER_CORE(struct collected_cache *, collected_caches);

extern struct collected_central collected_centrals[KIND_COUNT - KIND_FIRST_COLLECTED]
                                                  [SIZE_CLASS_COUNT];

/* The cycle that swept spans carry; all cores are stopped when it changes. */
extern uint8_t sweep_cycle;

/* Spans left to sweep. */
extern size_t sweep_left;

static inline struct collected_central *collected_central_of(const struct bh_span *span)
{
    return &collected_centrals[span->kind - KIND_FIRST_COLLECTED][span->size_class];
}

static inline bool span_is_unswept(const struct bh_span *span)
{
    return span->kind >= KIND_FIRST_COLLECTED && span->sweep_cycle != sweep_cycle;
}

/*
 * Takes an unswept span off the list and sweeps it; NULL when there is none. What is left of it is
 * for the caller: swept, in no list, free_objs exact, 0 to objs.
 */
struct bh_span *sweep_one(struct collected_central *central);

/* Puts a swept span that nobody allocates from where it belongs: full, partial, page heap. */
void collected_shelve(struct collected_central *central, struct bh_span *span);

/* The objects of a span that a core's cursor has reserved but not handed out: [*from, *to). The
 * cores are stopped, or only this one runs. */
void collected_reserved(const struct bh_span *span, uint32_t *from, uint32_t *to);

/* Gives up what this core's cursors have reserved, then sweeps up to `pages` pages. */
void collected_reclaim(size_t pages);

/* Checks all collected spans; see bh_heap_verify(). */
void collected_verify(void);

/* Whether the core has a cache of its own, one that may be written. */
bool collected_cache_exists(unsigned core);

/* collected_bytes() becomes `bytes`, or less by them. */
void collected_count_set(size_t bytes);
void collected_count_sub(size_t bytes);

#endif
