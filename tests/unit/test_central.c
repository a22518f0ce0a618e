/* SPDX-License-Identifier: MIT */
/* alloc/central.h and alloc/cache.h: batches between cores and spans, and what they may hold. */
#include "alloc/budget.h"
#include "alloc/cache.h"
#include "alloc/central.h"
#include "alloc/redzone.h"
#include "tests/unit/heap_test.h"

/* Objects handed out by hand are no requests: the zones of debug builds are left closed. */
static size_t take(unsigned size_class, void **objects, size_t want)
{
    uintptr_t irq = arch_irq_save();
    size_t n = central_take(size_class, objects, want);
    arch_irq_restore(irq);
    return n;
}

static void give(unsigned size_class, void **objects, size_t count)
{
    uintptr_t irq = arch_irq_save();
    central_give(size_class, objects, count);
    arch_irq_restore(irq);
}

static size_t out_of_spans(unsigned size_class)
{
    size_t out;
    size_t in_transfer;
    central_count(size_class, &out, &in_transfer);
    EXPECT(in_transfer <= out);
    return out;
}

TEST(central_moves_batches_of_every_class)
{
    harness_heap();
    heap_test_drain();
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++) {
        void *objects[SIZE_CLASS_MAX_BATCH + 1];
        size_t before = out_of_spans(i);
        size_t n = take(i, objects, size_classes[i].batch);
        EXPECT(n >= 1 && n <= size_classes[i].batch);
        EXPECT(out_of_spans(i) >= before + n);
        give(i, objects, n);
        bh_heap_verify();
        central_drain(i);
        EXPECT_EQ(out_of_spans(i), before);
    }
    bh_heap_verify();
}

TEST(central_gives_the_span_back_when_it_is_whole)
{
    harness_heap();
    struct bh_stats before = heap_test_stats();
    void *objects[64];
    size_t n = 0;
    while (n < 64)
        n += take(35, objects + n, 1);
    EXPECT(centrals[35].spans >= 64 / size_classes[35].objs);
    for (size_t i = 0; i < n; i++)
        give(35, objects + i, 1);
    struct bh_stats after = heap_test_stats();
    EXPECT_EQ(after.heap_bytes, before.heap_bytes);
    bh_heap_verify();
}

#define ALONE_CLASS  20  /* neither of the smallest objects, nor of few in a span */
#define ALONE_ROUNDS 100 /* more batches than are given as to a class of several cores */

static void take_and_give(unsigned rounds)
{
    void *objects[SIZE_CLASS_MAX_BATCH];
    for (unsigned i = 0; i < rounds; i++) {
        size_t n = take(ALONE_CLASS, objects, size_classes[ALONE_CLASS].batch);
        give(ALONE_CLASS, objects, n);
    }
}

TEST(central_stocks_nothing_of_a_class_that_one_core_uses)
{
    harness_heap();
    size_t before = out_of_spans(ALONE_CLASS);
    take_and_give(ALONE_ROUNDS);
    central_drain(ALONE_CLASS);  /* what there was of before */
    take_and_give(ALONE_ROUNDS); /* a stock asks for room now and then only */
    EXPECT(out_of_spans(ALONE_CLASS) <= before);
    EXPECT_EQ(centrals[ALONE_CLASS].transfer_count, 0);
}

/* A span that was whole is gone, and nobody may look for its bitmap. */
TEST_PANICS(
    central_refuses_an_object_whose_span_is_gone,
    "bh_free(0x*): freed twice: in free pages of the heap; found when the cache was flushed")
{
    void *object;
    harness_heap();
    REQUIRE(take(SIZE_CLASS_COUNT - 1, &object, 1) == 1); /* the longest: alone in its span */
    board_irq_off();
    central_give_home(SIZE_CLASS_COUNT - 1, &object, 1);
    central_give_home(SIZE_CLASS_COUNT - 1, &object, 1);
}

#define RACE_CLASS  50 /* two batches are all that its transfer cache holds */
#define RACE_ROUNDS 3000

/* Of two cores that both see room for a batch, one may find none under the lock. */
TEST_ALL_CORES(central_takes_batches_from_all_cores_at_once)
{
    void *objects[SIZE_CLASS_MAX_BATCH];
    harness_heap();
    for (unsigned i = 0; i < RACE_ROUNDS; i++) {
        size_t n = take(RACE_CLASS, objects, size_classes[RACE_CLASS].batch);
        give(RACE_CLASS, objects, n);
    }
    heap_test_verify_at_barrier();
}

/* ---- the budget of the caches ---- */

/* A burst of every class, all freed: the bins grow as far as they may. */
static void churn_all_classes(void *arg)
{
    (void)arg;
    void *objects[32];
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++) {
        size_t bytes = size_classes[i].object_bytes - REDZONE_BYTES;
        if (size_classes[i].object_bytes <= REDZONE_BYTES)
            continue;
        for (unsigned round = 0; round < 4; round++) {
            for (size_t j = 0; j < 32; j++)
                objects[j] = bh_malloc(bytes);
            for (size_t j = 0; j < 32; j++)
                bh_free(objects[j]);
        }
    }
}

static void expect_caches_within_budget(void)
{
    struct bh_stats stats;
    bh_get_stats(&stats);
    EXPECT(stats.cached_bytes <= stats.region_bytes / BH_CACHE_SHARE);
    EXPECT_EQ(stats.manual_objects, 0);
    for (unsigned core = 0; core < bh_port_core_count(); core++)
        EXPECT(!core_caches[core] ||
               core_caches[core]->limit_bytes <= stats.region_bytes / BH_CACHE_SHARE);
    bh_heap_verify();
}

TEST_ALONE(cache_holds_a_64th_of_a_large_heap)
{
    heap_test_init((size_t)32 << 20);
    heap_test_on_all_cores(churn_all_classes, NULL);
    expect_caches_within_budget();
    EXPECT_EQ(heap_test_stats().cached_bytes, 0);
}

TEST_ALONE(cache_holds_a_64th_of_a_small_heap)
{
    heap_test_init((size_t)1 << 20);
    heap_test_on_all_cores(churn_all_classes, NULL);
    expect_caches_within_budget();
    EXPECT_EQ(heap_test_stats().cached_bytes, 0);
}

/* A warm loop on one class stays in its bin: the central tier sees nothing of it. */
TEST(cache_serves_a_warm_loop_by_itself)
{
    harness_heap();
    void *objects[16];
    size_t out_before = 0;
    for (unsigned round = 0; round < 50; round++) {
        for (size_t i = 0; i < 16; i++)
            objects[i] = bh_malloc(40);
        for (size_t i = 0; i < 16; i++)
            bh_free(objects[i]);
        if (round == 10)
            out_before = out_of_spans(size_class_for(40 + REDZONE_BYTES));
    }
    EXPECT_EQ(out_of_spans(size_class_for(40 + REDZONE_BYTES)), out_before);
    bh_heap_verify();
}

/* Last in, first out: the object that is warm in the CPU's cache is the next to be used. */
TEST(cache_is_last_in_first_out)
{
    harness_heap();
    void *a = bh_malloc(64);
    void *b = bh_malloc(64);
    bh_free(a);
    bh_free(b);
    void *c = bh_malloc(64);
    void *d = bh_malloc(64);
    EXPECT(c == b && d == a);
    bh_free(c);
    bh_free(d);
}
