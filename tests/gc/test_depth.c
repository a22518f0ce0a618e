/* SPDX-License-Identifier: MIT */
/*
 * Graphs as deep as they can be: a list, whose every node is found by the one before, and a tree.
 * Marking them takes no recursion and a mark queue of a few pages, however deep they are; and it
 * comes to its end with no page at all, by going over the heap again.
 *
 * With DEPTH_FULL_BYTES of RAM the list has 20 million nodes and the tree a depth of 24; `make
 * test` gives them that on the host. With less they are as large as the RAM allows in seconds.
 */
#include "boards/board.h"
#include "gc/mark.h"
#include "tests/gc/gc_test.h"

#define DEPTH_FULL_BYTES ((size_t)1900 << 20)
#define FULL_NODES       20000000u
#define FULL_DEPTH       24
#define BYTES_PER_NODE   256 /* of RAM, where there is less */

/* For the mark queues of all cores together. A recursion would need a thousand times as much. */
#define FEW_PAGES 64

struct link {
    struct link *next;
    uint32_t number;
};

struct fork {
    struct fork *left;
    struct fork *right;
};
static BH_GC_TYPE(fork_type, struct fork,
                  BH_GC_POINTER(struct fork, left) | BH_GC_POINTER(struct fork, right));

/* Volatile, as in the other files: a variable that is only written would be left out. */
static struct link *volatile list;
static struct fork *volatile tree;

static size_t ram_bytes(void)
{
    size_t regions;
    size_t bytes = 0;
    const struct bh_region *region = board_ram(&regions);
    for (size_t i = 0; i < regions; i++)
        bytes += region[i].bytes;
    return bytes;
}

/* A cycle that marks at least `objects`, with a mark queue of `pages`; returns the overflows. */
static uint64_t overflows_of_a_mark(uint64_t objects, size_t pages)
{
    struct bh_gc_stats before;
    struct bh_gc_stats after;
    mark_set_queue_pages(pages);
    bh_gc_get_stats(&before);
    test_collect();
    bh_gc_get_stats(&after);
    mark_set_queue_pages(SIZE_MAX);
    EXPECT(after.marked_objects >= objects);
    return after.mark_overflows - before.mark_overflows;
}

/* With a few pages nothing overflows; with none at all all is marked even so. */
static void expect_marked(uint64_t objects)
{
    EXPECT_EQ(overflows_of_a_mark(objects, FEW_PAGES), 0);
    harness_note("%llu overflows without a page",
                 (unsigned long long)overflows_of_a_mark(objects, 0));
}

/* ---- a list ---- */

static uint32_t list_nodes(void)
{
    size_t bytes = ram_bytes();
    return bytes >= DEPTH_FULL_BYTES ? FULL_NODES : (uint32_t)(bytes / BYTES_PER_NODE);
}

/* 12 bytes, and the one that the allocator adds: a node takes 16. */
static __attribute__((noinline)) bool make_list(uint32_t nodes)
{
    for (uint32_t i = 0; i < nodes; i++) {
        struct link *link = bh_gc_alloc(offsetof(struct link, number) + sizeof(link->number));
        if (!EXPECT(link != NULL))
            return false;
        link->next = list;
        link->number = i;
        list = link;
    }
    return true;
}

/* Takes it apart as it goes: a stale word somewhere then keeps one node, not all behind it. */
static __attribute__((noinline)) void check_and_drop_list(uint32_t nodes)
{
    struct link *link = list;
    list = NULL;
    while (link != NULL && nodes > 0 && link->number == nodes - 1) {
        struct link *next = link->next;
        link->next = NULL;
        link = next;
        nodes--;
    }
    EXPECT(link == NULL && nodes == 0);
}

TEST(gc_depth_of_a_list)
{
    test_begin();
    uint32_t nodes = list_nodes();
    if (make_list(nodes))
        expect_marked(nodes);
    check_and_drop_list(nodes);
    test_collect();
}

/* ---- a tree ---- */

static unsigned tree_depth(void)
{
    size_t bytes = ram_bytes();
    unsigned depth = 1;
    while (bytes < DEPTH_FULL_BYTES && (bytes / BYTES_PER_NODE) >> (depth + 2) != 0)
        depth++;
    return bytes >= DEPTH_FULL_BYTES ? FULL_DEPTH : depth;
}

/* Both children always, or none: 2^(depth + 1) - 1 nodes. NULL when memory is out. */
static __attribute__((noinline)) struct fork *make_tree(unsigned depth)
{
    struct fork *fork = bh_gc_alloc_typed(&fork_type);
    if (fork == NULL || depth == 0)
        return fork;
    fork->left = make_tree(depth - 1);
    fork->right = make_tree(depth - 1);
    return fork;
}

static __attribute__((noinline)) uint64_t count_and_drop(struct fork *fork)
{
    if (fork == NULL)
        return 0;
    uint64_t nodes = 1 + count_and_drop(fork->left) + count_and_drop(fork->right);
    fork->left = fork->right = NULL;
    return nodes;
}

TEST(gc_depth_of_a_tree)
{
    test_begin();
    unsigned depth = tree_depth();
    uint64_t nodes = ((uint64_t)2 << depth) - 1;
    tree = make_tree(depth);
    expect_marked(nodes);
    EXPECT_EQ(count_and_drop(tree), nodes);
    tree = NULL;
    test_collect();
}
