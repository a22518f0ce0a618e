/* SPDX-License-Identifier: MIT */
/*
 * Crimes that a sanitizer reports. On the boards the tool is kasan.c, whose report is the expected
 * panic; on the host it is AddressSanitizer, and selftest.py reads its report: the line marked
 * REPORTED of the case must be in it.
 */
#include "kernel-lib/memory.h"
#include "tests/sanitize/kasan.h"
#include "tests/unit/heap_test.h"
#include <bareheap/bareheap.h>

#define LARGE_BYTES ((size_t)100000)

#define REPORT(access, where) "kasan: " access " bytes at 0x* is poisoned; by 0x* (" where "+0x*)"
#define HERE(access, name)    REPORT(access, "test_" #name)

/* Volatile: an access that the compiler can neither drop nor move. Not the region's first object,
 * which has metadata before it. */
static volatile char *begin(size_t bytes)
{
    kasan_watch(heap_test_ram(KASAN_REGION_BYTES));
    heap_test_init(KASAN_REGION_BYTES);
    EXPECT(bh_malloc(bytes) != NULL);
    return bh_malloc(bytes);
}

static void give_back(volatile char *object)
{
    bh_free((void *)(uintptr_t)object);
}

TEST_PANICS(sanitize_read_after_free, HERE("read of 1", sanitize_read_after_free))
{
    volatile char *object = begin(100);
    give_back(object);
    (void)object[0]; /* REPORTED */
}

TEST_PANICS(sanitize_write_after_free, HERE("write of 1", sanitize_write_after_free))
{
    volatile char *object = begin(100);
    give_back(object);
    object[99] = 1; /* REPORTED */
}

TEST_PANICS(sanitize_overflow_by_one, HERE("write of 1", sanitize_overflow_by_one))
{
    volatile char *object = begin(100);
    object[100] = 1; /* REPORTED */
}

/* No request fills its room: the next object is further away than a byte. */
TEST_PANICS(sanitize_overflow_of_a_whole_class,
            HERE("read of 1", sanitize_overflow_of_a_whole_class))
{
    volatile char *object = begin(128);
    (void)object[128]; /* REPORTED */
}

TEST_PANICS(sanitize_underflow, HERE("read of 1", sanitize_underflow))
{
    volatile char *object = begin(100);
    (void)object[-1]; /* REPORTED */
}

TEST_PANICS(sanitize_double_free, REPORT("read of 1", "freed_already"))
{
    volatile char *object = begin(100);
    give_back(object);
    bh_free((void *)(uintptr_t)object); /* REPORTED */
    harness_note("not reached");        /* or the call above is a jump, with no frame */
}

TEST_PANICS(sanitize_use_of_a_free_large_object,
            HERE("write of 1", sanitize_use_of_a_free_large_object))
{
    volatile char *object = begin(LARGE_BYTES);
    give_back(object);
    object[LARGE_BYTES / 2] = 1; /* REPORTED */
}

TEST_PANICS(sanitize_overflow_of_a_large_object,
            HERE("write of 1", sanitize_overflow_of_a_large_object))
{
    volatile char *object = begin(LARGE_BYTES);
    object[LARGE_BYTES] = 1; /* REPORTED */
}

TEST_PANICS(sanitize_use_of_what_realloc_left, HERE("read of 1", sanitize_use_of_what_realloc_left))
{
    volatile char *object = begin(100);
    EXPECT(bh_realloc((void *)(uintptr_t)object, 5000) != NULL);
    (void)object[0]; /* REPORTED */
}

TEST_PANICS(sanitize_use_of_what_realloc_cut_off,
            HERE("read of 1", sanitize_use_of_what_realloc_cut_off))
{
    volatile char *object = begin(100);
    EXPECT(bh_realloc((void *)(uintptr_t)object, 90) == object);
    (void)object[95]; /* REPORTED */
}

TEST_PANICS(sanitize_clearing_too_much, REPORT("write of *", "memset"))
{
    volatile char *object = begin(100);
    memset((void *)(uintptr_t)object, 0, 101);     /* REPORTED */
    harness_note("%p", (void *)(uintptr_t)object); /* or the call above is a jump, with no frame */
}

TEST_PANICS(sanitize_use_of_what_was_given_to_gc_free,
            HERE("read of 1", sanitize_use_of_what_was_given_to_gc_free))
{
    give_back(begin(100));
    volatile char *object = bh_gc_alloc(100);
    bh_gc_free((void *)(uintptr_t)object);
    (void)object[0]; /* REPORTED */
}

/* The collector does not see an address that is kept inverted. */
static __attribute__((noinline)) uintptr_t hide_one(void)
{
    uintptr_t hidden = 0;
    for (unsigned i = 0; i < 100; i++)
        hidden = i == 50 ? ~(uintptr_t)bh_gc_alloc(200) : (bh_gc_alloc(200), hidden);
    return hidden;
}

TEST_PANICS(sanitize_use_of_what_was_collected,
            HERE("read of 1", sanitize_use_of_what_was_collected))
{
    give_back(begin(100));
    uintptr_t hidden = hide_one();
    EXPECT(bh_gc_collect());
    while (bh_gc_work(1000)) {
    }
    (void)*(volatile char *)~hidden; /* REPORTED */
}
