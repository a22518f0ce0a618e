/* SPDX-License-Identifier: MIT */
/* Page heaps that are broken, each in one way, and what bh_heap_verify() says of it. */
#include "alloc/page_heap.h"
#include "tests/harness/harness.h"
#include <bareheap/alloc.h>

TEST_PANICS(corruption_of_the_lengths_of_free_runs,
            "[ALLOC-11] tree 5 of free runs holds another length, or its bit is wrong")
{
    harness_heap();
    page_heap.free_runs.lengths ^= 1 << 5;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_a_tree_of_free_runs,
            "[ALLOC-11] tree 7 of free runs holds another length, or its bit is wrong")
{
    harness_heap();
    page_heap.free_runs.by_length[7] = page_heap.free_runs.by_length[0];
    page_heap.free_runs.lengths |= 1 << 7;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_the_count_of_large_pages,
            "[ALLOC-12] pages of large objects: found *, but * counted")
{
    harness_heap();
    REQUIRE(bh_malloc((size_t)1 << 20));
    page_heap.large_pages--;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_the_count_of_deferred_runs, "[ALLOC-13] 0 deferred runs, but 1 counted")
{
    harness_heap();
    bh_set_release(BH_RELEASE_EAGER);
    page_heap.deferred_runs++;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_the_count_of_released_pages,
            "[ALLOC-2] released pages: found *, but * counted")
{
    harness_heap();
    bh_release_pages();
    page_heap.released_pages--;
    bh_heap_verify();
}
