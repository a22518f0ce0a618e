/* SPDX-License-Identifier: MIT */
/* bh_realloc(): where it stays, where it moves, and that the contents come along. */
#include "alloc/page_heap.h"
#include "alloc/redzone.h"
#include "alloc/types.h"
#include "tests/unit/heap_test.h"

/* The largest request that a class has room for. */
static size_t request_of(unsigned size_class)
{
    return size_classes[size_class].object_bytes - REDZONE_BYTES;
}

TEST(realloc_of_null_allocates)
{
    harness_heap();
    char *object = bh_realloc(NULL, 100);
    REQUIRE(object);
    heap_test_fill(object, 100, 1);
    bh_free(object);
    object = bh_realloc(NULL, 0);
    EXPECT(object);
    bh_free(object);
}

/* Does not free: what comes back is an object like that of bh_malloc(0). */
TEST(realloc_to_nothing_keeps_an_object)
{
    harness_heap();
    void *object = bh_malloc(1000);
    object = bh_realloc(object, 0);
    REQUIRE(object);
    EXPECT_EQ(heap_test_stats().manual_objects, 1);
    bh_free(object);
    EXPECT_EQ(heap_test_stats().manual_objects, 0);
    bh_heap_verify();
}

TEST(realloc_stays_while_the_class_is_the_same)
{
    harness_heap();
    for (unsigned i = 10; i + 1 < SIZE_CLASS_COUNT; i++) {
        char *object = bh_malloc(request_of(i));
        REQUIRE(object);
        heap_test_fill(object, 64, i);
        EXPECT(bh_realloc(object, request_of(i - 1) + 1) == object);
        EXPECT(bh_realloc(object, request_of(i)) == object);
        EXPECT(heap_test_is_filled(object, 64, i));
        char *moved = bh_realloc(object, request_of(i) + 1);
        EXPECT(moved && moved != object);
        EXPECT(heap_test_is_filled(moved, 64, i));
        bh_free(moved);
    }
    bh_heap_verify();
}

/* Half an object of waste is the most that a program keeps by shrinking. */
TEST(realloc_moves_when_more_than_half_is_waste)
{
    harness_heap();
    char *object = bh_malloc(2048 - REDZONE_BYTES);
    REQUIRE(object);
    heap_test_fill(object, 512, 3);
    EXPECT(bh_realloc(object, 1200) == object);
    char *moved = bh_realloc(object, 512);
    EXPECT(moved && moved != object);
    EXPECT(heap_test_is_filled(moved, 512, 3));
    EXPECT(bh_usable_size(moved) < 1024);
    bh_free(moved);
}

/* ---- large objects: a heap of one's own says where the neighbours are ---- */

TEST_ALONE(realloc_of_a_large_object_in_place)
{
    heap_test_init((size_t)8 << 20);
    size_t step_bytes = 10 * PAGE_BYTES;
    char *object = bh_malloc(step_bytes);
    REQUIRE(object);
    size_t bytes = step_bytes;
    heap_test_fill(object, bytes, 9);
    for (; bytes < 60 * step_bytes; bytes += step_bytes) { /* the rest of the heap is free */
        EXPECT(bh_realloc(object, bytes + step_bytes) == object);
        EXPECT(heap_test_is_filled(object, step_bytes, 9));
    }
    bh_heap_verify();
    EXPECT(bh_realloc(object, step_bytes) == object);
    EXPECT(bh_usable_size(object) >= step_bytes && bh_usable_size(object) < 2 * step_bytes);
    EXPECT_EQ(heap_test_stats().manual_bytes,
              bits_round_up(step_bytes + REDZONE_BYTES, PAGE_BYTES));
    bh_heap_verify();
    EXPECT(heap_test_is_filled(object, step_bytes, 9));
    bh_free(object);
    EXPECT_EQ(heap_test_stats().heap_bytes, 0);
}

