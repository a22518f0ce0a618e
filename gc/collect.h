/* SPDX-License-Identifier: MIT */
/* Running a cycle, and what is known of it. How: collect.c. */
#ifndef GC_COLLECT_H
#define GC_COLLECT_H

#include "gc/mark.h"
#include "gc/stop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a cycle is asked for. */
enum collect_reason {
    COLLECT_GROWTH, /* the heap is at its goal */
    COLLECT_LIMIT,  /* what is in use would pass the limit */
    COLLECT_PERIOD, /* there had been none for long */
    COLLECT_MEMORY, /* an allocation found no memory */
    COLLECT_FORCED  /* bh_gc_collect() */
};

/*
 * One cycle. request <= stopped <= swept <= marked <= finished, all from bh_port_now_ns() on the
 * initiator; between request and finished this core, and up to that each other, stood still.
 */
struct collect_cycle {
    enum collect_reason reason;
    bool (*still_due)(void); /* asked last of all, interrupts off; NULL: it is */
    enum stop_result result;
    unsigned missing_core; /* STOP_TIMED_OUT */
    uint64_t number;       /* from 1; of complete cycles */
    uint64_t request_ns;
    uint64_t stopped_ns;
    uint64_t swept_ns;
    uint64_t marked_ns;
    uint64_t finished_ns;
    uint64_t pauses_ns; /* of all cycles so far, this one included */
    size_t goal_bytes;  /* that it started at */
    size_t heap_bytes;  /* when all stood still */
    struct mark_totals mark;
};

/* Tells the floors below that there is a collector. Cheap when that has been done. Any context. */
void collect_attach(void);

/* Whether this core may start a cycle and wait for one: there is a heap, and interrupts are on. */
bool collect_is_possible(void);

/*
 * Runs a cycle; true when one that started after the call was completed, by this core or another.
 * What it freed has still to be swept. Only when collect_is_possible().
 */
bool collect_run(enum collect_reason reason);

/*
 * Before `bytes` more are taken: runs a cycle if one is due (pace.h), and when the limit is near
 * sweeps first, and after it. Like collect_run() otherwise.
 */
bool collect_when_due(size_t bytes);

/* For an idle core: runs a cycle if there has been none for a period. Any context. */
bool collect_when_overdue(void);

/* The same for an allocation that found no memory: sweeps too, and is not for ever tried again
 * while a core does not stop. True when trying the allocation again makes sense. */
bool collect_for_memory(void);

/* Called in the stop right before a mark (false) and right after it (true). NULL: none. For
 * checkmark.c, which so is linked only where it is used. */
extern void (*collect_mark_hook)(bool marked);

/* When collect_attach() did its work, by bh_port_now_ns(). */
uint64_t collect_start_ns(void);

#endif
