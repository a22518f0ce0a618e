/* SPDX-License-Identifier: MIT */
/* What is known of all cycles so far: bh_gc_get_stats(). How: counters.c. */
#ifndef GC_COUNTERS_H
#define GC_COUNTERS_H

#include "gc/collect.h"
#include <stdint.h>

/* Complete cycles so far. Any context. */
uint64_t counters_cycles(void);

/* A complete cycle, still in its stop: gives it its number, and the sums up to it. */
void counters_add(struct collect_cycle *cycle);

/* An abandoned one, which took so long, after its stop. */
void counters_add_abandoned(uint64_t ns);

/* Its state, whole words: figures, and no roots. */
void counters_own_state(uintptr_t *lo, uintptr_t *hi);

#endif
