/* SPDX-License-Identifier: MIT */
/* Pages on their way to the kernel are nobody's; that must be few, or others find no memory. */
#include "alloc/page_heap.h"
#include "tests/harness/harness.h"
#include "tests/unit/heap_test.h"
#include <bareheap/alloc.h>

#define ROUNDS 300

TEST_ALL_CORES(release_leaves_memory_to_the_others)
{
    harness_heap();
    harness_barrier();
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (bh_port_core() == 0 && i % 10 == 0)
            bh_release_pages();
        size_t bytes = 40000 + harness_random_below(1 << 20);
        char *object = bh_malloc(bytes);
        if (!EXPECT(object != NULL))
            break;
        object[0] = 1;
        object[bytes - 1] = 2;
        bh_free(object);
    }
    harness_barrier();
    if (bh_port_core() == 0)
        bh_heap_verify();
}

/* Released pages are known as such one by one: taking some of them back leaves the others. */
TEST(release_counts_pages)
{
    struct bh_stats stats;
    harness_heap();
    bh_release_pages();
    bh_get_stats(&stats);
    EXPECT_EQ(stats.released_bytes, stats.free_page_bytes);
    size_t all = stats.released_bytes;
    size_t taken = 10 * PAGE_BYTES + HEAP_TEST_GUARD_BYTES;
    void *object = bh_malloc(10 * PAGE_BYTES - 64);
    bh_get_stats(&stats);
    EXPECT_EQ(stats.released_bytes, all - taken);
    bh_heap_verify();
    bh_free(object);
    heap_test_drain_large();
    bh_get_stats(&stats);
    EXPECT_EQ(stats.free_page_bytes, all);
    EXPECT_EQ(stats.released_bytes, all - taken);
    EXPECT_EQ(bh_release_pages(), taken);
}
