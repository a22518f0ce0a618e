/* SPDX-License-Identifier: MIT */
/*
 * A heap that lies in a range registered as a root, as that of a kernel with `static char heap[]`
 * does, which registers all of its .data and .bss: the heap is none, or there would be no garbage.
 */
#include "kernel-lib/check.h"
#include "tests/gc/gc_test.h"
#include <bareheap/alloc.h>

#define HEAP_BYTES  ((size_t)1 << 20)
#define EDGE_WORDS  32
#define EDGE_BYTES  (EDGE_WORDS * sizeof(uintptr_t))
#define RING_NODES  4
#define RINGS       200
#define RING_EXCESS (TEST_LEFTOVERS * RING_NODES)

/* A range with a region in it, and other words in front of it and behind. */
struct area {
    struct node *before[EDGE_WORDS];
    char heap[HEAP_BYTES];
    struct node *after[EDGE_WORDS];
} __attribute__((aligned(64)));

static struct area first, second;

static void begin(void)
{
    struct bh_region region = {.base = first.heap, .bytes = HEAP_BYTES};
    enum bh_status status = bh_init(&region, 1);
    BH_CHECK(status == BH_OK, "bh_init: %s", bh_status_text(status));
}

/* Nodes that refer to one another: scanned memory of the heap would hold them. */
static __attribute__((noinline)) struct node *make_ring(uint64_t magic)
{
    struct node *start = test_node(magic, 0);
    struct node *last = start;
    for (uint64_t i = 1; i < RING_NODES; i++) {
        last->right = test_node(magic, i);
        last->right->left = last;
        last = last->right;
    }
    last->right = start;
    start->left = last;
    return start;
}

static __attribute__((noinline)) void make_rings(uint64_t magic)
{
    for (size_t i = 0; i < RINGS; i++)
        (void)make_ring(magic);
}

static __attribute__((noinline)) void hold_by_edges(struct area *area, uint64_t magic)
{
    area->before[0] = make_ring(magic);
    area->before[EDGE_WORDS - 1] = make_ring(magic);
    area->after[0] = make_ring(magic);
    area->after[EDGE_WORDS - 1] = make_ring(magic);
}

static void drop_edges(struct area *area)
{
    for (size_t i = 0; i < EDGE_WORDS; i++)
        area->before[i] = area->after[i] = NULL;
}

static void expect_only_edges_hold(struct area *area)
{
    uint64_t garbage = test_magic(), held = test_magic();
    make_rings(garbage);
    hold_by_edges(area, held);
    test_collect();
    EXPECT(test_count(garbage) <= RING_EXCESS);
    EXPECT_EQ(test_count(held), 4 * RING_NODES);
    drop_edges(area);
    test_collect();
    EXPECT(test_count(held) <= 2 * RING_NODES);
}

static size_t global_bytes(void)
{
    struct bh_gc_stats stats;
    bh_gc_get_stats(&stats);
    return stats.global_bytes;
}

TEST_ALONE(gc_heap_in_a_registered_range_is_no_root)
{
    EXPECT(bh_gc_alloc(64) == NULL); /* no heap yet */
    EXPECT(bh_gc_add_root(&first, &first + 1));
    begin();
    expect_only_edges_hold(&first);
    size_t before = global_bytes();
    EXPECT(bh_gc_remove_root(&first));
    test_collect();
    EXPECT_EQ(before - global_bytes(), 2 * EDGE_BYTES);
}

/* A region that comes later, into a range that is there; and a range that begins and ends in a
 * region, with the other in it. */
TEST_ALONE(gc_regions_that_come_later_are_no_roots)
{
    uintptr_t lo = first.heap < second.heap ? (uintptr_t)first.heap : (uintptr_t)second.heap;
    uintptr_t hi = first.heap < second.heap ? (uintptr_t)second.heap : (uintptr_t)first.heap;
    begin();
    EXPECT(bh_gc_add_root(&second, &second + 1));
    EXPECT(bh_add_region(second.heap, HEAP_BYTES) == BH_OK);
    expect_only_edges_hold(&second);
    EXPECT(bh_gc_remove_root(&second));
    test_collect();
    size_t without = global_bytes();
    EXPECT(bh_gc_add_root((void *)(lo + 4096), (void *)(hi + HEAP_BYTES - 4096))); /* NOLINT */
    expect_only_edges_hold(&first);
    EXPECT_EQ(global_bytes() - without, hi - lo - HEAP_BYTES);
}

/* Memory of bh_malloc() that is registered lies in a region, too, and is meant. */
TEST_ALONE(gc_range_inside_of_a_region_is_a_root)
{
    uint64_t magic = test_magic();
    begin();
    struct node **words = bh_calloc(EDGE_WORDS, sizeof(*words));
    REQUIRE(words != NULL);
    words[EDGE_WORDS - 1] = make_ring(magic);
    EXPECT(bh_gc_add_root(words, words + EDGE_WORDS));
    test_collect();
    EXPECT_EQ(test_count(magic), RING_NODES);
    EXPECT(bh_gc_remove_root(words));
    bh_free(words);
}
