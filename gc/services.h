/* SPDX-License-Identifier: MIT */
/*
 * What objects can have beside their contents: finalizers, cleanups, weak references; as the cycle
 * sees them.
 *
 * In a cycle: services_each_root() is a part of the roots; after the mark services_after_mark()
 * clears the weak references to what was not reached, then makes finalizers and cleanups due; after
 * the release, if services_are_due(), the port is told (bh_port_finalizers_due).
 */
#ifndef GC_SERVICES_H
#define GC_SERVICES_H

#include "gc/mark.h"
#include <bareheap/gc.h>
#include <stdbool.h>
#include <stdint.h>

/* All cores stopped. Ranges of words to scan: contents of objects with finalizers, arguments, what
 * is due and not run yet. */
void services_each_root(void (*visit)(enum roots_kind kind, uintptr_t lo, uintptr_t hi, void *arg),
                        void *arg);

/* All cores stopped, everything reachable is marked. Marks objects whose finalizers became due
 * (what they refer to is marked already) and adds them to the totals. */
void services_after_mark(struct mark_totals *totals);

/* Whether bh_gc_run_finalizers() has something to do. A racy look. */
bool services_are_due(void);

/* bh_gc_free(object), if it is noted to have records (special.h): its finalizer and cleanups are
 * dropped, weak references cleared. */
void services_forget(void *object);

/* Fills in the counters that are known here. */
void services_count(struct bh_gc_stats *stats);

#endif
