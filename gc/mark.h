/* SPDX-License-Identifier: MIT */
/* Marking all that can be reached from the roots. How: mark.c. */
#ifndef GC_MARK_H
#define GC_MARK_H

#include "gc/roots.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a mark found. */
struct mark_totals {
    size_t live_bytes;      /* of marked objects, whole */
    uint64_t live_objects;  /* marked */
    uint64_t scanned_bytes; /* of roots and objects */
    uint64_t overflows;     /* rounds of looking for spans that no queue had room for */
    uint64_t steals;        /* pieces of work that one core took from another */
    size_t root_bytes[ROOTS_KINDS];
};

/*
 * A whole mark, between walk_cycle_begin() and walk_cycle_end(). Cannot fail. All cores stopped,
 * interrupts off.
 */
void mark_all(struct mark_totals *totals);

/* Where a mark keeps addresses of objects, whole words: no root. */
void mark_own_state(uintptr_t *lo, uintptr_t *hi);

/* After a mark and what follows from it: clears the stack below the caller, as deep as their calls
 * go, about. Addresses of objects in dead frames would be shown to a later mark by the frames that
 * come to lie there, with holes that nothing writes to (Boehm's GC_clear_stack()). */
void mark_wipe_stack(void);

/*
 * For a core that stands still and waits for the end of the stop, interrupts off: takes part in the
 * mark under way until nothing is left to mark. False, at once, when there is none, or enough
 * cores take part.
 */
bool mark_help(void);

/* ---- for tests and benchmarks ---- */

/* The most pages the mark queues may take beside their first entries; SIZE_MAX (the value at the
 * start): one for each core, and a 256th of the heap's pages. */
void mark_set_queue_pages(size_t pages);

/* The most cores that mark, 1 being the initiator alone. At the start there is no such bound. */
void mark_set_cores(unsigned cores);

/* What a core did in the last mark. All zero: it did not take part. */
struct mark_counts {
    uint64_t objects; /* that it marked first */
    uint64_t scanned_bytes;
    uint64_t steals;
};
struct mark_counts mark_counts_of(unsigned core);

#endif
