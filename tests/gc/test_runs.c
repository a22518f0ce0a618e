/* SPDX-License-Identifier: MIT */
/* walk_each_run(): every page of the regions once; and arrays of a type without pointers. */
#include "alloc/walk.h"
#include "kernel-lib/memory.h"
#include "tests/gc/gc_test.h"

struct tally {
    size_t bytes; /* of all runs */
    size_t free_pages;
    size_t unbacked_pages;
    size_t wrong; /* runs that say what cannot be */
};

static void count_run(const struct walk_run *run, void *arg)
{
    struct tally *tally = arg;
    bool in_region = run->base >= run->region_base &&
                     run->base + run->pages * PAGE_BYTES <= run->region_base + run->region_bytes;
    tally->wrong += !in_region || run->unbacked_pages > run->pages ||
                    (run->is_free && run->span != NULL) ||
                    (run->unbacked_pages != 0 && !run->is_free);
    tally->bytes += run->pages * PAGE_BYTES;
    tally->free_pages += run->is_free ? run->pages : 0;
    tally->unbacked_pages += run->unbacked_pages;
}

TEST(walk_shows_every_run)
{
    enum { BYTES = 1 << 20 };
    struct tally before = {0};
    struct tally after = {0};
    test_begin();
    void *object = bh_malloc(BYTES);
    REQUIRE(object != NULL);
    memset(object, 1, BYTES);
    walk_each_run(count_run, &before);
    bh_free(object);
    EXPECT(bh_release_pages() > 0);
    walk_each_run(count_run, &after);
    EXPECT_EQ(before.wrong + after.wrong, 0);
    EXPECT_EQ(before.bytes, after.bytes);
    EXPECT(after.bytes <= walk_region_bytes() && after.bytes > walk_region_bytes() / 2);
    EXPECT(after.free_pages >= after.unbacked_pages);
    EXPECT(after.unbacked_pages >= before.unbacked_pages);
}

struct numbers {
    uintptr_t words[3];
};
static BH_GC_TYPE(numbers_type, struct numbers, 0);

TEST(gc_arrays_of_a_type_without_pointers_hold_nothing)
{
    enum { COUNT = 200 };
    uint64_t magic = test_magic();
    test_begin();
    struct numbers *volatile numbers = bh_gc_alloc_typed_array(&numbers_type, COUNT);
    REQUIRE(numbers != NULL);
    for (size_t i = 0; i < COUNT; i++)
        numbers[i].words[1] = (uintptr_t)test_node(magic, i);
    test_collect();
    EXPECT(test_count(magic) <= TEST_LEFTOVERS);
}
