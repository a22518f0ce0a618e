/* SPDX-License-Identifier: MIT */
/*
 * What is left to scan: a queue per marker, what it shares with the others, and how they all know
 * that nothing is left. How: work.c.
 *
 * Vocabulary
 *   piece    something to scan, in 16 bytes: a stretch of memory, or a span that has grey objects
 *   worker   a core that takes part in a mark: its queue, its shelf
 *   shelf    a few of a worker's pieces, where others may take them
 *   ring     all workers of a mark
 *   active   a worker that has pieces, or may be getting some
 *   missed   a span that should be queued and could not be: there was no memory for its piece
 */
#ifndef GC_WORK_H
#define GC_WORK_H

#include "alloc/walk.h"
#include "kernel-lib/spinlock.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Larger pieces are scanned in parts of so many bytes. */
#define WORK_PART_BYTES   ((size_t)128 << 10)
#define WORK_FIRST_PIECES 8
#define WORK_SHELF_PIECES 8

/*
 * Of a stretch, [at, at + bytes): `what` is the number of bytes and, above it, whether an object
 * that this is a part of begins before `at`, and the kind of its span (KIND_SCAN for roots).
 * Of a span, the kind is WORK_SPAN, `at` the address of its record, and the number of bytes the
 * word of its marks that was changed first.
 */
struct work_piece {
    uintptr_t at;
    uint64_t what;
};

#define WORK_KIND_SHIFT 56
#define WORK_REST       ((uint64_t)1 << 55)
#define WORK_BYTES      (WORK_REST - 1)
#define WORK_SPAN       KIND_MANUAL /* no piece is of a manual span's kind otherwise */

/* A part of a queue: a page with its pieces behind this head, or the first pieces. */
struct work_segment {
    struct work_segment *next; /* newer work; or the next one to spare */
    struct work_piece *pieces;
    size_t room; /* pieces */
};

/* Fields of a group are written by: */
struct worker {
    /* - its own core: the queue is head->pieces[head_at ..], the segments between, and
     * tail->pieces[.. tail_used]; */
    struct work_segment *head;
    size_t head_at;
    struct work_segment *tail;
    size_t tail_used;
    struct work_segment *spare;
    bool missed;     /* a span is queued, by its flag, that is in no queue */
    uint64_t steals; /* that it made */
    struct work_segment first;
    struct work_piece first_pieces[WORK_FIRST_PIECES];

    /* - the initiator, before and after the mark; */
    struct worker *next; /* in the ring */

    /* - whoever holds the lock. */
    struct spinlock lock __attribute__((aligned(ARCH_CACHE_LINE)));
    uint32_t shelf_used;
    struct work_piece shelf[WORK_SHELF_PIECES];
};

static inline uintptr_t work_at(struct work_piece piece)
{
    return piece.at;
}

static inline size_t work_bytes(struct work_piece piece)
{
    return (size_t)(piece.what & WORK_BYTES);
}

static inline unsigned work_kind(struct work_piece piece)
{
    return (unsigned)(piece.what >> WORK_KIND_SHIFT);
}

/* ---- a mark, by the initiator ---- */

/* Before a mark: its worker, the only active one, is a ring of its own. The queues may take `pages`
 * pages together. */
void work_begin(struct worker *initiator, size_t pages);

/* Adds a worker (zeroed) to the ring, before work_open(). */
void work_add(struct worker *initiator, struct worker *worker);

/* From here on up to `most` others may enter; from work_close() on nobody, and all have left. */
void work_open(unsigned most);
void work_close(void);

/* Whether any worker missed a span, which is forgotten. Nobody is active before it; the initiator
 * is when it is true. */
bool work_take_missed(struct worker *initiator);

/* The queues take no more pages: for while the heap's runs must stay as they are. */
void work_stop_growing(void);

/* After a mark: gives back the pages of a worker and clears it. */
void work_end(struct worker *worker);

/* ---- a worker ---- */

/* Whether this core may take part now; to be followed by work_leave(). */
bool work_enter(void);
void work_leave(void);

/* Makes room behind a tail that is full; false when there is no memory for it. */
bool work_grow(struct worker *w);

/* Queues a piece behind all others; false when there is no room. */
static inline bool work_push(struct worker *w, uintptr_t at, size_t bytes, unsigned kind)
{
    if (BH_UNLIKELY(w->tail_used == w->tail->room) && !work_grow(w))
        return false;
    w->tail->pieces[w->tail_used++] =
        (struct work_piece){at, (uint64_t)kind << WORK_KIND_SHIFT | bytes};
    return true;
}

/* Takes the oldest piece, or the first part of a long one; the rest stays where it is. */
bool work_pop(struct worker *w, struct work_piece *piece);

/* Puts some of its pieces on the shelf if that is empty. For between two pieces. */
void work_share_slow(struct worker *w);
static inline void work_share(struct worker *w)
{
    /* Relaxed: its own core alone makes it more than 0; that it is 0 is a hint. */
    if (atomic_load_relaxed(&w->shelf_used) == 0)
        work_share_slow(w);
}

/* Takes back what is on its own shelf; false when that is empty. */
bool work_unshelve(struct worker *w);

/* The worker's queue and shelf are empty: it is active no longer. */
void work_retire(void);

/* For a worker that is not active: true when it has stolen some pieces and is active; false when
 * nobody is. */
bool work_steal(struct worker *w);

/* A moment in a waiting loop, interrupts off; the `round`th, from 0. */
void work_wait(unsigned round);

#endif
