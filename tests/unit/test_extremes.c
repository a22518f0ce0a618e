/* SPDX-License-Identifier: MIT */
/*
 * Heaps that are full of one thing, and heaps as small as they get: what of them is metadata, and
 * that every core can work with what is left. A heap of 64 GiB: tests/host/resident.c; regions of
 * odd sizes: test_region.c.
 */
#include "alloc/page_heap.h"
#include "alloc/redzone.h"
#include "alloc/types.h"
#include "tests/unit/heap_test.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* ---- metadata: 1.6 % of the memory managed ---- */

/* Fills the heap with objects of `bytes`, in a chain, so that they can be freed. Returns the chain.
 */
static void **fill_heap(size_t bytes)
{
    void **chain = NULL;
    for (void **object; (object = bh_malloc(bytes)); chain = object)
        *object = chain;
    return chain;
}

static void free_chain(void **chain)
{
    while (chain) {
        void **next = *chain;
        bh_free(chain);
        chain = next;
    }
}

/*
 * A record and the map are 65 bytes per page of 8 KiB, 0.8 %. Bitmaps come on top: 0.8 % when all
 * objects are of 16 bytes, less for others.
 */
static void expect_metadata(size_t bytes, size_t heap_bytes, size_t per_mille)
{
    void **chain = fill_heap(bytes);
    struct bh_stats stats;
    bh_get_stats(&stats);
    harness_note("objects of %zu bytes: %zu of %zu KiB are metadata", bytes,
                 stats.metadata_bytes / KIB, stats.region_bytes / KIB);
    EXPECT_EQ(stats.region_bytes, heap_bytes);
    EXPECT(stats.metadata_bytes * 1000 <= heap_bytes * per_mille);
    EXPECT(stats.manual_objects * size_classes[size_class_for(bytes)].object_bytes >=
           heap_bytes / 100 * 97);
    free_chain(chain);
}

static bool is_plain(void)
{
    bool plain = !REDZONE && !BH_HARDEN;
    if (!plain)
        harness_skip("objects have red zones or states here");
    return plain;
}

TEST_ALONE(extremes_metadata_of_16_byte_objects)
{
    if (!is_plain())
        return;
    heap_test_init(64 * MIB);
    expect_metadata(16, 64 * MIB, 16);
}

TEST_ALONE(extremes_metadata_of_larger_objects)
{
    if (!is_plain())
        return;
    heap_test_init(32 * MIB);
    for (size_t bytes = 2048; bytes >= 32; bytes /= 4) /* cells are kept: from few bits to many */
        expect_metadata(bytes, 32 * MIB, 13);
}

/* The smallest objects there are, which BH_MIN_ALIGN makes an exception to the rule, or not. */
TEST_ALONE(extremes_metadata_of_8_byte_objects)
{
    if (!is_plain())
        return;
    heap_test_init(64 * MIB);
    expect_metadata(8, 64 * MIB, BH_MIN_ALIGN > 8 ? 16 : 25);
}

/* ---- as small as it gets ---- */

#define SLOTS 8

static void work(void *arg)
{
    static struct heap_test_object slots[BH_MAX_CORES][SLOTS];
    struct heap_test_object *mine = slots[bh_port_core()];
    size_t *served = arg;
    size_t count = 0;
    for (unsigned i = 0; i < 300; i++) {
        struct heap_test_object *slot = &mine[harness_random_below(SLOTS)];
        if (slot->address)
            heap_test_free(slot);
        else
            count += heap_test_alloc(slot, harness_random_below(200));
    }
    heap_test_free_all(mine, SLOTS);
    atomic_add_relaxed(served, count); /* a sum for when all are back */
}

/* The least that bh_init() takes, and some more; with as many cores as the board has. */
TEST_ALONE(extremes_64_kib_for_all_cores)
{
    size_t served = 0;
    heap_test_init(64 * KIB);
    for (unsigned round = 0; round < 5; round++) {
        served = 0;
        heap_test_on_all_cores(work, &served);
        bh_heap_verify();
    }
    harness_note("%u cores were served %zu objects", board_cores(), served);
    EXPECT(served >= (size_t)50 * board_cores());
    struct bh_stats stats = heap_test_stats();
    EXPECT_EQ(stats.manual_objects, 0);
    EXPECT_EQ(stats.heap_bytes, 0);
}

/* What small heaps lose is the rest of a page at the end, and cells. */
TEST_ALONE(extremes_32_kib)
{
    heap_test_init(32 * KIB);
    void *object = bh_malloc(PAGE_BYTES - REDZONE_BYTES);
    EXPECT(object);
    void **chain = fill_heap(64);
    EXPECT(chain);
    EXPECT(!bh_malloc(PAGE_BYTES));
    free_chain(chain);
    bh_free(object);
    bh_heap_verify();
    EXPECT_EQ(heap_test_stats().heap_bytes, 0);
}
