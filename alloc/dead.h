/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a collected object's contents when it is freed: nothing, for sweeping touches no
 * object; but at BH_DEBUG >= 2 a sweep, and bh_gc_free(), fill it with DEAD_BYTE, so that who still
 * uses it sees what no object has in it, and a pointer read from it faults on both CPUs. Memory
 * that is taken again is zeroed in any case. Not for manual objects, which have red zones.
 */
#ifndef ALLOC_DEAD_H
#define ALLOC_DEAD_H

#include "alloc/poison.h"
#include "kernel-lib/memory.h"
#include <bareheap/config.h>
#include <stddef.h>
#include <stdint.h>

#define DEAD_FILL (BH_DEBUG >= 2)
#define DEAD_BYTE 0xdb

/* Of a large object its beginning: bounds the time with interrupts off. */
#define DEAD_MOST_BYTES ((size_t)64 << 10)

/* The object's room becomes open to a sanitizer: who calls closes it. */
static inline void dead_fill(uintptr_t object, size_t room)
{
    size_t bytes = room < DEAD_MOST_BYTES ? room : DEAD_MOST_BYTES;
    if (!DEAD_FILL)
        return;
    poison_lift(object, bytes);
    memset((void *)object, DEAD_BYTE, bytes); /* NOLINT: an address becomes memory */
}

#endif
