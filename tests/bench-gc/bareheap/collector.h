/* SPDX-License-Identifier: MIT */
/* Allocation by our collector (tests/bench-gc/heap.h). */
#ifndef TESTS_BENCH_GC_BAREHEAP_COLLECTOR_H
#define TESTS_BENCH_GC_BAREHEAP_COLLECTOR_H

#include "tests/bench/bench.h"
#include <bareheap/gc.h>

/* A type whose `pointers`, COLLECTOR_POINTER() of its members or'ed, are all the pointers. */
#define COLLECTOR_POINTER(type, member)          BH_GC_POINTER(type, member)
#define COLLECTOR_TYPE(variable, type, pointers) static BH_GC_TYPE(variable, type, pointers)
#define COLLECTOR_NEW(variable, type)            ((type *)collector_typed(&(variable)))

static inline void *collector_checked(void *object)
{
    if (__builtin_expect(object == NULL, 0))
        bench_fail("the collected heap is full");
    return object;
}

/* Zeroed; every word may be a pointer. */
static inline void *collector_scan(size_t bytes)
{
    return collector_checked(bh_gc_alloc(bytes));
}

/* Without pointers; contents not to be relied on. */
static inline void *collector_noscan(size_t bytes)
{
    return collector_checked(bh_gc_alloc_buffer(bytes));
}

static inline void *collector_typed(struct bh_gc_type *type)
{
    return collector_checked(bh_gc_alloc_typed(type));
}

#endif
