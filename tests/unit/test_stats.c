/* SPDX-License-Identifier: MIT */
/* struct bh_stats: its equations hold at any time, its figures are right when it is quiet. */
#include "alloc/poison.h"
#include "alloc/redzone.h"
#include "alloc/types.h"
#include "kernel-lib/memory.h"
#include "kernel-lib/string.h"
#include "tests/unit/heap_test.h"
#include <bareheap/gc.h>

#define MIB ((size_t)1 << 20)

static void expect_equations(void)
{
    struct bh_stats s;
    bh_get_stats(&s);
    EXPECT_EQ(s.region_bytes, s.metadata_bytes + s.heap_bytes + s.free_page_bytes);
    EXPECT(s.heap_bytes >= s.manual_bytes + s.cached_bytes + s.collected_bytes);
    EXPECT(s.heap_peak_bytes >= s.heap_bytes);
    EXPECT(s.free_page_bytes >= s.largest_run_bytes);
    EXPECT(s.free_page_bytes >= s.released_bytes);
}

TEST(stats_equations_hold_throughout)
{
    static struct heap_test_object slots[200];
    harness_heap();
    for (unsigned i = 0; i < 2000; i++) {
        heap_test_step(slots, 200, 60000);
        if (i % 32 == 0)
            expect_equations();
    }
    heap_test_free_all(slots, 200);
    expect_equations();
    bh_release_pages();
    expect_equations();
}

TEST_ALONE(stats_of_a_fresh_heap)
{
    heap_test_init(16 * MIB);
    struct bh_stats s;
    bh_get_stats(&s);
    EXPECT_EQ(s.region_bytes, 16 * MIB);
    EXPECT_EQ(s.heap_bytes, 0);
    EXPECT_EQ(s.heap_peak_bytes, 0);
    EXPECT_EQ(s.largest_run_bytes, s.free_page_bytes);
    EXPECT_EQ(s.manual_objects + s.manual_bytes + s.cached_bytes + s.collected_bytes, 0);
    EXPECT_EQ(s.released_bytes, 0);
    EXPECT_EQ(s.failures, 0);
    expect_equations();
    EXPECT(s.metadata_bytes * 1000 <= s.region_bytes * 16); /* 1.6 % */
}

TEST_ALONE(stats_count_what_is_handed_out)
{
    heap_test_init(16 * MIB);
    void *small = bh_malloc(100);
    void *large = bh_malloc(100000);
    REQUIRE(small && large);
    struct bh_stats s = heap_test_stats();
    size_t small_bytes = size_classes[size_class_for(100 + REDZONE_BYTES)].object_bytes;
    size_t large_bytes = bits_round_up(100000 + REDZONE_BYTES, PAGE_BYTES);
    EXPECT_EQ(s.manual_objects, 2);
    EXPECT_EQ(s.manual_bytes, small_bytes + large_bytes);
    EXPECT_EQ(s.cached_bytes, 0);
    EXPECT_EQ(s.heap_bytes, PAGE_BYTES + large_bytes + HEAP_TEST_GUARD_BYTES);
    bh_free(small);
    bh_free(large);
    s = heap_test_stats();
    EXPECT_EQ(s.manual_objects, 0);
    EXPECT_EQ(s.manual_bytes, 0);
    EXPECT_EQ(s.heap_bytes, 0);
    EXPECT(s.heap_peak_bytes >= PAGE_BYTES + large_bytes);
    EXPECT(s.heap_peak_bytes <= 8 * PAGE_BYTES + large_bytes + HEAP_TEST_GUARD_BYTES);
}

/* What a core keeps for itself counts as cached, not as handed out. */
TEST_ALONE(stats_count_what_is_cached)
{
    void *objects[20];
    heap_test_init(16 * MIB);
    for (size_t i = 0; i < 20; i++)
        objects[i] = bh_malloc(200);
    for (size_t i = 0; i < 20; i++)
        bh_free(objects[i]);
    struct bh_stats s;
    bh_get_stats(&s);
    EXPECT_EQ(s.manual_objects, 0);
    EXPECT(s.cached_bytes > 0);
    EXPECT(s.heap_bytes >= s.cached_bytes);
    EXPECT_EQ(heap_test_stats().cached_bytes, 0);
}

