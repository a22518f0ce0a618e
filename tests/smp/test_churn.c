/* SPDX-License-Identifier: MIT */
/* All cores at once, each with its own objects: small ones, large ones, and others that look on. */
#include "kernel-lib/atomics.h"
#include "tests/unit/heap_test.h"

#define SLOTS  100
#define ROUNDS 2500

static struct heap_test_object slots[BOARD_MAX_CORES][SLOTS];

static void churn(unsigned rounds, size_t most_bytes)
{
    struct heap_test_object *mine = slots[bh_port_core()];
    for (unsigned i = 0; i < rounds; i++)
        heap_test_step(mine, SLOTS, most_bytes);
}

static void free_mine(void)
{
    heap_test_free_all(slots[bh_port_core()], SLOTS);
}

TEST_ALL_CORES(smp_churn_of_small_objects)
{
    harness_heap();
    for (unsigned phase = 0; phase < 3; phase++) {
        churn(ROUNDS, 4000);
        heap_test_verify_at_barrier();
    }
    free_mine();
    heap_test_verify_at_barrier();
}

TEST_ALL_CORES(smp_churn_of_one_class)
{
    void *objects[100];
    harness_heap();
    for (unsigned round = 0; round < 60; round++) {
        for (size_t i = 0; i < 100; i++) {
            objects[i] = bh_malloc(48);
            if (!EXPECT(objects[i]))
                return;
            heap_test_fill(objects[i], 48, bh_port_core() * 1000 + i);
        }
        for (size_t i = 0; i < 100; i++) {
            EXPECT(heap_test_is_filled(objects[i], 48, bh_port_core() * 1000 + i));
            bh_free(objects[i]);
        }
    }
    heap_test_verify_at_barrier();
}

TEST_ALL_CORES(smp_churn_of_large_objects)
{
    struct heap_test_object mine[6] = {{0}};
    harness_heap();
    for (unsigned i = 0; i < 150; i++) {
        struct heap_test_object *slot = &mine[harness_random_below(6)];
        size_t bytes = 33000 + harness_random_below(100000);
        if (!slot->address)
            EXPECT(heap_test_alloc(slot, bytes));
        else if (harness_random_below(2))
            EXPECT(heap_test_realloc(slot, bytes));
        else
            heap_test_free(slot);
    }
    heap_test_verify_at_barrier();
    heap_test_free_all(mine, 6);
    heap_test_verify_at_barrier();
}

/* ---- with others looking on ---- */

static uint32_t churning; /* cores that still churn */

static void look_on(void)
{
    struct bh_stats s;
    bh_get_stats(&s);
    EXPECT_EQ(s.region_bytes, s.metadata_bytes + s.heap_bytes + s.free_page_bytes);
    EXPECT(s.largest_run_bytes <= s.free_page_bytes);
    EXPECT(s.released_bytes <= s.free_page_bytes);
    bh_release_pages();
    bh_reset_peak();
    board_yield();
}

TEST_ALL_CORES(smp_churn_beside_statistics_and_release)
{
    harness_heap();
    if (bh_port_core() == 0)
        atomic_store_relaxed(&churning, board_cores() - 1); /* the barrier orders it */
    harness_barrier();
    if (bh_port_core() == 0) {
        /* Relaxed: when it ends does not matter. */
        do
            look_on();
        while (atomic_load_relaxed(&churning) > 0);
    } else {
        churn(ROUNDS, 50000);
        atomic_sub_relaxed(&churning, 1); /* as above */
    }
    heap_test_verify_at_barrier();
    free_mine();
    heap_test_verify_at_barrier();
}

TEST(smp_churn_leaves_nothing_behind)
{
    harness_heap();
    EXPECT_EQ(heap_test_stats().manual_objects, 0);
    EXPECT_EQ(heap_test_stats().manual_bytes, 0);
}
