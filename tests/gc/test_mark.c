/* SPDX-License-Identifier: MIT */
/* Marking: wide and large graphs, and a mark queue with no room. Deep ones: test_depth.c. */
#include "gc/mark.h"
#include "kernel-lib/memory.h"
#include "kernel-lib/string.h"
#include "tests/gc/gc_test.h"

/* Volatile, as in the other files: a variable that is only written would be left out. */
static void *volatile root;

static uint64_t overflows(void)
{
    struct bh_gc_stats stats;
    bh_gc_get_stats(&stats);
    return stats.mark_overflows;
}

static __attribute__((noinline)) bool wide_graph_is_intact(uint64_t magic, size_t width)
{
    void **arrays = root;
    bool intact = true;
    for (size_t i = 0; i < width; i++) {
        void **nodes = arrays[i];
        for (size_t j = 0; j < width; j++) {
            const struct node *node = nodes[j];
            intact &= node->magic == magic && node->value == i * width + j;
        }
    }
    return intact;
}

/* With the first entries alone, or with as many pages as it likes. */
static void mark_wide_graph(size_t pages, bool overflow_expected)
{
    enum { WIDTH = 150 };
    uint64_t magic = test_magic();
    test_begin();
    uint64_t before = overflows();
    mark_set_queue_pages(pages);
    root = test_wide_graph(magic, WIDTH);
    test_collect();
    EXPECT(overflow_expected == (overflows() > before));
    EXPECT_EQ(test_count(magic), WIDTH * WIDTH);
    EXPECT(wide_graph_is_intact(magic, WIDTH));
    mark_set_queue_pages(SIZE_MAX);
    root = NULL;
    test_collect();
}

TEST(gc_mark_queue_without_a_page)
{
    mark_wide_graph(0, true);
}

TEST(gc_mark_queue_with_pages)
{
    mark_wide_graph(SIZE_MAX, false);
}

TEST(gc_large_objects_are_scanned_to_the_end)
{
    enum { WORDS = (4 << 20) / 8 };
    static const size_t places[] = {0,         1,        (128 << 10) / 8 - 1, (128 << 10) / 8,
                                    WORDS / 2, WORDS - 1};
    uintptr_t hidden[sizeof(places) / sizeof(places[0])];
    test_begin();
    void **large = root = bh_gc_alloc(WORDS * sizeof(void *));
    REQUIRE(large != NULL);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        large[places[i]] = test_node(1, i);
        hidden[i] = test_hide(large[places[i]]);
    }
    test_collect();
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        EXPECT(test_is_alive(hidden[i]));
        EXPECT_EQ(((struct node *)large[places[i]])->value, i);
    }
    root = NULL;
}

static __attribute__((noinline)) void make_large_garbage(size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++)
        EXPECT((root = bh_gc_alloc(bytes)) != NULL);
    root = NULL;
}

/* In a boot of its own: of 32 targets as large as this, stale words of others would hold several.
 */
TEST_ALONE(gc_large_objects_are_freed)
{
    struct bh_stats before;
    struct bh_stats after;
    test_begin();
    test_collect();
    bh_get_stats(&before);
    make_large_garbage(32, (size_t)1 << 20);
    test_collect();
    bh_get_stats(&after);
    /* A few may be held by stray words. */
    EXPECT(after.collected_bytes <= before.collected_bytes + ((size_t)8 << 20));
}

TEST(gc_tiny_objects_share_blocks_and_live)
{
    enum { TINY = 4000 };
    test_begin();
    uint8_t **all = root = bh_gc_alloc(TINY * sizeof(*all));
    REQUIRE(all != NULL);
    for (size_t i = 0; i < TINY; i++) {
        size_t bytes = 1 + i % 15;
        all[i] = bh_gc_alloc_noscan(bytes);
        REQUIRE(all[i] != NULL);
        for (size_t b = 0; b < bytes; b++) {
            EXPECT(all[i][b] == 0);
            all[i][b] = (uint8_t)(i + b);
        }
    }
    test_collect();
    for (size_t i = 0; i < TINY; i++) {
        for (size_t b = 0; b < 1 + i % 15; b++)
            EXPECT(all[i][b] == (uint8_t)(i + b));
    }
    root = NULL;
}

/* One object of each of many sizes, zero when it comes and not when it goes. */
static void use_all_sizes(void)
{
    for (size_t bytes = 8; bytes <= 40000; bytes += bytes / 2) {
        uint8_t *object = bh_gc_alloc(bytes);
        REQUIRE(object != NULL);
        EXPECT(memory_is_filled(object, 0, bytes));
        memset(object, 0xa5, bytes);
    }
}

TEST(gc_objects_are_zero_after_reuse)
{
    test_begin();
    for (int round = 0; round < 6; round++) {
        use_all_sizes();
        test_collect();
    }
}

/* A random graph that changes while collections come by growth, and what it should be beside it. */
TEST(gc_random_graph_against_an_oracle)
{
    enum { NODES = 512, ROUNDS = 120000 }; /* more bytes than the minimum heap */
    static uint64_t value_of[NODES];
    test_begin();
    bh_gc_set_percent(10);
    struct node **nodes = root = bh_gc_alloc(NODES * sizeof(*nodes));
    REQUIRE(nodes != NULL);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        size_t which = harness_random_below(NODES);
        struct node *old = nodes[which];
        EXPECT(old == NULL || old->value == value_of[which]);
        nodes[which] = test_node(7, value_of[which] = i);
        nodes[which]->left = nodes[harness_random_below(NODES)];
        if (nodes[which]->left != NULL)
            nodes[which]->left->left = NULL; /* or the graph would keep all its past */
    }
    EXPECT(test_cycles() > 0);
    test_collect();
    for (size_t i = 0; i < NODES; i++)
        EXPECT(nodes[i] == NULL || (nodes[i]->magic == 7 && nodes[i]->value == value_of[i]));
    bh_gc_set_percent(100);
    bh_heap_verify();
    root = NULL;
}
