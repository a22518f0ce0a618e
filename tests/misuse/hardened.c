/* SPDX-License-Identifier: MIT */
/*
 * What a hardened build sees beside wrong frees: writes to what is free, caches and records that
 * were written over, use of what is free. With red zones the writes are theirs (overrun.c).
 */
#include "alloc/cache.h"
#include "alloc/page_heap.h"
#include "kernel-lib/memory.h"
#include "tests/harness/harness.h"
#include "tests/misuse/misuse.h"
#include <bareheap/bareheap.h>

#if BH_HARDEN && !REDZONE

static void use_after_free(size_t bytes, size_t offset)
{
    harness_heap();
    char *object = bh_malloc(bytes);
    bh_free(object);
    object[offset] = 1;
    bh_free(bh_malloc(bytes));
}

TEST_PANICS(misuse_write_after_free,
            "bh_malloc: free object 0x* (112 bytes) was written to: byte 5 is 0x01")
{
    use_after_free(100, 5);
}

TEST_PANICS(misuse_write_after_free_at_the_end,
            "bh_malloc: free object 0x* (112 bytes) was written to: byte 111 is 0x01")
{
    use_after_free(100, 111);
}

TEST_PANICS(misuse_write_after_free_to_the_smallest,
            "bh_malloc: free object 0x* (16 bytes) was written to: byte 15 is 0x01")
{
    use_after_free(1, 15);
}

TEST_PANICS(misuse_write_after_free_to_the_head_of_a_long_one,
            "bh_malloc: free object 0x* (4096 bytes) was written to: byte 47 is 0x01")
{
    use_after_free(4096, 47);
}

TEST_PANICS(misuse_write_after_free_to_the_tail_of_a_long_one,
            "bh_malloc: free object 0x* (4096 bytes) was written to: byte 4080 is 0x01")
{
    use_after_free(4096, 4096 - 16);
}

TEST_PANICS(misuse_write_after_free_to_a_large_one,
            "bh_malloc: free object 0x* (106496 bytes) was written to: byte 63 is 0x01")
{
    use_after_free(100000, 63);
}

TEST_PANICS(misuse_write_after_free_to_a_large_one_that_is_not_used_again,
            "bh_malloc: free object 0x* (106496 bytes) was written to: byte 0 is 0x01")
{
    harness_heap();
    char *object = bh_malloc(100000);
    bh_free(object);
    object[0] = 1;
    bh_release_pages();
}

TEST_PANICS(misuse_realloc_after_free,
            "bh_realloc(0x*): freed already: byte 0 of " OBJECT_100 "; " CALLER)
{
    harness_heap();
    char *object = bh_malloc(100);
    bh_free(object);
    object = bh_realloc(object, 101);
    bh_free(object);
}

TEST_PANICS(misuse_usable_size_after_free,
            "bh_usable_size(0x*): freed already: byte 0 of " OBJECT_100 "; " CALLER)
{
    harness_heap();
    char *object = bh_malloc(100);
    bh_free(object);
    EXPECT(bh_usable_size(object) == 0);
}

TEST_PANICS(misuse_free_with_too_large_a_size,
            "bh_free_sized(0x*): more than the object's room: byte 0 of " OBJECT_100 "; " CALLER)
{
    harness_heap();
    bh_free_sized(bh_malloc(100), 113);
    bh_release_pages();
}

/* Writes `pointer` over the object that this core's bin for `object` hands out next. */
static void overwrite_bin(const void *object, void *pointer)
{
    unsigned size_class = pagemap_class((uintptr_t)object);
    *core_caches[bh_port_core()]->bins.top[size_class] = pointer;
}

TEST_PANICS(misuse_overwritten_cache,
            "[ALLOC-6] bh_malloc: a cache of class 8 was overwritten: it has 0x*: byte 0 of object"
            " * (0x*, 48 bytes) of the manual span 0x*, class 4")
{
    harness_heap();
    void *object = bh_malloc(100);
    overwrite_bin(object, bh_malloc(48));
    bh_free(bh_malloc(100));
}

TEST_PANICS(misuse_overwritten_cache_with_an_interior_pointer,
            "[ALLOC-6] bh_malloc: a cache of class 8 was overwritten: it has 0x*: byte 1 of *"
            " * (0x*, 112 bytes) of the manual span 0x*, class 8")
{
    harness_heap();
    char *object = bh_malloc(100);
    overwrite_bin(object, object + 1);
    bh_free(bh_malloc(100));
}

/* What two cores that free one object in the same few instructions may leave behind. */
TEST_PANICS(misuse_object_twice_in_a_cache,
            "bh_malloc: free object 0x* is handed out already: freed twice at the same time, or a"
            " cache was overwritten: byte 0 of " OBJECT_100)
{
    harness_heap();
    void *object = bh_malloc(100);
    overwrite_bin(object, object);
    bh_free(bh_malloc(100));
}

#define RECORD "[ALLOC-14] the record at 0x* was overwritten: span 0x*, class *, * bytes"

TEST_PANICS(misuse_overwritten_record, RECORD)
{
    harness_heap();
    void *object = bh_malloc(100);
    pagemap_span((uintptr_t)object)->base += 112;
    bh_free(object);
    bh_release_pages();
}

TEST_PANICS(misuse_overwritten_record_whole, RECORD)
{
    harness_heap();
    void *object = bh_malloc(100);
    memset(pagemap_span((uintptr_t)object), 0x41, sizeof(struct bh_span));
    bh_free(object);
    bh_release_pages();
}

TEST_PANICS(misuse_overwritten_record_found_by_a_refill, RECORD)
{
    void *objects[200];
    harness_heap();
    objects[0] = bh_malloc(100);
    pagemap_span((uintptr_t)objects[0])->objs++;
    for (unsigned i = 1; i < 200; i++)
        objects[i] = bh_malloc(100);
    bh_free(objects[199]);
}

TEST_PANICS(misuse_overwritten_record_of_a_large_object, RECORD)
{
    harness_heap();
    void *object = bh_malloc(100000);
    pagemap_span((uintptr_t)object)->pages++;
    bh_free(object);
    bh_release_pages();
}

TEST_PANICS(misuse_overwritten_record_of_a_collected_object, RECORD)
{
    harness_heap();
    void *object = bh_gc_alloc(100);
    pagemap_span((uintptr_t)object)->bits++;
    bh_gc_free(object);
    bh_release_pages();
}

TEST_PANICS(misuse_free_of_a_guard_page,
            "bh_free(0x*): not an allocated object: in a guard page of the heap; " CALLER)
{
    harness_heap();
    char *object = bh_malloc(100000);
    bh_free(object - 16);
    bh_release_pages();
}

/* Guard pages: the accesses before it, to the object's own first and last byte, are no fault. */

static void write_behind(char *object)
{
    volatile char *last = object + bh_usable_size(object) - 1;
    *last = 1;
    harness_fault_at(last + 1);
    last[1] = 1;
}

TEST_FAULTS(misuse_write_behind_a_large_object)
{
    harness_heap();
    write_behind(bh_malloc(100000));
}

TEST_FAULTS(misuse_write_behind_a_large_object_that_shrank)
{
    harness_heap();
    write_behind(bh_realloc(bh_malloc(1000000), 100000));
}

TEST_FAULTS(misuse_read_before_a_large_object)
{
    harness_heap();
    volatile char *object = bh_malloc(100000);
    object[0] = 1;
    harness_fault_at(object - 1);
    EXPECT(object[-1] == 0);
}

#endif
