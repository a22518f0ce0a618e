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
    COLLECT_MEMORY, /* an allocation found no memory */
    COLLECT_FORCED  /* bh_gc_collect() */
};

/*
 * One cycle. request <= stopped <= swept <= marked <= finished, all from bh_port_now_ns() on the
 * initiator; between request and finished this core, and up to that each other, stood still.
 */
struct collect_cycle {
    enum collect_reason reason;
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

/* The same for an allocation that found no memory: sweeps too, and is not for ever tried again
 * while a core does not stop. True when trying the allocation again makes sense. */
bool collect_for_memory(void);

/* When collect_attach() did its work, by bh_port_now_ns(). */
uint64_t collect_start_ns(void);

#endif
