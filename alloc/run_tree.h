/* SPDX-License-Identifier: MIT */
/*
 * The free runs of pages, ordered by length and then by address, so that the first one long
 * enough is the best fit and among equals the lowest: address-ordered best fit (Wilson et al.,
 * "Dynamic Storage Allocation: A Survey", 1995).
 *
 * A treap (Aragon and Seidel 1989): a search tree by key, a heap by a priority that is a hash of
 * the address. Expected depth O(log n) for any order of operations; two pointers per node, which
 * live in the record of the run's first page, so freeing memory never needs memory.
 * The page heap's lock protects it.
 */
#ifndef ALLOC_RUN_TREE_H
#define ALLOC_RUN_TREE_H

#include "alloc/types.h"

void run_tree_insert(struct bh_span **root, struct bh_span *run);
void run_tree_remove(struct bh_span **root, struct bh_span *run);

/* The shortest run of at least `pages`, the lowest of those; NULL when there is none. */
struct bh_span *run_tree_best_fit(struct bh_span *root, size_t pages);

/* The longest run, or NULL. */
struct bh_span *run_tree_longest(struct bh_span *root);

/* The run that follows (pages, base) in the order, or NULL; a walk that survives changes. */
struct bh_span *run_tree_after(struct bh_span *root, size_t pages, uintptr_t base);

#endif
