/* SPDX-License-Identifier: MIT */
/* One core's part of a mark: following words to objects, and scanning those. How: marker.c. */
#ifndef GC_MARKER_H
#define GC_MARKER_H

#include "gc/mark.h"
#include "gc/work.h"

/* Measured: DECISIONS.md. The edges are a power of two, more than MARKER_JUDGE. */
#define MARKER_EDGES 32
#define MARKER_AIM   8
#define MARKER_JUDGE 16

BH_STATIC_ASSERT((MARKER_EDGES & (MARKER_EDGES - 1)) == 0 && MARKER_AIM < MARKER_JUDGE &&
                     MARKER_JUDGE < MARKER_EDGES,
                 "an edge is aimed, then judged, then its place is used again");

/* Objects whose scan is begun together; a word's worth more may be listed. */
#define MARKER_BATCH 32

/* A word that points into a page of the span; when it was aimed, the address of a word of the
 * span's marks, and the bit there, or none. */
struct marker_edge {
    uintptr_t at;
    struct bh_span *span;
    uint64_t bit;
} __attribute__((aligned(32))); /* found by a shift */

/* All zero when a mark begins, but for `alone`. No root. */
struct marker {
    struct worker work;
    struct mark_totals totals;
    bool alone; /* no other core takes part in this mark */

    /* The span whose objects are being scanned, and how far they reach; 0 bytes: none. */
    struct bh_span *span;
    uintptr_t base;
    uintptr_t bytes;
    uint64_t *marks;
    uint32_t reciprocal;

    uint64_t look; /* a bit for each word of its marks that is to be looked at yet */

    /* Bits to be set in one word of its marks, and which word that is. */
    uint32_t pending_word;
    uint64_t pending;

    /* Of the edges that were ever found, those before `settled` have been judged, and of the others
     * all but the last MARKER_AIM aimed and all but the last MARKER_JUDGE judged. Edge i is at
     * i % MARKER_EDGES. */
    uint64_t found;
    uint64_t settled;
    struct marker_edge edges[MARKER_EDGES];

    uintptr_t listed[MARKER_BATCH + 64]; /* objects */
};

/* Scans what there is in its queue, and all that comes of it, until nothing is left but what is on
 * its shelf. */
void marker_drain(struct marker *m);

/* Queues a stretch of memory that cannot be missed and found again: waits for room. */
void marker_push_surely(struct marker *m, uintptr_t at, size_t bytes, unsigned kind);

/* Queues a span that was missed, to be looked at as a whole. */
void marker_push_missed(struct marker *m, struct bh_span *span);

#endif
