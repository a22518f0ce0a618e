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
    uint64_t overflows;     /* times the heap was rescanned because the stack had been full */
    size_t root_bytes[ROOTS_KINDS];
};

/*
 * A whole mark, between walk_cycle_begin() and walk_cycle_end(). Cannot fail. All cores stopped,
 * interrupts off.
 */
void mark_all(struct mark_totals *totals);

/* The most pages the mark stack may take beside its first entries; SIZE_MAX (the value at the
 * start): a sixteenth of the heap's pages. For tests. */
void mark_set_stack_pages(size_t pages);

#endif
