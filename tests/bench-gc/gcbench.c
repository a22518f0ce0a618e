/* SPDX-License-Identifier: MIT */
/*
 * gcbench: the benchmark that John Ellis, Pete Kovac and Hans Boehm described, written anew.
 *
 * 1. A tree of depth 18 is made and dropped, so that the heap has its size.
 * 2. A tree of depth 16, made from the root down, and an array of 500,000 numbers stay.
 * 3. For each even depth from 4 to 16: so many trees that all depths make as many nodes, half of
 *    them from the root down (each new node is stored into an older one), half from the leaves up.
 *
 * With threads each does all of it, with trees and an array of its own.
 */
#include "tests/bench-gc/heap.h"

#define STRETCH_DEPTH 18u
#define LONG_DEPTH    16u
#define LEAST_DEPTH   4u
#define NUMBERS       500000u
#define USUAL_ROUNDS  4u /* of step 3: processors are faster than in 1997 */

struct node {
    struct node *left, *right;
    int i, j;
};
COLLECTOR_TYPE(node_type, struct node,
               COLLECTOR_POINTER(struct node, left) | COLLECTOR_POINTER(struct node, right));

/* How many trees of one depth have as many nodes as one of another. */
static uint64_t trees_in(unsigned depth, unsigned less)
{
    return ((2ull << depth) - 1) / ((2ull << less) - 1);
}

/* From the root down. */
static void populate(struct node *node, unsigned depth)
{
    if (depth == 0)
        return;
    node->left = COLLECTOR_NEW(node_type, struct node);
    node->right = COLLECTOR_NEW(node_type, struct node);
    populate(node->left, depth - 1);
    populate(node->right, depth - 1);
}

static struct node *tree_down(unsigned depth)
{
    struct node *node = COLLECTOR_NEW(node_type, struct node);

    populate(node, depth);
    return node;
}

/* From the leaves up. */
static struct node *tree_up(unsigned depth)
{
    struct node *left = depth == 0 ? NULL : tree_up(depth - 1);
    struct node *right = depth == 0 ? NULL : tree_up(depth - 1);
    struct node *node = COLLECTOR_NEW(node_type, struct node);

    node->left = left;
    node->right = right;
    return node;
}

static uint64_t tree_count(const struct node *node)
{
    return node == NULL ? 0 : 1 + tree_count(node->left) + tree_count(node->right);
}

static uint64_t trees_of(unsigned depth)
{
    uint64_t count = 2 * trees_in(STRETCH_DEPTH, depth), sum = 0;

    for (uint64_t i = 0; i < count; i++)
        sum += (uintptr_t)tree_down(depth) != 0;
    for (uint64_t i = 0; i < count; i++)
        sum += (uintptr_t)tree_up(depth) != 0;
    return sum;
}

static uint64_t one_thread(void *argument, unsigned index)
{
    const struct bench_options *options = argument;
    uint64_t sum = tree_count(tree_up(STRETCH_DEPTH));
    struct node *long_lived = tree_down(LONG_DEPTH);
    double *numbers = collector_noscan(NUMBERS * sizeof(*numbers));

    for (unsigned i = 0; i < NUMBERS; i++)
        numbers[i] = 1.0 / (i + 1);
    for (unsigned round = bench_rounds(options, USUAL_ROUNDS); round > 0; round--)
        for (unsigned depth = LEAST_DEPTH; depth <= LONG_DEPTH; depth += 2)
            sum += trees_of(depth);
    return sum + tree_count(long_lived) + (numbers[999] == 1.0 / 1000) + index;
}

static uint64_t gcbench_run(const struct bench_options *options)
{
    struct bench_options copy = *options;
    return heap_parallel(options->threads, one_thread, &copy);
}

const struct workload workload_gcbench = {
    .name = "gcbench",
    .about = "trees from the root down and from the leaves up (Ellis, Kovac, Boehm)",
    .run = gcbench_run,
};
