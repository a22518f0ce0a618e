/* SPDX-License-Identifier: MIT */
/* What the tests of finalizers share. */
#ifndef TESTS_GC_FINALIZE_H
#define TESTS_GC_FINALIZE_H

#include "tests/gc/gc_test.h"

#define FINALIZE_OBJECTS 256

extern uint64_t finalize_counted; /* magic of the nodes that count */
extern size_t finalize_count;     /* finalizers of those that have run */
extern size_t finalize_cleaned;   /* cleanups that have run */
extern void (*finalize_also)(struct node *node);
extern uint64_t finalize_told; /* calls of the port's hook */

struct bh_gc_stats finalize_stats(void);

/* Counts a finalizer's run, on any core; false, and no count, for a leftover of another case. */
bool finalize_counts(uint64_t magic);

/* Runs all that is due, then none is. */
size_t finalize_run_all(void);

void finalize_collect(void);

/* Returns the magic of the nodes to be made, whose finalizers call `also_do`. */
uint64_t finalize_begin(void (*also_do)(struct node *node));

bool finalize_watch(struct node *node);

/* Cleanups; and a finalizer that must not be called. */
void finalize_clean(void *arg);
void finalize_clean_node(void *arg);
void finalize_never(void *object, void *arg);

void finalize_make(uint64_t magic, size_t count);

/* All but a few leftovers. */
void finalize_expect_nearly(size_t count, size_t all);

#endif
