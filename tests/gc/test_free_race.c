/* SPDX-License-Identifier: MIT */
/*
 * bh_gc_free() against everybody else: against collections that find a span on its way out, and
 * against the cursor that hands the same room out again. The second shows under ThreadSanitizer
 * only: without the release in free_bit() the last write to a freed object races with its clearing.
 */
#include "tests/gc/gc_test.h"
#include "tests/harness/harness.h"
#include <bareheap/bareheap.h>
#include <bareheap/port.h>

#define ROUNDS_LARGE 200
#define ROUNDS_SMALL 4000
#define SMALL_COUNT  32

static __attribute__((noinline)) void free_large(size_t bytes)
{
    volatile char *object = bh_gc_alloc(bytes);
    if (!EXPECT(object != NULL))
        return;
    object[bytes - 1] = 1;
    bh_gc_free((void *)object);
}

/* Core 0 collects while the others free spans that may be on their stacks still. */
TEST_ALL_CORES(gc_free_while_others_collect)
{
    harness_heap();
    harness_barrier();
    for (unsigned i = 0; i < ROUNDS_LARGE; i++) {
        if (bh_port_core() == 0 && i % 4 == 0)
            bh_gc_collect();
        free_large(40000 + harness_random_below(100000));
    }
}

static uint64_t *volatile exchange[SMALL_COUNT];

/* Each core takes objects that others made, writes to them one last time, and frees them. */
TEST_ALL_CORES(gc_free_on_another_core)
{
    harness_heap();
    harness_barrier();
    for (unsigned i = 0; i < ROUNDS_SMALL; i++) {
        uint64_t *mine = bh_gc_alloc(sizeof(uint64_t[5]));
        if (!EXPECT(mine != NULL))
            break;
        EXPECT(mine[0] == 0 && mine[4] == 0);
        mine[0] = i + 1;
        uint64_t *theirs = __atomic_exchange_n(&exchange[harness_random_below(SMALL_COUNT)], mine,
                                               __ATOMIC_ACQ_REL);
        if (!theirs)
            continue;
        theirs[4] = i;
        bh_gc_free(theirs);
    }
    harness_barrier();
    if (bh_port_core() == 0)
        for (unsigned i = 0; i < SMALL_COUNT; i++)
            exchange[i] = NULL;
}

/* A size that no collection can make room for does not stop the world. */
TEST(gc_absurd_sizes_do_not_collect)
{
    struct bh_gc_stats before;
    struct bh_gc_stats after;
    struct bh_stats heap_before;
    struct bh_stats heap_after;
    harness_heap();
    bh_gc_get_stats(&before);
    bh_get_stats(&heap_before);
    for (unsigned shift = 46; shift < 64; shift++) {
        EXPECT(bh_malloc((size_t)1 << shift) == NULL);
        EXPECT(bh_gc_alloc((size_t)1 << shift) == NULL);
    }
    bh_gc_get_stats(&after);
    bh_get_stats(&heap_after);
    EXPECT_EQ(after.cycles, before.cycles);
    EXPECT_EQ(heap_after.failures - heap_before.failures, 2 * (64 - 46));
}
