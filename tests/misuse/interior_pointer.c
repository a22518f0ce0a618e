/* SPDX-License-Identifier: MIT */
/* Pointers into an object, not to its first byte. */
#include "tests/harness/harness.h"
#include "tests/misuse/misuse.h"
#include <bareheap/bareheap.h>

TEST_PANICS(misuse_free_inside_a_small_object,
            "bh_free(0x*): inside an object: byte 8 of " OBJECT_100 "; " FOUND)
{
    harness_heap();
    char *object = bh_malloc(100);
    bh_free(object + 8);
    bh_release_pages();
}

TEST_PANICS(
    misuse_free_inside_a_large_object,
    "bh_free(0x*): inside an object: byte 16 of the large object 0x* (106496 bytes, manual);"
    " " CALLER)
{
    harness_heap();
    char *object = bh_malloc(100000);
    bh_free(object + 16);
    bh_release_pages();
}

TEST_PANICS(misuse_free_of_a_page_inside_a_large_object,
            "bh_free(0x*): inside an object: byte 8192 of the large object 0x* (106496 bytes,"
            " manual); " CALLER)
{
    harness_heap();
    char *object = bh_malloc(100000);
    bh_free(object + 8192);
    bh_release_pages();
}

TEST_PANICS(misuse_realloc_inside_an_object,
            "bh_realloc(0x*): inside an object: byte 8 of " OBJECT_100 "; " CALLER)
{
    harness_heap();
    char *object = bh_malloc(100);
    void *moved = bh_realloc(object + 8, 50);
    bh_free(moved);
}

TEST_PANICS(misuse_usable_size_behind_the_last_object,
            "bh_usable_size(0x*): inside an object: behind the last object of the manual span 0x*,"
            " class *; " CALLER)
{
    harness_heap();
    uintptr_t object = (uintptr_t)bh_malloc(96); /* of 96, 112 or 144 bytes: 16 are left over */
    EXPECT(bh_usable_size((void *)((object | 8191) - 7)) == 0);
}

TEST_PANICS(
    misuse_gc_free_inside_an_object,
    "bh_gc_free(0x*): inside an object: byte 8 of object * (0x*, 112 bytes) of the scan span"
    " 0x*, class 8; " CALLER)
{
    harness_heap();
    char *object = bh_gc_alloc(100);
    bh_gc_free(object + 8);
    bh_release_pages();
}
