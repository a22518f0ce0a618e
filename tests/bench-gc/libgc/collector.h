/* SPDX-License-Identifier: MIT */
/*
 * Allocation by libgc (tests/bench-gc/heap.h). Types are left to GC_malloc(), which scans
 * conservatively, as programs do: with GC_malloc_explicitly_typed() trees took the same time and,
 * at 32 bytes a node either way, the same room.
 */
#ifndef TESTS_BENCH_GC_LIBGC_COLLECTOR_H
#define TESTS_BENCH_GC_LIBGC_COLLECTOR_H

#include "tests/bench/bench.h"

#define GC_THREADS             1
#define GC_NO_THREAD_REDIRECTS 1
#include <gc/gc.h>

#define COLLECTOR_POINTER(type, member) 0
#define COLLECTOR_TYPE(variable, type, pointers) \
    _Static_assert(sizeof(type) > (pointers), #variable)
#define COLLECTOR_NEW(variable, type) ((type *)collector_scan(sizeof(type)))

static inline void *collector_checked(void *object)
{
    if (__builtin_expect(object == NULL, 0))
        bench_fail("the collected heap is full");
    return object;
}

/* Zeroed; every word may be a pointer. */
static inline void *collector_scan(size_t bytes)
{
    return collector_checked(GC_malloc(bytes));
}

/* Without pointers; contents not to be relied on. */
static inline void *collector_noscan(size_t bytes)
{
    return collector_checked(GC_malloc_atomic(bytes));
}

#endif
