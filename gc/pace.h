/* SPDX-License-Identifier: MIT */
/* When to collect, and how fast to sweep. How: pace.c. */
#ifndef GC_PACE_H
#define GC_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the collected heap has grown to the goal. A racy look: a moment late does no harm. */
bool pace_is_due(void);

/* The bytes of collected heap at which the next cycle starts; SIZE_MAX: never. */
size_t pace_goal(void);

/* How many pages to look at for each piece of memory that a core takes. */
size_t pace_sweep_pages(void);

/* After a mark, all cores stopped: `heap_bytes` was the heap before it. */
void pace_cycle_done(size_t heap_bytes, size_t live_bytes, size_t stack_bytes, size_t global_bytes);

/* After a cycle that was abandoned, at time now_ns. */
void pace_cycle_abandoned(uint64_t now_ns);

/* Whether an abandoned cycle is too recent to try again without being asked to. Counts. */
bool pace_is_backing_off(uint64_t now_ns);

#endif
