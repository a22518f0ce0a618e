/* SPDX-License-Identifier: MIT */
/*
 * walk_each_run() in a heap of virgin regions: which of its free pages have memory behind them.
 * What reaches the release hook of such a heap: test_scavenge.c.
 */
#include "alloc/page_heap.h"
#include "alloc/walk.h"
#include "kernel-lib/memory.h"
#include "tests/unit/heap_test.h"

#define MIB  ((size_t)1 << 20)
#define SOME 40 /* pages of a large object */

/* What a walk found. */
struct tally {
    size_t unbacked_pages;
    size_t backed_pages; /* free ones */
    size_t mixed_runs;   /* with some of both */
    bool wrong;
};

static void count_run(const struct walk_run *run, void *arg)
{
    struct tally *tally = arg;
    if (run->unbacked_pages > (run->is_free ? run->pages : 0))
        tally->wrong = true;
    if (!run->is_free)
        return;
    tally->unbacked_pages += run->unbacked_pages;
    tally->backed_pages += run->pages - run->unbacked_pages;
    tally->mixed_runs += run->unbacked_pages != 0 && run->unbacked_pages != run->pages;
}

/* The heap's own count and the walk's have to agree. */
static struct tally walk(void)
{
    struct tally tally = {0};
    struct bh_stats stats;
    walk_each_run(count_run, &tally);
    bh_get_stats(&stats);
    EXPECT(!tally.wrong);
    EXPECT_EQ(tally.unbacked_pages * PAGE_BYTES, stats.released_bytes);
    EXPECT_EQ((tally.unbacked_pages + tally.backed_pages) * PAGE_BYTES, stats.free_page_bytes);
    return tally;
}

static void start(char *ram, size_t bytes)
{
    memset(ram, 0, bytes);
    struct bh_region region = {.base = ram, .bytes = bytes, .zeroed = true, .virgin = true};
    REQUIRE(bh_init(&region, 1) == BH_OK);
}

/* Two neighbours are taken and go back: the run of both reaches into what was never touched. */
TEST_ALONE(virgin_pages_are_walked_as_unbacked)
{
    start(heap_test_ram(8 * MIB), 8 * MIB);
    size_t all = walk().unbacked_pages;
    EXPECT(all > 2 * SOME);
    EXPECT_EQ(walk().backed_pages, 0);

    struct bh_span *first = page_heap_alloc_large(SOME, 1);
    struct bh_span *second = page_heap_alloc_large(SOME, 1);
    REQUIRE(first && second);
    EXPECT_EQ(walk().unbacked_pages, all - 2 * SOME);
    REQUIRE(page_heap_free_large(first->base));
    EXPECT_EQ(walk().backed_pages, SOME);
    EXPECT_EQ(walk().mixed_runs, 0);
    REQUIRE(page_heap_free_large(second->base));
    EXPECT_EQ(walk().backed_pages, 2 * SOME);
    EXPECT_EQ(walk().mixed_runs, 1);
}

/* Pages that were handed back and pages that nobody had count once each. */
TEST_ALONE(virgin_pages_are_walked_beside_released_ones)
{
    start(heap_test_ram(8 * MIB), 8 * MIB);
    size_t all = walk().unbacked_pages;
    struct bh_span *some = page_heap_alloc_large(SOME, 1);
    REQUIRE(some && page_heap_free_large(some->base));
    EXPECT_EQ(bh_release_pages(), SOME * PAGE_BYTES);
    EXPECT_EQ(walk().unbacked_pages, all);
    EXPECT_EQ(walk().mixed_runs, 0);
}

/* Regions on both sides that are not virgin have memory behind all of their pages. */
TEST_ALONE(virgin_pages_are_those_of_the_virgin_region)
{
    char *ram = heap_test_ram(16 * MIB);
    start(ram + 4 * MIB, 8 * MIB);
    size_t all = walk().unbacked_pages;
    REQUIRE(bh_add_region(ram, 4 * MIB) == BH_OK);
    REQUIRE(bh_add_region(ram + 12 * MIB, 4 * MIB) == BH_OK);
    struct tally tally = walk();
    EXPECT(tally.unbacked_pages <= all); /* the page map may have grown */
    EXPECT(tally.backed_pages > (8 * MIB - MIB) / PAGE_BYTES);
    EXPECT_EQ(tally.mixed_runs, 0);
}
