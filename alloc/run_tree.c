/* SPDX-License-Identifier: MIT */
/* The treap of free runs. See run_tree.h for the order and the source. */
#include "alloc/run_tree.h"

/* Whether a run of (pages, base) comes before `run`. */
static bool key_before(size_t pages, uintptr_t base, const struct bh_span *run)
{
    return pages != run->pages ? pages < run->pages : base < run->base;
}

/* Fibonacci hashing of the page number: neighbours get unrelated priorities. */
static uint64_t priority(const struct bh_span *run)
{
    uint64_t hash = (run->base >> PAGE_SHIFT) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 32);
}

/* Parts `tree` into the runs before (*before) and after (*after) `run`, which is in neither. */
static void split(struct bh_span *tree, const struct bh_span *run, struct bh_span **before,
                  struct bh_span **after)
{
    while (tree) {
        if (key_before(run->pages, run->base, tree)) {
            *after = tree;
            after = &tree->tree.left;
            tree = tree->tree.left;
        } else {
            *before = tree;
            before = &tree->tree.right;
            tree = tree->tree.right;
        }
    }
    *before = NULL;
    *after = NULL;
}

/* Joins two trees, all of `left` before all of `right`, at *link. */
static void join(struct bh_span **link, struct bh_span *left, struct bh_span *right)
{
    while (left && right) {
        if (priority(left) > priority(right)) {
            *link = left;
            link = &left->tree.right;
            left = left->tree.right;
        } else {
            *link = right;
            link = &right->tree.left;
            right = right->tree.left;
        }
    }
    *link = left ? left : right;
}

void run_tree_insert(struct bh_span **root, struct bh_span *run)
{
    struct bh_span **link = root;
    while (*link && priority(*link) >= priority(run))
        link =
            key_before(run->pages, run->base, *link) ? &(*link)->tree.left : &(*link)->tree.right;
    split(*link, run, &run->tree.left, &run->tree.right);
    *link = run;
}

void run_tree_remove(struct bh_span **root, struct bh_span *run)
{
    struct bh_span **link = root;
    while (*link != run) {
        BH_CHECK(*link, "[ALLOC-2] free run 0x%zx of %u pages is not in the tree",
                 (size_t)run->base, run->pages);
        link =
            key_before(run->pages, run->base, *link) ? &(*link)->tree.left : &(*link)->tree.right;
    }
    join(link, run->tree.left, run->tree.right);
}

struct bh_span *run_tree_best_fit(struct bh_span *root, size_t pages)
{
    struct bh_span *best = NULL;
    while (root) {
        if (root->pages >= pages) {
            best = root;
            root = root->tree.left;
        } else {
            root = root->tree.right;
        }
    }
    return best;
}

struct bh_span *run_tree_longest(struct bh_span *root)
{
    while (root && root->tree.right)
        root = root->tree.right;
    return root;
}

struct bh_span *run_tree_after(struct bh_span *root, size_t pages, uintptr_t base)
{
    struct bh_span *next = NULL;
    while (root) {
        if (key_before(pages, base, root)) {
            next = root;
            root = root->tree.left;
        } else {
            root = root->tree.right;
        }
    }
    return next;
}
