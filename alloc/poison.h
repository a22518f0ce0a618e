/* SPDX-License-Identifier: MIT */
/*
 * What a memory sanitizer is told (KASAN in a kernel, AddressSanitizer on a host): BH_SANITIZE in
 * config.h. In other builds all of this is empty.
 *
 * 1. Pages are poisoned when their region is added and when their run becomes free. A run that is
 *    taken for objects stays poisoned; one that is taken for ourselves (cells, the collector's
 *    stack) is opened whole. Records, page map and cells are never poisoned.
 * 2. An object is opened when it is handed out: the bytes asked for, no more. The rest of its room
 *    stays poisoned, so that a step past the end is seen, and with it a step before the next
 *    object's beginning (before the first one of a region are its records). Manual objects have a
 * red zone (redzone.h) in these builds, so there is always such a rest; what was asked for is in
 * its last word.
 * 3. A manual object is closed by its free. One that is freed already is looked at on purpose, so
 *    that the tool reports it.
 * 4. A collected object is closed when its span is swept and it was not reached, or by
 *    bh_gc_free(); one that is used by way of a pointer the collector cannot see is reported.
 *
 * Our own looks at closed memory are in functions marked POISON_BLIND, or between poison_lift() and
 * poison_lay(). A blind function must not call memset and its like, which tools check too.
 *
 * Invariant: of a live object exactly [object, object + asked) is open, to what the tool can tell
 * apart (both tools: the first n bytes of every 8). Callers own what they open and close: no lock.
 */
#ifndef ALLOC_POISON_H
#define ALLOC_POISON_H

#include <bareheap/config.h>
#include <stddef.h>
#include <stdint.h>

#if BH_SANITIZE

/* The tool's. Kernels do not have the sanitizers' headers. */
void __asan_poison_memory_region(const volatile void *address, size_t bytes);
void __asan_unpoison_memory_region(const volatile void *address, size_t bytes);

#define POISON_BLIND __attribute__((no_sanitize("address"), noinline))

static inline void poison_lay(uintptr_t address, size_t bytes)
{
    __asan_poison_memory_region((const volatile void *)address, bytes); /* NOLINT: memory */
}

static inline void poison_lift(uintptr_t address, size_t bytes)
{
    __asan_unpoison_memory_region((const volatile void *)address, bytes); /* NOLINT: memory */
}

/* The tool reports a look at `address` when it is poisoned. */
static inline void poison_probe(uintptr_t address)
{
    (void)*(const volatile unsigned char *)address; /* NOLINT: an address becomes memory */
}

#else

#define POISON_BLIND

static inline void poison_lay(uintptr_t address, size_t bytes)
{
    (void)address, (void)bytes;
}

static inline void poison_lift(uintptr_t address, size_t bytes)
{
    (void)address, (void)bytes;
}

static inline void poison_probe(uintptr_t address)
{
    (void)address;
}

#endif

/* An object with room for `room` bytes is its owner's for the first `bytes` of them; or still is,
 * with another size than before. At no time are bytes closed that are open before and after. */
static inline void poison_open(uintptr_t object, size_t bytes, size_t room)
{
    poison_lift(object, bytes);
    poison_lay(object + bytes, room - bytes);
}

#endif