TEST_ALONE(stats_count_collected_objects)
{
    heap_test_init(16 * MIB);
    void *small = bh_gc_alloc(100);
    void *large = bh_gc_alloc_noscan(100000);
    REQUIRE(small && large);
    expect_equations();
    struct bh_stats s = heap_test_stats();
    EXPECT(s.collected_bytes >= 100000 + 100);
    EXPECT_EQ(s.manual_objects, 0);
    bh_gc_free(large);
    bh_gc_free(small);
    expect_equations();
    bh_heap_verify();
}

TEST_ALONE(stats_peak_starts_anew)
{
    heap_test_init(16 * MIB);
    bh_free(bh_malloc(3 * MIB));
    struct bh_stats s = heap_test_stats();
    EXPECT(s.heap_peak_bytes >= 3 * MIB);
    bh_reset_peak();
    s = heap_test_stats();
    EXPECT_EQ(s.heap_peak_bytes, s.heap_bytes);
    void *object = bh_malloc(1 * MIB);
    s = heap_test_stats();
    EXPECT(s.heap_peak_bytes >= 1 * MIB && s.heap_peak_bytes < 2 * MIB);
    bh_free(object);
}

/* ---- giving pages back ---- */

TEST_ALONE(release_hands_over_every_free_page)
{
    heap_test_init(16 * MIB);
    char *object = bh_malloc(1 * MIB);
    char *behind = bh_malloc(64);
    REQUIRE(object && behind);
    memset(object, 0xee, 1 * MIB);
    bh_free(object);
    struct bh_stats before;
    bh_get_stats(&before);
    size_t bytes = bh_release_pages();
    struct bh_stats after;
    bh_get_stats(&after);
    EXPECT(bytes >= before.free_page_bytes);
    EXPECT_EQ(bytes, after.free_page_bytes);
    EXPECT_EQ(after.released_bytes, after.free_page_bytes);
    EXPECT_EQ(bh_release_pages(), 0);        /* all of it is released already */
    poison_lift((uintptr_t)object, 1 * MIB); /* a look at free memory, on purpose */
    if (string_equal(board_name(), "host"))
        EXPECT(memory_is_filled(object, 0, 1 * MIB)); /* madvise took the memory away */
    poison_lay((uintptr_t)object, 1 * MIB);
    bh_heap_verify();
    bh_free(behind);
}

/* A part that is used again counts no more, and its rest still does. */
TEST_ALONE(release_forgets_what_is_used_again)
{
    heap_test_init(16 * MIB);
    bh_release_pages();
    char *object = bh_malloc(1 * MIB);
    REQUIRE(object);
    memset(object, 1, 1 * MIB);
    expect_equations();
    struct bh_stats s;
    bh_get_stats(&s);
    EXPECT_EQ(s.released_bytes, s.free_page_bytes);
    bh_free(object);
    bh_get_stats(&s);
    size_t used = 1 * MIB + (REDZONE_BYTES ? PAGE_BYTES : 0) + HEAP_TEST_GUARD_BYTES;
    EXPECT_EQ(s.released_bytes, s.free_page_bytes - used);
    EXPECT_EQ(bh_release_pages(), s.free_page_bytes - s.released_bytes);
    bh_heap_verify();
}

TEST_ALONE(release_flushes_the_caches_first)
{
    void *objects[300];
    heap_test_init(16 * MIB);
    for (size_t i = 0; i < 300; i++)
        objects[i] = bh_malloc(500);
    for (size_t i = 0; i < 300; i++)
        bh_free(objects[i]);
    bh_release_pages();
    struct bh_stats s;
    bh_get_stats(&s);
    EXPECT_EQ(s.cached_bytes, 0);
    EXPECT_EQ(s.heap_bytes, 0);
    EXPECT_EQ(s.released_bytes, s.free_page_bytes);
}
