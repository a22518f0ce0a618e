/* SPDX-License-Identifier: MIT */
/*
 * Freed twice. A plain build notices when the second pointer comes back to its span, debug and
 * hardened builds at the call. In a build for a sanitizer it is the tool that reports
 * (tests/sanitize).
 */
#include "tests/harness/harness.h"
#include "tests/misuse/misuse.h"
#include <bareheap/bareheap.h>

#if !BH_SANITIZE

TEST_PANICS(misuse_double_free, "bh_free(0x*): " TWICE ": byte 0 of " OBJECT_100 "; " FOUND)
{
    harness_heap();
    void *object = bh_malloc(100);
    bh_free(object);
    bh_free(object);
    bh_release_pages();
}

TEST_PANICS(misuse_double_free_far_apart,
            "bh_free(0x*): " TWICE ": byte 0 of " OBJECT_100 "; " FOUND)
{
    void *others[100];
    harness_heap();
    void *object = bh_malloc(100);
    void *neighbour = bh_malloc(100); /* keeps the span */
    bh_free(object);
    for (unsigned i = 0; i < 100; i++)
        others[i] = bh_malloc(100); /* one of them is `object` again, in a plain build */
    for (unsigned i = 0; i < 100; i++)
        bh_free(others[i]);
    bh_free(object);
    bh_release_pages();
    bh_free(neighbour);
}

static void free_and_flush(void *object)
{
    bh_free(object);
    bh_release_pages();
}

/* The first of the two was the last object of its span, and the span is gone. */
#if FOUND_AT_CALL
#define GONE                                                                            \
    "bh_free(0x*): freed already: byte 0 of object 0 (0x*, * bytes) of the manual span" \
    " 0x*, class *; " FOUND
#else
#define GONE "bh_free(0x*): freed twice: in free pages of the heap; " FOUND
#endif
TEST_PANICS(misuse_double_free_on_two_cores, GONE)
{
    harness_heap();
    if (board_cores() < 2) {
        harness_skip("needs two cores");
        return;
    }
    void *object = bh_malloc(5000); /* alone in its span */
    bh_free(object);
    board_start(1, free_and_flush, object);
    board_wait(1);
    bh_release_pages();
}

#endif /* !BH_SANITIZE */

TEST_PANICS(misuse_double_free_of_a_large_object,
            "bh_free(0x*): not an allocated object: in free pages of the heap; " CALLER)
{
    harness_heap();
    void *object = bh_malloc(100000);
    bh_free(object);
    bh_free(object);
    bh_release_pages();
}

TEST_PANICS(
    misuse_double_free_of_a_collected_object,
    "bh_gc_free(0x*): freed twice: byte 0 of object * (0x*, 112 bytes) of the scan span 0x*,"
    " class 8; " CALLER)
{
    harness_heap();
    void *object = bh_gc_alloc(100);
    bh_gc_free(object);
    bh_gc_free(object);
    bh_release_pages();
}
