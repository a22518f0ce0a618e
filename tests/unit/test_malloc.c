/* SPDX-License-Identifier: MIT */
/* The front door, function by function, against what <bareheap/alloc.h> says. */
#include "alloc/room.h"
#include "alloc/types.h"
#include "kernel-lib/memory.h"
#include "kernel-lib/string.h"
#include "tests/unit/heap_test.h"

#define SLOTS 500

static struct heap_test_object slots[SLOTS];

/* Failures are counted; returns how many came since the last call. */
static uint64_t new_failures(void)
{
    static uint64_t seen;
    uint64_t before = seen;
    seen = room_failures();
    return seen - before;
}

TEST(malloc_answers_every_size)
{
    harness_heap();
    for (size_t bytes = 0; bytes < 70000; bytes = bytes < 300 ? bytes + 1 : bytes * 9 / 8) {
        struct heap_test_object slot;
        REQUIRE(heap_test_alloc(&slot, bytes));
        heap_test_free(&slot);
    }
    bh_heap_verify();
}

TEST(malloc_of_nothing_is_an_object)
{
    harness_heap();
    char *a = bh_malloc(0);
    char *b = bh_malloc(0);
    char *c = bh_calloc(0, 5);
    char *d = bh_calloc(5, 0);
    EXPECT(a && b && c && d && a != b && c != d && a != c);
    bh_free(a);
    bh_free(b);
    bh_free(c);
    bh_free(d);
}

TEST(malloc_refuses_absurd_sizes)
{
    harness_heap();
    new_failures();
    EXPECT(!bh_malloc(SIZE_MAX));
    EXPECT(!bh_malloc((size_t)PTRDIFF_MAX + 1));
    EXPECT(!bh_malloc(PTRDIFF_MAX));
    EXPECT(!bh_malloc(SIZE_MAX - 4096));
    EXPECT(!bh_malloc((size_t)1 << 46));
    EXPECT_EQ(new_failures(), 5);
    bh_heap_verify();
}

TEST(calloc_refuses_products_that_wrap)
{
    harness_heap();
    new_failures();
    EXPECT(!bh_calloc(SIZE_MAX, 2));
    EXPECT(!bh_calloc((size_t)1 << 33, (size_t)1 << 33));
    EXPECT(!bh_calloc(SIZE_MAX / 2 + 1, 2)); /* wraps to exactly 0 */
    EXPECT(!bh_calloc(1, SIZE_MAX));
    EXPECT_EQ(new_failures(), 4);
}

/* Memory that was in use before, of every size that has a path of its own. */
TEST(calloc_clears_what_was_dirty)
{
    static const size_t sizes[] = {1, 8, 100, 1000, 5000, 32768, 40000, 300000};
    harness_heap();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *dirty = bh_malloc(sizes[i]);
        REQUIRE(dirty);
        memset(dirty, 0xa5, sizes[i]);
        bh_free(dirty);
        char *clear = bh_calloc(sizes[i], 1);
        REQUIRE(clear);
        EXPECT(memory_is_filled(clear, 0, sizes[i]));
        memset(clear, 0x5a, sizes[i]);
        bh_free(clear);
    }
}

/* Pages that the kernel took away and gave back are zero or what they were; calloc must not tell.
 */
TEST(calloc_clears_released_pages)
{
    harness_heap();
    for (unsigned round = 0; round < 4; round++) {
        char *object = bh_calloc(1, 100000);
        REQUIRE(object);
        EXPECT(memory_is_filled(object, 0, 100000));
        memset(object, 0xff, 100000);
        bh_free(object);
        if (round % 2)
            bh_release_pages();
    }
    bh_heap_verify();
}

TEST(free_of_null_does_nothing)
{
    bh_free(NULL);
    bh_free_sized(NULL, 8);
    EXPECT_EQ(bh_usable_size(NULL), 0);
}

TEST(free_sized_takes_every_size)
{
    harness_heap();
    for (size_t bytes = 0; bytes < 100000; bytes = bytes * 5 / 4 + 1) {
        void *object = bh_malloc(bytes);
        REQUIRE(object);
        bh_free_sized(object, bytes);
    }
    bh_heap_verify();
}

