/* SPDX-License-Identifier: MIT */
/* The treaps of free runs. See run_tree.h for the order and the sources. */
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

static size_t tree_of(size_t pages)
{
    return pages < RUN_LENGTHS ? pages : 0;
}

void run_tree_insert(struct run_trees *trees, struct bh_span *run)
{
    size_t n = tree_of(run->pages);
    struct bh_span **link = &trees->by_length[n];
    uint64_t rank = *link ? priority(run) : 0;
    while (*link && priority(*link) >= rank)
        link =
            key_before(run->pages, run->base, *link) ? &(*link)->tree.left : &(*link)->tree.right;
    split(*link, run, &run->tree.left, &run->tree.right);
    *link = run;
    trees->lengths |= (uint64_t)1 << n;
}

void run_tree_remove(struct run_trees *trees, struct bh_span *run)
{
    size_t n = tree_of(run->pages);
    struct bh_span **link = &trees->by_length[n];
    while (*link != run) {
        BH_CHECK(*link, "[ALLOC-2] free run 0x%zx of %u pages is not in the tree",
                 (size_t)run->base, run->pages);
        link =
            key_before(run->pages, run->base, *link) ? &(*link)->tree.left : &(*link)->tree.right;
    }
    join(link, run->tree.left, run->tree.right);
    if (!trees->by_length[n])
        trees->lengths &= ~((uint64_t)1 << n);
}

struct bh_span *run_tree_best_fit(const struct run_trees *trees, size_t pages)
{
    uint64_t enough = pages < RUN_LENGTHS ? trees->lengths >> pages << pages : 0;
    struct bh_span *run = trees->by_length[enough ? bits_lowest(enough) : 0];
    struct bh_span *best = NULL;
    while (run) {
        if (run->pages >= pages) {
            best = run;
            run = run->tree.left;
        } else {
            run = run->tree.right;
        }
    }
    return best;
}

static BH_COLD struct bh_span *last_before(struct bh_span *run, size_t pages, uintptr_t base)
{
    struct bh_span *last = NULL;
    while (run) {
        if (run->pages != pages ? run->pages < pages : run->base < base) {
            last = run;
            run = run->tree.right;
        } else {
            run = run->tree.left;
        }
    }
    return last;
}

BH_COLD struct bh_span *run_tree_before(const struct run_trees *trees, size_t pages, uintptr_t base)
{
    struct bh_span *run = NULL;
    for (size_t n = RUN_LENGTHS; n > 0 && !run; n--)
        run = last_before(trees->by_length[n % RUN_LENGTHS], pages, base);
    return run;
}