TEST_ALONE(realloc_grows_into_a_gap_and_not_beyond)
{
    heap_test_init((size_t)8 << 20);
    char *object = bh_malloc(20 * PAGE_BYTES - REDZONE_BYTES);
    char *gap = bh_malloc(10 * PAGE_BYTES - REDZONE_BYTES);
    char *wall = bh_malloc(10 * PAGE_BYTES - REDZONE_BYTES);
    REQUIRE(object && gap && wall);
    EXPECT(gap == object + 20 * PAGE_BYTES + HEAP_TEST_GUARD_BYTES);
    EXPECT(wall == gap + 10 * PAGE_BYTES + HEAP_TEST_GUARD_BYTES);
    heap_test_fill(object, 20 * PAGE_BYTES - REDZONE_BYTES, 5);
    heap_test_fill(wall, 10 * PAGE_BYTES - REDZONE_BYTES, 6);
    bh_free(gap);
    heap_test_drain_large();
    EXPECT(bh_realloc(object, 23 * PAGE_BYTES - REDZONE_BYTES) == object);
    bh_heap_verify();
    size_t most = 30 * PAGE_BYTES + HEAP_TEST_GUARD_BYTES; /* the gap's guards too */
    EXPECT(bh_realloc(object, most - REDZONE_BYTES) == object);
    bh_heap_verify();
    char *moved = bh_realloc(object, most + PAGE_BYTES - REDZONE_BYTES);
    EXPECT(moved && moved != object);
    EXPECT(heap_test_is_filled(moved, 20 * PAGE_BYTES - REDZONE_BYTES, 5));
    EXPECT(heap_test_is_filled(wall, 10 * PAGE_BYTES - REDZONE_BYTES, 6));
    bh_free(moved);
    bh_free(wall);
    EXPECT_EQ(heap_test_stats().heap_bytes, 0);
    bh_heap_verify();
}

TEST(realloc_from_large_to_small_and_back)
{
    harness_heap();
    char *object = bh_malloc(200000);
    REQUIRE(object);
    heap_test_fill(object, 200000, 11);
    object = bh_realloc(object, 24);
    REQUIRE(object);
    EXPECT(heap_test_is_filled(object, 24, 11));
    object = bh_realloc(object, 200000);
    REQUIRE(object);
    EXPECT(heap_test_is_filled(object, 24, 11));
    bh_free(object);
    bh_heap_verify();
}

TEST(realloc_that_fails_leaves_the_object)
{
    harness_heap();
    static const size_t absurd[] = {SIZE_MAX, PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1,
                                    SIZE_MAX - PAGE_BYTES, (size_t)1 << 45};
    static const size_t sizes[] = {20, 5000, 100000};
    for (size_t i = 0; i < 3; i++) {
        char *object = bh_malloc(sizes[i]);
        REQUIRE(object);
        heap_test_fill(object, sizes[i], i);
        for (size_t j = 0; j < sizeof(absurd) / sizeof(absurd[0]); j++)
            EXPECT(!bh_realloc(object, absurd[j]));
        EXPECT(heap_test_is_filled(object, sizes[i], i));
        EXPECT(bh_usable_size(object) >= sizes[i]);
        bh_free(object);
    }
    bh_heap_verify();
}

TEST(realloc_at_random)
{
    static struct heap_test_object slots[40];
    harness_heap();
    for (unsigned i = 0; i < 1500; i++) {
        struct heap_test_object *slot = &slots[harness_random_below(40)];
        size_t bytes = heap_test_size(300000);
        if (slot->address)
            heap_test_realloc(slot, bytes);
        else
            heap_test_alloc(slot, bytes);
    }
    bh_heap_verify();
    heap_test_free_all(slots, 40);
    bh_heap_verify();
}

static bool refuse_all(size_t pages)
{
    (void)pages;
    return true;
}

/* Making an object smaller cannot fail: without memory for a move it stays where it is. */
TEST(realloc_shrinks_without_memory)
{
    harness_heap();
    unsigned char *large = bh_malloc(100000);
    unsigned char *small = bh_malloc(30000);
    REQUIRE(large && small);
    large[4999] = 1;
    small[99] = 2;
    page_heap_fault_hook = refuse_all;
    large = bh_realloc(large, 5000);
    small = bh_realloc(small, 100);
    page_heap_fault_hook = NULL;
    REQUIRE(large && small);
    EXPECT(large[4999] == 1 && small[99] == 2);
    bh_free(large);
    bh_free(small);
    bh_heap_verify();
}
