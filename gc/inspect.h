/* SPDX-License-Identifier: MIT */
/* Looking at the heap while nobody changes it. How: inspect.c. */
#ifndef GC_INSPECT_H
#define GC_INSPECT_H

#include <stdbool.h>

/*
 * Calls look(arg) once in a stop, on this core, interrupts off: it must not log, and lock no more
 * than the collector does. False, and no call, where bh_gc_collect() would be false.
 */
bool inspect_in_stop(void (*look)(void *arg), void *arg);

#endif
