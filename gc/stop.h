/* SPDX-License-Identifier: MIT */
/*
 * Stopping the other cores, and what they hand over when they stand still. How: stop.c.
 *
 * Of these only the collector's cycle calls stop_world() and stop_release(); the public part
 * (bh_gc_park, bh_gc_park_idle, bh_gc_unpark) is in <bareheap/gc.h>.
 */
#ifndef GC_STOP_H
#define GC_STOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stop_result {
    STOP_WON,      /* all other cores stand still; stop_release() is the caller's duty */
    STOP_LOST,     /* another core was first: this one stood still for it and is released */
    STOP_GAVE_UP,  /* the same, but that core's stop has timed out */
    STOP_TIMED_OUT /* a core did not answer; all are released */
};

/*
 * Stops all other cores. To be called by arch_call_with_registers() with interrupts off: `sp` is
 * what it passes. For STOP_TIMED_OUT, *missing is the core that did not answer.
 */
enum stop_result stop_world(uintptr_t sp, unsigned *missing);

/*
 * The line for the log about STOP_TIMED_OUT: which core, how long it was waited for (not when the
 * clock stood still, so that waited_ns is 0), and what came of it. Returns the length as
 * print_format() does.
 */
#define STOP_LINE_BYTES 128
size_t stop_describe_late(char *line, unsigned core, uint64_t waited_ns, const char *outcome);

/* Ends the stop that stop_world() won. Interrupts still off. */
void stop_release(void);

/*
 * The hook of bh_handle_signal(): called on the core that is interrupted, interrupts off, before
 * anything else is done. Stands still when a stop is under way.
 */
void stop_handle(uintptr_t interrupted_sp);

/*
 * The hook of kernel-lib/spinlock.h: called with interrupts off by a core that waits for a lock
 * and holds none of ours. Stands still when a stop is under way.
 */
void stop_poll(void);

/*
 * Every range of memory that holds what a core had in its registers and on its stacks when it
 * stopped. All cores stopped.
 */
void stop_each_range(void (*visit)(uintptr_t lo, uintptr_t hi, void *arg), void *arg);

/*
 * Interrupts up to `most` cores that are parked and idle, so that they help to mark: once in a
 * stop, by its initiator, before the mark. Nobody waits for them.
 */
void stop_call_idle(unsigned most);

/* Its state, whole words, which is no root: what of it may hold pointers is among the ranges. */
void stop_own_state(uintptr_t *lo, uintptr_t *hi);

/* How many cores beside the initiator may help: those that stand still and are not parked, and the
 * idle ones that have been called. In a stop. */
unsigned stop_still_cores(void);

/* Whether this core is between bh_gc_park() and bh_gc_unpark(). */
bool stop_is_parked(void);

/* How long to wait for a core: BH_STOP_TIMEOUT_NS unless a test says otherwise. */
uint64_t stop_timeout_ns(void);
void stop_set_timeout_ns(uint64_t ns);

#endif
