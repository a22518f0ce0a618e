/* SPDX-License-Identifier: MIT */
/* When to collect, and how fast to sweep. How: pace.c. */
#ifndef GC_PACE_H
#define GC_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a cycle should start now. */
enum pace_due {
    PACE_NOT_DUE,
    PACE_GROWTH, /* the heap has grown to the goal of the percentage */
    PACE_LIMIT,  /* it would pass the limit */
    PACE_PERIOD  /* there has been none for long */
};

/* Before `bytes` more are taken, manual or collected. Counts what the limiter holds back. */
enum pace_due pace_due(size_t bytes);

/* Whether there has been no cycle for a period. */
bool pace_is_overdue(void);

/* Whether the collected heap has grown to the goal. A racy look: a moment late does no harm. */
bool pace_is_due(void);

/* Whether `bytes` more would be over the limit. */
bool pace_is_over_limit(size_t bytes);

/* The bytes of collected heap at which the next cycle starts; SIZE_MAX: never. */
size_t pace_goal(void);

/* The minimum heap where the allocator was given so much RAM. */
size_t pace_least_heap(size_t ram_bytes);

/* How many pages to look at for each piece of memory that a core takes. */
size_t pace_sweep_pages(void);

/* How many idle cores are worth waking for the next mark. */
unsigned pace_helpers(void);

/* The first moment at which there is a collector: from here on the period counts. */
void pace_begin(uint64_t now_ns);

/* A cycle as pace_cycle_done() wants it. */
struct pace_cycle {
    uint64_t start_ns; /* of the stop */
    uint64_t end_ns;
    size_t heap_bytes;    /* collected, before the mark */
    size_t live_bytes;    /* after it */
    size_t extra_bytes;   /* scanned beside them: stacks and globals */
    size_t scanned_bytes; /* of objects and roots */
};

/* After a mark, all cores stopped. */
void pace_cycle_done(const struct pace_cycle *cycle);

/* After a cycle that was abandoned, at time now_ns. */
void pace_cycle_abandoned(uint64_t now_ns);

/* Whether an abandoned cycle is too recent to try again without being asked to. Counts. */
bool pace_is_backing_off(uint64_t now_ns);

/* How the goal came about. */
struct pace_report {
    int percent;
    size_t live_bytes;
    size_t extra_bytes;
    size_t least_bytes; /* the minimum heap */
    size_t growth_goal_bytes;
    size_t limit_bytes;      /* SIZE_MAX: none */
    size_t limit_goal_bytes; /* SIZE_MAX: no limit */
    size_t other_bytes;      /* in use for other things than collected spans */
    size_t waste_bytes;      /* of collected spans, what no object had at the last cycle */
    size_t sweep_pages;
    uint64_t limiter_fill_ns;
    uint64_t limiter_capacity_ns;
    uint64_t limiter_skips; /* cycles that it held back */
};
void pace_describe(struct pace_report *report);

/* Its state, whole words: figures, and no roots. */
void pace_own_state(uintptr_t *lo, uintptr_t *hi);

/* ---- for tests ---- */

#define PACE_PERIOD_NS ((uint64_t)120 * 1000000000)
void pace_set_period_ns(uint64_t ns);

#define PACE_LIMITER_NS ((uint64_t)100000000)
void pace_set_limiter_ns(uint64_t capacity_ns);

#endif
