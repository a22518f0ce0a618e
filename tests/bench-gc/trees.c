/* SPDX-License-Identifier: MIT */
/*
 * trees: binary trees by the rules of the Computer Language Benchmarks Game, depth 20.
 *
 * 1. A tree one deeper than the rest is made, counted and dropped; one of full depth stays.
 * 2. For each even depth from 4: so many trees that all depths make as many nodes, each made,
 *    counted and dropped. Threads share the trees of each depth evenly.
 */
#include "tests/bench-gc/heap.h"

#define USUAL_DEPTH 20u
#define LEAST_DEPTH 4u

struct tree {
    struct tree *left, *right;
};
COLLECTOR_TYPE(tree_type, struct tree,
               COLLECTOR_POINTER(struct tree, left) | COLLECTOR_POINTER(struct tree, right));

struct forest {
    unsigned depth;
    unsigned threads;
};

static struct tree *long_lived;

static struct tree *tree_new(unsigned depth)
{
    struct tree *tree = COLLECTOR_NEW(tree_type, struct tree);

    if (depth > 0) {
        tree->left = tree_new(depth - 1);
        tree->right = tree_new(depth - 1);
    }
    return tree;
}

static uint64_t tree_count(const struct tree *tree)
{
    return tree->left == NULL ? 1 : 1 + tree_count(tree->left) + tree_count(tree->right);
}

/* One thread's share of all depths. */
static uint64_t grow_forest(void *argument, unsigned index)
{
    const struct forest *forest = argument;
    uint64_t sum = 0;

    for (unsigned depth = LEAST_DEPTH; depth <= forest->depth; depth += 2) {
        unsigned trees = 1u << (forest->depth - depth + LEAST_DEPTH);
        for (unsigned i = index; i < trees; i += forest->threads)
            sum += tree_count(tree_new(depth));
    }
    return sum;
}

/* Not inlined: its stack frame, in which the tree would stay in sight of the collectors, is to end.
 */
static __attribute__((noinline)) uint64_t stretch(unsigned depth)
{
    return tree_count(tree_new(depth));
}

static uint64_t trees_run(const struct bench_options *options)
{
    struct forest forest = {heap_depth(options, USUAL_DEPTH), options->threads};
    uint64_t sum = stretch(forest.depth + 1);

    long_lived = tree_new(forest.depth);
    sum += heap_parallel(options->threads, grow_forest, &forest);
    return sum + tree_count(long_lived);
}

const struct workload workload_trees = {
    .name = "trees",
    .about = "binary trees of depth 20, by the Benchmarks Game's rules",
    .run = trees_run,
};
