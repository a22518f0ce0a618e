/* SPDX-License-Identifier: MIT */
/*
 * What is left to scan: a stack per marker, what it shares with the others, and how they all know
 * that nothing is left. How: work.c.
 *
 * Vocabulary
 *   piece    a stretch of memory to scan, in 16 bytes
 *   worker   a core that takes part in a mark: its stack, its shelf
 *   shelf    a few of a worker's pieces, where others may take them
 *   ring     all workers of a mark
 *   active   a worker that has pieces, or may be getting some
 *   missed   an object that is marked and could not be pushed: the stack was full
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
#define WORK_FIRST_PIECES 64
#define WORK_SHELF_PIECES 32

/*
 * Scan [at, at + bytes). `what` is the number of bytes and, above it, whether an object that this
 * is a part of begins before `at`, and the kind of its span (KIND_SCAN for roots). Neither an end,
 * which is the address of the next object, nor `at` as it is, since contents of objects with
 * finalizers are scanned without the objects being alive: pieces may lie where roots are scanned.
 */
struct work_piece {
    uintptr_t hidden_at; /* complemented */
    uint64_t what;
};

#define WORK_KIND_SHIFT 56
#define WORK_REST       ((uint64_t)1 << 55)
#define WORK_BYTES      (WORK_REST - 1)

/* A part of a stack: a page with its pieces behind this head, or the first pieces. */
struct work_segment {
    struct work_segment *below; /* older work */
    struct work_segment *above; /* kept for when the stack grows again */
    struct work_piece *pieces;
    size_t room; /* pieces */
};

/* Fields of a group are written by: */
struct worker {
    /* - its own core: full segments below `top`, and pieces[0 .. top_used) of it; the addresses
     * of missed objects are in [missed_lo, missed_hi]; */
    struct work_segment *top;
    size_t top_used;
    uintptr_t missed_lo;
    uintptr_t missed_hi;
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
    return ~piece.hidden_at;
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

/* Before a mark: its worker, the only active one, is a ring of its own. The stacks may take `pages`
 * pages together. */
void work_begin(struct worker *initiator, size_t pages);

/* Adds a worker (zeroed) to the ring, before work_open(). */
void work_add(struct worker *initiator, struct worker *worker);

/* From here on up to `most` others may enter; from work_close() on nobody, and all have left. */
void work_open(unsigned most);
void work_close(void);

/* The addresses between which all missed objects lie, which are forgotten; false: there are none.
 * Nobody is active before it; the initiator is when it is true. */
bool work_take_missed(struct worker *initiator, uintptr_t *lo, uintptr_t *hi);

/* The stacks take no more pages: for while the heap's runs must stay as they are. */
void work_stop_growing(void);

/* After a mark: gives back the pages of a worker and clears it. */
void work_end(struct worker *worker);

/* ---- a worker ---- */

/* Whether this core may take part now; to be followed by work_leave(). */
bool work_enter(void);
void work_leave(void);

/* What work_push() does when the top segment is full. */
bool work_grow(struct worker *w);
void work_miss(struct worker *w, uintptr_t at);

/* Whether the next push would want a new page. */
static inline bool work_is_full(const struct worker *w)
{
    return w->top_used == w->top->room && w->top->above == NULL;
}

static inline void work_push(struct worker *w, uintptr_t at, size_t bytes, unsigned kind)
{
    if (BH_UNLIKELY(w->top_used == w->top->room) && !work_grow(w)) {
        work_miss(w, at);
        return;
    }
    w->top->pieces[w->top_used++] =
        (struct work_piece){~at, (uint64_t)kind << WORK_KIND_SHIFT | bytes};
}

/* Takes the newest piece, or the first part of it; the rest stays where it is. */
bool work_pop_slow(struct worker *w, struct work_piece *piece);
static inline bool work_pop(struct worker *w, struct work_piece *piece)
{
    if (BH_UNLIKELY(w->top_used == 0))
        return work_pop_slow(w, piece);
    *piece = w->top->pieces[w->top_used - 1];
    if (BH_UNLIKELY(work_bytes(*piece) > WORK_PART_BYTES))
        return work_pop_slow(w, piece);
    w->top_used--;
    return true;
}

/* Puts some of its pieces on the shelf if that is empty. For between two pieces. */
void work_share_slow(struct worker *w);
static inline void work_share(struct worker *w)
{
    /* Relaxed: its own core alone makes it more than 0; that it is 0 is a hint. */
    if (atomic_load_relaxed(&w->shelf_used) == 0 && w->top_used != 0)
        work_share_slow(w);
}

/* Takes back what is on its own shelf; false when that is empty. */
bool work_unshelve(struct worker *w);

/* The worker's stack and shelf are empty: it is active no longer. */
void work_retire(void);

/* For a worker that is not active: true when it has stolen some pieces and is active; false when
 * nobody is. */
bool work_steal(struct worker *w);

/* A moment in a waiting loop, interrupts off; the `round`th, from 0. */
void work_wait(unsigned round);

#endif
