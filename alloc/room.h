/* SPDX-License-Identifier: MIT */
/*
 * What happens before NULL: collect, give back caches and sweep, ask the port for pages.
 *
 * No lock of ours is held. With interrupts off (an interrupt handler, a kernel's critical section)
 * only the middle step is taken: it neither waits nor calls out.
 */
#ifndef ALLOC_ROOM_H
#define ALLOC_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Step `attempt` (from 0) of making room for `bytes`. True: try again. False: give up. */
bool room_make(size_t bytes, unsigned attempt);

/* The middle step: this core's cache and the transfer caches into the spans, and a sweep. */
void room_reclaim(void);

/* Counts a request that was answered with NULL, and is that NULL. */
void *room_failed(void);

/* Requests that failed so far. */
uint64_t room_failures(void);

/* Sweeps all collected spans; set by collected.c with the first one, NULL without a collector. */
extern void (*room_sweep_hook)(void);

/* What collected_bytes() says; here because statistics want it without the collector's code. */
extern size_t room_collected_bytes;

#endif
