/* SPDX-License-Identifier: MIT */
/* alloc/run_tree.h against an array of runs that is searched from end to end. */
#include "alloc/run_tree.h"
#include "tests/harness/harness.h"

#define RUNS   200
#define ROUNDS 3000

static struct bh_span runs[RUNS];
static bool in_tree[RUNS];
static struct run_trees trees;

static bool comes_before(const struct bh_span *a, const struct bh_span *b)
{
    return a->pages != b->pages ? a->pages < b->pages : a->base < b->base;
}

static bool comes_after(const struct bh_span *run, const struct bh_span *than)
{
    return !than || comes_before(than, run);
}

/* The shortest run of at least `pages`, the lowest of those; NULL when there is none. */
static struct bh_span *naive_best_fit(size_t pages)
{
    struct bh_span *best = NULL;
    for (size_t i = 0; i < RUNS; i++)
        if (in_tree[i] && runs[i].pages >= pages && (!best || comes_before(&runs[i], best)))
            best = &runs[i];
    return best;
}

/* The last run in the order before a run of `pages` at `base`; NULL when there is none. */
static struct bh_span *naive_before(size_t pages, uintptr_t base)
{
    struct bh_span limit = {.pages = (uint32_t)pages, .base = base};
    struct bh_span *last = NULL;
    for (size_t i = 0; i < RUNS; i++)
        if (in_tree[i] && comes_before(&runs[i], &limit) && comes_after(&runs[i], last))
            last = &runs[i];
    return last;
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
        run_tree_remove(&trees, &runs[i]);
    } else {
        runs[i].pages = (uint32_t)harness_random_below(100) + 1;
        run_tree_insert(&trees, &runs[i]);
    }
    in_tree[i] = !in_tree[i];
}

static void expect_agreement(void)
{
    size_t pages = harness_random_below(105) + 1;
    EXPECT(run_tree_best_fit(&trees, pages) == naive_best_fit(pages));
    uintptr_t base = runs[harness_random_below(RUNS)].base;
    EXPECT(run_tree_before(&trees, pages, base) == naive_before(pages, base));
    EXPECT(run_tree_longest(&trees) == naive_before(UINT32_MAX, 0));
}

static void start(void)
{
    trees = (struct run_trees){0};
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
    for (size_t n = 0; n < RUN_LENGTHS; n++)
        EXPECT(depth(trees.by_length[n], 64) < 40);
}

/* Ascending addresses are what a fresh heap frees; they must not make a list of the tree. */
TEST(run_tree_stays_flat_in_address_order)
{
    start();
    for (size_t i = 0; i < RUNS; i++) {
        runs[i].pages = 1;
        run_tree_insert(&trees, &runs[i]);
    }
    EXPECT(depth(trees.by_length[1], 64) < 40);
    EXPECT(run_tree_best_fit(&trees, 1) == &runs[0]);
    EXPECT(run_tree_longest(&trees) == &runs[RUNS - 1]);
}

TEST_PANICS(run_tree_misses_a_run, "[ALLOC-2] free run 0x* of 1 pages is not in the tree")
{
    start();
    runs[0].pages = 1;
    runs[1].pages = 1;
    run_tree_insert(&trees, &runs[0]);
    run_tree_remove(&trees, &runs[1]);
}
