/* SPDX-License-Identifier: MIT */
/*
 * A second, simple marker with marks of its own: for the leak report and for checkmark. How:
 * census.c.
 */
#ifndef GC_CENSUS_H
#define GC_CENSUS_H

#include "alloc/walk.h"
#include "gc/roots.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No object is smaller, and all begin at a multiple of it. */
#define CENSUS_GRANULE_BYTES (SIZE_CLASS_LEAST == 1 ? 8 : 16)

/*
 * Lies at the beginning of its own pages, which are no root: neither it nor its stack keep anything
 * alive.
 */
struct census {
    uintptr_t base; /* of the page map's first page */
    size_t granules;
    uint64_t *marks; /* bit i: an object that begins in granule i was reached */
    uint64_t *seen;  /* likewise. CENSUS_ALL: manual objects that are free, in a cache;
                      * CENSUS_COLLECTED: what census_see() was called for */
    uint64_t *large; /* bit i: a large manual object begins with page i; NULL: manual objects are
                      * not looked for */

    /* What is done with each object that a scanned word points into. */
    void (*found)(struct census *census, const struct walk_object *object);

    /* Objects that are marked and not scanned yet. */
    struct walk_object *stack;
    size_t stack_used;

    /* Marked when the stack was full: their granules are in [missed_lo, missed_hi]. */
    size_t missed_lo;
    size_t missed_hi;
};

enum census_use {
    CENSUS_COLLECTED, /* collected objects */
    CENSUS_ALL        /* manual objects as well */
};

/* Pages for a census of the heap as it is: a 64th of it and a little. NULL when memory is out. Any
 * context, also a stop. */
struct census *census_new(enum census_use use);
void census_free(struct census *census);

/* All functions below: all cores stopped. */

/* Whether all of the heap is in it: a region may have come since census_new(). */
bool census_covers(const struct census *census);

/* Begins, with CENSUS_ALL: notes large manual objects, and those that are in a cache. */
void census_begin(struct census *census);

/* Calls found() for what the words of all roots point into, or those of an object that may be
 * pointers. */
void census_scan_roots(struct census *census);
void census_scan_object(struct census *census, const struct walk_object *object);

/* A found(): marks the object, to be scanned. */
void census_mark(struct census *census, const struct walk_object *object);

/* Marks all that can be reached from what is marked. */
void census_mark_rest(struct census *census);

static inline size_t census_granule(const struct census *census, uintptr_t object)
{
    return (object - census->base) / CENSUS_GRANULE_BYTES;
}

static inline bool census_is_marked(const struct census *census, const struct walk_object *object)
{
    return bitmap_test(census->marks, census_granule(census, object->base));
}

static inline bool census_is_seen(const struct census *census, const struct walk_object *object)
{
    return bitmap_test(census->seen, census_granule(census, object->base));
}

/* A found(): only notes it. */
void census_see(struct census *census, const struct walk_object *object);

#endif
