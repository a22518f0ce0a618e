/* SPDX-License-Identifier: MIT */
/*
 * What only a debug build can see: writes where nothing may be written, a wrong size. In a build
 * for a sanitizer it is the tool that reports the writes (tests/sanitize).
 */
#include "kernel-lib/memory.h"
#include "tests/harness/harness.h"
#include "tests/misuse/misuse.h"
#include <bareheap/alloc.h>

#define OBJECT "byte 0 of " OBJECT_100

#if REDZONE

TEST_PANICS(misuse_free_with_a_wrong_size,
            "bh_free_sized(0x*): not the size that was asked for: " OBJECT "; " CALLER)
{
    harness_heap();
    bh_free_sized(bh_malloc(100), 101);
    bh_release_pages();
}

#endif

#if BH_DEBUG >= 1 && !BH_SANITIZE

TEST_PANICS(misuse_write_past_the_end,
            "bh_free(0x*): written past its end (100 bytes): byte 100 is 0x01: " OBJECT "; " CALLER)
{
    harness_heap();
    char *object = bh_malloc(100);
    object[100] = 1;
    bh_free(object);
    bh_release_pages();
}

TEST_PANICS(misuse_write_far_past_the_end,
            "bh_free(0x*): written past its end: its last word is not ours: " OBJECT "; " CALLER)
{
    harness_heap();
    char *object = bh_malloc(100);
    memset(object, 0, REDZONE_CALLS ? 160 : 128); /* all of its room */
    bh_free(object);
    bh_release_pages();
}

TEST_PANICS(misuse_write_past_the_end_of_a_large_object,
            "bh_free(0x*): written past its end (100000 bytes): byte 100003 is 0x01: byte 0 of the"
            " large object 0x* (106496 bytes, manual); " CALLER)
{
    harness_heap();
    char *object = bh_malloc(100000);
    object[100003] = 1;
    bh_free(object);
    bh_release_pages();
}

TEST_PANICS(misuse_write_past_the_end_seen_by_realloc,
            "bh_realloc(0x*): written past its end (100 bytes): byte 107 is 0x00: " OBJECT
            "; " CALLER)
{
    harness_heap();
    char *object = bh_malloc(100);
    object[107] = 0;
    object = bh_realloc(object, 104);
    bh_free(object);
}

TEST_PANICS(misuse_write_past_the_end_after_realloc,
            "bh_free(0x*): written past its end (90 bytes): byte 90 is 0x01: " OBJECT "; " CALLER)
{
    harness_heap();
    char *object = bh_realloc(bh_malloc(100), 90);
    object[90] = 1;
    bh_free(object);
    bh_release_pages();
}

TEST_PANICS(misuse_realloc_after_free, "bh_realloc(0x*): freed already: " OBJECT "; " CALLER)
{
    harness_heap();
    char *object = bh_malloc(100);
    bh_free(object);
    object = bh_realloc(object, 101);
    bh_free(object);
}

#endif

#if BH_DEBUG >= 2 && !BH_SANITIZE

TEST_PANICS(misuse_write_after_free,
            "bh_malloc: free object 0x* (160 bytes) was written to: byte 5 is 0x01")
{
    harness_heap();
    char *object = bh_malloc(100);
    bh_free(object);
    object[5] = 1;
    bh_free(bh_malloc(100));
}

TEST_PANICS(misuse_write_after_free_at_the_end,
            "bh_malloc: free object 0x* (160 bytes) was written to: its last word")
{
    harness_heap();
    char *object = bh_malloc(100);
    bh_free(object);
    object[159] = 1;
    bh_free(bh_malloc(100));
}

#endif
