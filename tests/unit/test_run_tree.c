/* SPDX-License-Identifier: MIT */
/* alloc/run_tree.h against an array of runs that is searched from end to end. */
#include "alloc/run_tree.h"
#include "tests/harness/harness.h"

#define RUNS   200
#define ROUNDS 3000

static struct bh_span runs[RUNS];
static bool in_tree[RUNS];
static struct bh_span *root;

static bool comes_before(const struct bh_span *a, const struct bh_span *b)
{
    return a->pages != b->pages ? a->pages < b->pages : a->base < b->base;
}

/* The first run in the order that passes `from`; NULL when there is none. */
static struct bh_span *naive_first(size_t pages, uintptr_t base)
{
    struct bh_span from = {.pages = (uint32_t)pages, .base = base};
    struct bh_span *first = NULL;
    for (size_t i = 0; i < RUNS; i++)
        if (in_tree[i] && !comes_before(&runs[i], &from) &&
            (!first || comes_before(&runs[i], first)))
            first = &runs[i];
    return first;
}

static struct bh_span *naive_longest(void)
{
    struct bh_span *longest = NULL;
    for (size_t i = 0; i < RUNS; i++)
        if (in_tree[i] && (!longest || comes_before(longest, &runs[i])))
            longest = &runs[i];
    return longest;
}

/* A heap by priority cannot be deep by bad luck alone: 200 nodes make about 20 levels. */
static size_t depth(const struct bh_span *tree, size_t limit)
{
    if (!tree || limit == 0)
        return 0;
    size_t left = depth(tree->tree.left, limit - 1);
    size_t right = depth(tree->tree.right, limit - 1);
    return 1 + (left > right ? left : right);
}

static void toggle(size_t i)
{
    if (in_tree[i]) {
        run_tree_remove(&root, &runs[i]);
    } else {
        runs[i].pages = (uint32_t)harness_random_below(40) + 1;
        run_tree_insert(&root, &runs[i]);
    }
    in_tree[i] = !in_tree[i];
}

static void expect_agreement(void)
{
    size_t pages = harness_random_below(45);
    EXPECT(run_tree_best_fit(root, pages) == naive_first(pages, 0));
    uintptr_t base = runs[harness_random_below(RUNS)].base;
    EXPECT(run_tree_after(root, pages, base) == naive_first(pages, base + 1));
    EXPECT(run_tree_longest(root) == naive_longest());
}

static void start(void)
{
    root = NULL;
    for (size_t i = 0; i < RUNS; i++) {
        runs[i] = (struct bh_span){.base = (i + 1) << (PAGE_SHIFT + 6), .state = SPAN_FREE};
        in_tree[i] = false;
    }
}

TEST(run_tree_agrees_with_a_search)
{
    start();
    expect_agreement();
    for (unsigned i = 0; i < ROUNDS; i++) {
        toggle(harness_random_below(RUNS));
        expect_agreement();
    }
    EXPECT(depth(root, 64) < 40);
}

/* Ascending addresses are what a fresh heap frees; they must not make a list of the tree. */
TEST(run_tree_stays_flat_in_address_order)
{
    start();
    for (size_t i = 0; i < RUNS; i++) {
        runs[i].pages = 1;
        run_tree_insert(&root, &runs[i]);
    }
    EXPECT(depth(root, 64) < 40);
    EXPECT(run_tree_best_fit(root, 1) == &runs[0]);
    EXPECT(run_tree_longest(root) == &runs[RUNS - 1]);
}

TEST_PANICS(run_tree_misses_a_run, "[ALLOC-2] free run 0x* of 1 pages is not in the tree")
{
    start();
    runs[0].pages = 1;
    runs[1].pages = 1;
    run_tree_insert(&root, &runs[0]);
    run_tree_remove(&root, &runs[1]);
}
