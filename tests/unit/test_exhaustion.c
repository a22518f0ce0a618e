/* SPDX-License-Identifier: MIT */
/*
 * No memory: every n-th request for pages fails, for every n; and the heap is filled to its last
 * page with objects of every class. What fails is NULL, nothing leaks, nothing is lost.
 */
#include "alloc/page_heap.h"
#include "alloc/redzone.h"
#include "tests/unit/heap_test.h"
#include <bareheap/gc.h>

#define MIB ((size_t)1 << 20)
#define KIB ((size_t)1 << 10)

/* ---- every n-th request for pages fails ---- */

#define SLOTS     48
#define COLLECTED 8

static struct heap_test_object slots[SLOTS];
static void *collected[COLLECTED];
static size_t requests;    /* for pages, so far */
static size_t fail_from;   /* this one fails, counted from 1 */
static size_t fail_period; /* and every so many after it; 0: no other */

static bool fail_some(size_t pages)
{
    (void)pages;
    requests++;
    if (requests < fail_from)
        return false;
    return fail_period ? (requests - fail_from) % fail_period == 0 : requests == fail_from;
}

static void alloc_phase(void)
{
    static const size_t sizes[] = {8, 24, 200, 700, 2000, 5000, 9000, 20000, 30000, 40000, 150000};
    for (size_t i = 0; i < SLOTS; i++)
        heap_test_alloc(&slots[i], sizes[i % (sizeof(sizes) / sizeof(sizes[0]))]);
}

static void realloc_phase(void)
{
    for (size_t i = 0; i < SLOTS; i += 2)
        if (slots[i].address)
            heap_test_realloc(&slots[i], i % 4 ? slots[i].bytes / 3 : slots[i].bytes * 2 + 40);
}

static void aligned_phase(void)
{
    for (size_t align = 64; align <= 256 * KIB; align *= 4) {
        char *object = bh_aligned_alloc(align, 5000);
        EXPECT_EQ((uintptr_t)object & (align - 1), 0);
        bh_free(object);
    }
}

static void collected_phase(void)
{
    for (size_t i = 0; i < COLLECTED; i++) {
        size_t bytes = (size_t)40 << (2 * i % 12);
        collected[i] = i % 2 ? bh_gc_alloc(bytes) : bh_gc_alloc_noscan(bytes);
    }
}

static void free_collected(void)
{
    for (size_t i = 0; i < COLLECTED; i++) {
        bh_gc_free(collected[i]);
        collected[i] = NULL;
    }
    bh_gc_collect(); /* empties the cursors */
}

/* Everything is free again. */
static void expect_nothing_leaked(void)
{
    struct bh_stats stats = heap_test_stats();
    EXPECT_EQ(stats.manual_objects, 0);
    EXPECT_EQ(stats.manual_bytes, 0);
    EXPECT_EQ(stats.collected_bytes, 0);
    EXPECT_EQ(stats.free_page_bytes + stats.metadata_bytes + stats.heap_bytes, stats.region_bytes);
    EXPECT(stats.heap_bytes <= 64 * KIB); /* the collector's mark queue */
}

/* The script, with those requests failing that fail_some() picks. */
static void run_manual(void)
{
    requests = 0;
    page_heap_fault_hook = fail_some;
    alloc_phase();
    realloc_phase();
    aligned_phase();
    page_heap_fault_hook = NULL;
    bh_heap_verify();
    heap_test_free_all(slots, SLOTS);
    bh_heap_verify();
    expect_nothing_leaked();
}

static void run_collected(void)
{
    requests = 0;
    page_heap_fault_hook = fail_some;
    collected_phase();
    page_heap_fault_hook = NULL;
    bh_heap_verify();
    free_collected();
    bh_heap_verify();
    expect_nothing_leaked();
}

/* How many requests the script makes when none fails. */
static size_t count_requests(void (*script)(void))
{
    fail_from = SIZE_MAX;
    script();
    EXPECT(requests >= 6);
    return requests;
}

TEST_ALONE(exhaustion_at_the_nth_request)
{
    heap_test_init(4 * MIB);
    size_t all = count_requests(run_manual);
    for (fail_from = 1; fail_from <= all; fail_from++)
        run_manual();
}

TEST_ALONE(exhaustion_at_every_nth_request)
{
    heap_test_init(4 * MIB);
    size_t all = count_requests(run_manual);
    fail_from = 1;
    for (fail_period = 1; fail_period <= all; fail_period++)
        run_manual();
}

TEST_ALONE(exhaustion_from_the_nth_request_on)
{
    heap_test_init(4 * MIB);
    size_t all = count_requests(run_manual);
    fail_period = 1;
    for (fail_from = 1; fail_from <= all; fail_from++)
        run_manual();
}

/* Each failure is a collection here, and each collection stops all cores. */
TEST_ALONE(exhaustion_of_collected_objects_at_the_nth_request)
{
    heap_test_init(4 * MIB);
    size_t all = count_requests(run_collected);
    for (fail_from = 1; fail_from <= all; fail_from++)
        run_collected();
    fail_from = 1;
    for (fail_period = 1; fail_period <= 3; fail_period++)
        run_collected();
}

