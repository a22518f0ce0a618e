/* SPDX-License-Identifier: MIT */
/* Finalizers and cleanups, as services.c drives them. How: finalize.c. */
#ifndef GC_FINALIZE_H
#define GC_FINALIZE_H

#include "gc/special.h"
#include <bareheap/gc.h>
#include <stdbool.h>
#include <stdint.h>

/* All cores stopped: the record's object was found unreachable. */
void finalize_make_due(struct special at, uintptr_t object);

/* All cores stopped: calls visit for the word of each object whose finalizer is due. */
void finalize_each_due(void (*visit)(const uintptr_t *word, void *arg), void *arg);

/* With the lock held: the record's finalizer or cleanup, due or not, never runs. */
void finalize_take_back_locked(struct special at);

/* A racy look. */
bool finalize_is_due(void);

/* With the lock held. */
void finalize_count_locked(struct bh_gc_stats *stats);

#endif
