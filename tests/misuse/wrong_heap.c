/* SPDX-License-Identifier: MIT */
/* Manual objects given to the collector's free, and the other way round. */
#include "tests/harness/harness.h"
#include "tests/misuse/misuse.h"
#include <bareheap/bareheap.h>

#define SCAN   "byte 0 of object * (0x*, 112 bytes) of the scan span 0x*, class 8"
#define NOT_BY "a collected object: bh_gc_free() frees it: "

#define MANUAL "byte 0 of " OBJECT_100

TEST_PANICS(misuse_free_of_a_collected_object, "bh_free(0x*): " NOT_BY SCAN "; " CALLER)
{
    harness_heap();
    bh_free(bh_gc_alloc(100));
    bh_release_pages();
}

TEST_PANICS(misuse_free_of_a_large_collected_object,
            "bh_free(0x*): " NOT_BY
            "byte 0 of the large object 0x* (106496 bytes, noscan); " CALLER)
{
    harness_heap();
    bh_free(bh_gc_alloc_noscan(100000));
    bh_release_pages();
}

TEST_PANICS(misuse_realloc_of_a_collected_object, "bh_realloc(0x*): " NOT_BY SCAN "; " CALLER)
{
    harness_heap();
    void *moved = bh_realloc(bh_gc_alloc(100), 200);
    bh_free(moved);
}

TEST_PANICS(misuse_gc_free_of_a_manual_object,
            "bh_gc_free(0x*): not a collected object: " MANUAL "; " CALLER)
{
    harness_heap();
    bh_gc_free(bh_malloc(100));
    bh_release_pages();
}

TEST_PANICS(misuse_gc_free_of_a_large_manual_object,
            "bh_gc_free(0x*): not a collected object: byte 0 of the large object 0x* (106496 bytes,"
            " manual); " CALLER)
{
    harness_heap();
    bh_gc_free(bh_malloc(100000));
    bh_release_pages();
}

TEST_PANICS(misuse_gc_free_of_a_foreign_pointer,
            "bh_gc_free(0x*): not a collected object: outside the heap; " CALLER)
{
    char local[16];
    harness_heap();
    bh_gc_free(local);
    bh_release_pages();
}