/* A debug build tells exactly what was asked for: the rest is red zone. */
TEST(usable_size_may_be_used)
{
    harness_heap();
    for (size_t bytes = 0; bytes < 70000; bytes = bytes * 9 / 8 + 1) {
        char *object = bh_malloc(bytes);
        REQUIRE(object);
        size_t usable = bh_usable_size(object);
        EXPECT(BH_DEBUG >= 1 ? usable == bytes : usable >= bytes);
        memset(object, 0x77, usable);
        bh_free(object);
    }
    bh_heap_verify();
}

/* ---- aligned ---- */

static void expect_aligned(size_t align, size_t bytes)
{
    char *object = bh_aligned_alloc(align, bytes);
    if (!EXPECT(object)) {
        harness_note("align %zu, %zu bytes", align, bytes);
        return;
    }
    EXPECT_EQ((uintptr_t)object & (align - 1), 0);
    EXPECT(bh_usable_size(object) >= bytes);
    heap_test_fill(object, bytes, align);
    EXPECT(heap_test_is_filled(object, bytes, align));
    bh_free(object);
}

TEST(aligned_alloc_to_every_power_of_two)
{
    static const size_t sizes[] = {0, 1, 15, 64, 100, 1000, 4096, 8191, 8193, 33000, 100000};
    harness_heap();
    for (size_t align = 1; align <= (size_t)4 << 20; align *= 2)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            expect_aligned(align, sizes[i]);
    bh_heap_verify();
}

TEST(aligned_alloc_keeps_neighbours_apart)
{
    char *objects[12];
    harness_heap();
    for (size_t i = 0; i < 12; i++) {
        objects[i] = bh_aligned_alloc((size_t)1 << (i + 3), 200);
        REQUIRE(objects[i]);
        heap_test_fill(objects[i], 200, i);
    }
    for (size_t i = 0; i < 12; i++) {
        EXPECT(heap_test_is_filled(objects[i], 200, i));
        bh_free(objects[i]);
    }
    bh_heap_verify();
}

TEST(aligned_alloc_refuses_what_is_no_alignment)
{
    harness_heap();
    new_failures();
    EXPECT(!bh_aligned_alloc(0, 64));
    EXPECT(!bh_aligned_alloc(3, 64));
    EXPECT(!bh_aligned_alloc(96, 64));
    EXPECT(!bh_aligned_alloc(SIZE_MAX, 64));
    EXPECT(!bh_aligned_alloc((size_t)1 << 63, 64));
    EXPECT(!bh_aligned_alloc((size_t)1 << 62, 64));
    EXPECT(!bh_aligned_alloc(64, SIZE_MAX));
    EXPECT(!bh_aligned_alloc(64, SIZE_MAX - 63));
    EXPECT(!bh_aligned_alloc((size_t)1 << 40, PTRDIFF_MAX));
    EXPECT_EQ(new_failures(), 9);
    bh_heap_verify();
}

/* ---- everything together ---- */

TEST(malloc_agrees_with_an_oracle)
{
    harness_heap();
    for (unsigned i = 0; i < 6000; i++) {
        heap_test_step(slots, SLOTS, 100000);
        if (i % 500 == 0)
            bh_heap_verify();
        if (i % 1700 == 0)
            bh_release_pages();
    }
    heap_test_free_all(slots, SLOTS);
    bh_heap_verify();
    EXPECT_EQ(heap_test_stats().manual_objects, 0);
}

/* Nothing is ours, and nothing crashes, before the heap is there. */
TEST_ALONE(malloc_before_init_is_null)
{
    struct bh_stats stats;
    EXPECT(!bh_malloc(8));
    EXPECT(!bh_malloc(100000));
    EXPECT(!bh_calloc(1, 8));
    EXPECT(!bh_aligned_alloc(64, 64));
    EXPECT(!bh_realloc(NULL, 8));
    bh_free(NULL);
    EXPECT_EQ(bh_release_pages(), 0);
    bh_get_stats(&stats);
    EXPECT_EQ(stats.failures, 5);
    EXPECT_EQ(stats.region_bytes, 0);
    bh_heap_verify();
    harness_heap();
    void *object = bh_malloc(8);
    EXPECT(object);
    bh_free(object);
    bh_heap_verify();
}
