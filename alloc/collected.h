/* SPDX-License-Identifier: MIT */
/*
 * Collected objects: the cursors of the cores and the spans they share.
 *
 * 1. A core has a cursor per kind and class (cursor.h), which bumps through a run of free objects
 *    that was zeroed when it was taken. There are no free lists.
 * 2. When a run is used up, the next one is found in the span's bitmap; taking it sets its bits,
 *    so that a bit set means: allocated, or reserved for one core's cursor, and zero.
 * 3. When a span is used up, the next is a partial one, or an unswept one that has room once
 *    swept (sweep.c), or new.
 *
 * 4. Typed objects have a kind for every layout (layout.h).
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
#include "arch/arch.h"
#include "kernel-lib/spinlock.h"

/* Class 0 is that of large objects. span_count == spans in the lists + spans cached. */
struct collected_central {
    struct spinlock lock;
    struct list partial; /* swept, free_objs > 0 */
    struct list full;    /* swept, free_objs == 0 */
    struct list unswept; /* as the last mark left them */
    size_t span_count;
    size_t unswept_count; /* spans in `unswept`; read without the lock */
    size_t unseen_count;  /* of those, the first so many: walk_reclaim() has not looked at them */

    /* Constant. */
    uint8_t kind;
    uint8_t size_class;
    uint8_t row;  /* where the cores' cursors on its spans are; unless it is of large objects */
    uint8_t word; /* cursor.h */
    struct collected_central *next; /* typed: in the list of all */

    /* What collected_verify() finds: spans, and those with a cursor. */
    uint32_t found;
    uint32_t found_cached;
};

/* Those of the plain kinds, and the list of the others. */
extern struct collected_central collected_centrals[KIND_PLAIN_COUNT][SIZE_CLASS_COUNT];
extern struct collected_central *collected_typed;

/* All centrals one after the other, from collected_centrals[0] on; NULL at the end. Those that
 * other cores add meanwhile are left out. */
struct collected_central *collected_next(const struct collected_central *central);

#define for_each_central(central)                                 \
    for (struct collected_central *central = /* NOLINT: a name */ \
         &collected_centrals[0][0];                               \
         (central) != NULL; (central) = collected_next(central))

/* The cycle that swept spans carry; all cores are stopped when it changes. */
extern uint8_t sweep_cycle;

/* Spans left to sweep. */
extern size_t sweep_left;

/* The central of a typed span: layout.c. */
struct collected_central *layout_central_of(const struct bh_span *span);

static inline struct collected_central *collected_central_of(const struct bh_span *span)
{
    if (BH_UNLIKELY(span->kind >= KIND_TYPED))
        return layout_central_of(span);
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

/*
 * Whether the object at `address`, or the block of tiny ones that it is in, is handed out. Objects
 * that this core's cursor has yet to hand out are not; those of another core's, which cannot be
 * looked at, seem to be. Under the central's lock, outside of marks.
 */
bool collected_is_allocated(const struct bh_span *span, uintptr_t address);

/* Gives up what this core's cursors have reserved, then sweeps up to `pages` pages. */
void collected_reclaim(size_t pages);

/* Checks all collected spans; see bh_heap_verify(). */
void collected_verify(void);

/* The span that a cursor stands in; NULL when in none. */
struct bh_span *cursor_span(const struct arch_cursor *cursor);

/* collected_bytes() becomes `bytes`, or less by them. */
void collected_count_set(size_t bytes);
void collected_count_sub(size_t bytes);

#endif
