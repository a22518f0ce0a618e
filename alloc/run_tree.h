/* SPDX-License-Identifier: MIT */
/*
 * The free runs of pages, ordered by length and then by address, so that the first one long
 * enough is the best fit and among equals the lowest: address-ordered best fit (Wilson et al.,
 * "Dynamic Storage Allocation: A Survey", 1995).
 *
 * 1. Lengths under RUN_LENGTHS have a tree each, and a bit that says whether there is a run in it:
 * the shortest length that will do is the lowest bit at or above it. Longer runs share one tree.
 * 2. A tree is a treap (Aragon and Seidel 1989): a search tree by key, a heap by a priority that is
 * a hash of the address. Expected depth O(log n) for any order of operations.
 * 3. Its two pointers per node live in the record of the run's first page, so freeing memory never
 *    needs memory.
 *
 * Most runs are short and of few lengths, so most trees are a handful of nodes deep in all.
 * The page heap's lock protects all of it.
 */
#ifndef ALLOC_RUN_TREE_H
#define ALLOC_RUN_TREE_H

#include "alloc/types.h"

#define RUN_LENGTHS 64

struct run_trees {
    uint64_t lengths; /* bit n, 0 < n < RUN_LENGTHS: by_length[n] is not empty */
    struct bh_span *by_length[RUN_LENGTHS]; /* [0]: all that are longer */
};

void run_tree_insert(struct run_trees *trees, struct bh_span *run);
void run_tree_remove(struct run_trees *trees, struct bh_span *run);

/* The shortest run of at least `pages` > 0, the lowest of those; NULL when there is none. */
struct bh_span *run_tree_best_fit(const struct run_trees *trees, size_t pages);

/*
 * The last run before (pages, base) in the order, or NULL; a walk that survives changes. From
 * (SIZE_MAX, 0) it is the longest, and of those the highest.
 */
struct bh_span *run_tree_before(const struct run_trees *trees, size_t pages, uintptr_t base);

static inline struct bh_span *run_tree_longest(const struct run_trees *trees)
{
    return run_tree_before(trees, SIZE_MAX, 0);
}

#endif