/* ---- to the last page ---- */

/* Objects of one size until there is no more, each holding the address of the one before. */
static size_t fill(size_t bytes, void **last)
{
    size_t count = 0;
    *last = NULL;
    for (void **object; (object = bh_malloc(bytes)) != NULL; count++) {
        *object = *last;
        *last = object;
    }
    return count;
}

static size_t free_every(size_t step, void **last)
{
    size_t freed = 0;
    size_t i = 0;
    for (void **link = last; *link; i++) {
        void **object = *link;
        if (i % step) {
            link = object;
            continue;
        }
        *link = *object;
        bh_free(object);
        freed++;
    }
    return freed;
}

/* Fills, verifies, frees every other one, fills the holes, frees all. */
static void fill_and_free(size_t bytes, size_t heap_bytes)
{
    void *all;
    void *more;
    size_t count = fill(bytes, &all);
    bh_heap_verify();
    struct bh_stats stats;
    bh_get_stats(&stats);
    EXPECT_EQ(stats.manual_objects, count);
    if (!EXPECT(stats.free_page_bytes < bytes + REDZONE_BYTES + PAGE_BYTES * 8))
        harness_note("%zu bytes: %zu objects and still %zu bytes free of %zu", bytes, count,
                     stats.free_page_bytes, heap_bytes);
    size_t freed = free_every(2, &all);
    bh_heap_verify();
    size_t again = fill(bytes, &more);
    if (!EXPECT(again >= freed)) /* more where a long span takes the place of short ones */
        harness_note("objects of %zu bytes: %zu holes, but %zu filled", bytes, freed, again);
    bh_heap_verify();
    free_every(1, &all);
    free_every(1, &more);
    bh_heap_verify();
}

static void fill_each_class(size_t heap_bytes)
{
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++)
        if (size_classes[i].object_bytes > REDZONE_BYTES &&
            size_classes[i].object_bytes <= heap_bytes / 4)
            fill_and_free(size_classes[i].object_bytes - REDZONE_BYTES, heap_bytes);
}

/* The first round leaves bins and bitmap cells, which stay metadata; after it hardly any are added,
 * and all else is free again. */
static void expect_full_recovery(size_t heap_bytes)
{
    heap_test_init(heap_bytes);
    fill_each_class(heap_bytes);
    struct bh_stats before = heap_test_stats();
    EXPECT_EQ(before.heap_bytes, 0);
    fill_each_class(heap_bytes);
    struct bh_stats after = heap_test_stats();
    EXPECT_EQ(after.heap_bytes, 0);
    EXPECT_EQ(after.free_page_bytes + after.metadata_bytes,
              before.free_page_bytes + before.metadata_bytes);
    EXPECT(after.metadata_bytes <= before.metadata_bytes + 2 * PAGE_BYTES);
    EXPECT(after.failures > before.failures);
    harness_note("%zu of %zu bytes in one piece, %zu of metadata", after.largest_run_bytes,
                 heap_bytes, after.metadata_bytes);
}

TEST_ALONE(exhaustion_of_each_class_and_recovery)
{
    expect_full_recovery(1 * MIB);
    struct bh_stats stats = heap_test_stats();
    EXPECT(stats.largest_run_bytes >= stats.region_bytes * 3 / 4);
    void *object = bh_malloc(stats.region_bytes * 5 / 8);
    EXPECT(object);
    bh_free(object);
}

TEST_ALONE(exhaustion_of_a_small_heap_and_recovery)
{
    expect_full_recovery(160 * KIB);
}

TEST_ALONE(exhaustion_of_large_objects_and_recovery)
{
    heap_test_init(4 * MIB);
    struct bh_stats before = heap_test_stats();
    for (size_t bytes = SIZE_CLASS_MAX + 1; bytes < 3 * MIB; bytes = bytes * 3 / 2)
        fill_and_free(bytes, 4 * MIB);
    void *all = bh_malloc(before.largest_run_bytes - REDZONE_BYTES);
    EXPECT(all);
    EXPECT(!bh_malloc(PAGE_BYTES));
    bh_free(all);
    struct bh_stats after = heap_test_stats();
    EXPECT_EQ(after.largest_run_bytes, before.largest_run_bytes);
    EXPECT_EQ(after.heap_bytes, 0);
}

/* The heap goes on serving those who free as they go. */
TEST_ALONE(exhaustion_is_not_the_end)
{
    static struct heap_test_object many[4000];
    heap_test_init(256 * KIB);
    for (unsigned i = 0; i < 20000; i++) {
        struct heap_test_object *slot = &many[harness_random_below(4000)];
        if (slot->address && (i & 4096 || harness_random_below(3) == 0))
            heap_test_free(slot);
        else if (!slot->address)
            heap_test_alloc(slot, heap_test_size(3000));
    }
    struct bh_stats stats;
    bh_get_stats(&stats);
    EXPECT(stats.failures > 0);
    bh_heap_verify();
    heap_test_free_all(many, 4000);
    EXPECT_EQ(heap_test_stats().heap_bytes, 0);
    bh_heap_verify();
}
