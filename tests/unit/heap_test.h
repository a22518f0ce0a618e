/* SPDX-License-Identifier: MIT */
/*
 * What the allocator's tests share: heaps of a size of one's own, contents that can be checked, an
 * oracle beside the heap, and jobs on every core.
 */
#ifndef TESTS_UNIT_HEAP_TEST_H
#define TESTS_UNIT_HEAP_TEST_H

#include "tests/harness/harness.h"
#include <bareheap/alloc.h>
#include <bareheap/port.h>

/* ---- heaps ---- */

/* What the guard pages of a large object take: in hardened builds, on every board of ours. */
#define HEAP_TEST_GUARD_BYTES ((size_t)BH_HARDEN * 2 * 8192)

/* `bytes` of the board's largest region, at a multiple of 2 MiB: for cases that run alone. */
char *heap_test_ram(size_t bytes);

/* bh_init() with heap_test_ram(bytes), as memory that is not known to be zero. */
void heap_test_init(size_t bytes);

/* Every core's cache, and the shared ones, into the spans; free pages are not handed out. */
void heap_test_drain(void);

/* Hardened builds keep large objects that were freed for a while: not from here on. */
void heap_test_drain_large(void);

/* The statistics after heap_test_drain(). */
struct bh_stats heap_test_stats(void);

/* ---- jobs ---- */

/* Runs fn(arg) on every core at once and waits for all. Only from core 0, outside of such a job. */
void heap_test_on_all_cores(void (*fn)(void *arg), void *arg);

/* In a case on all cores: while all wait, core 0 looks at the whole heap. */
void heap_test_verify_at_barrier(void);

/* ---- contents ---- */

/* Fills memory with a pattern made from `tag`; tells whether it is still all there. */
void heap_test_fill(void *object, size_t bytes, uint64_t tag);
bool heap_test_is_filled(const void *object, size_t bytes, uint64_t tag);

/* ---- the oracle ---- */

/* An object that is live, and what is in it. */
struct heap_test_object {
    char *address; /* NULL: the slot is empty */
    size_t bytes;  /* asked for */
    uint64_t tag;
};

/* A size as programs ask for: mostly small, now and then up to `most`. */
size_t heap_test_size(size_t most);

/* Each on an empty, a live and a live slot. What they find wrong fails the case. A request that is
 * answered with NULL leaves the slot as it was and returns false. */
bool heap_test_alloc(struct heap_test_object *slot, size_t bytes);
bool heap_test_realloc(struct heap_test_object *slot, size_t bytes);
void heap_test_free(struct heap_test_object *slot);

/* One random operation on a random slot. */
void heap_test_step(struct heap_test_object *slots, size_t count, size_t most_bytes);

/* Frees what is live. */
void heap_test_free_all(struct heap_test_object *slots, size_t count);

#endif
