/* SPDX-License-Identifier: MIT */
/*
 * Marking by several cores: who does how much, what is stolen, what overflows, who stays away.
 *
 * How much each core does depends on when the machine below lets it run, unless its cores execute
 * in turn ("turns=1", tests/harness/machines.py): elsewhere such figures are tried for several
 * times, and once is enough. What is marked does not depend on it and is compared every time.
 *
 * The large graphs have boots of their own: if a stale word held one, each collection after it
 * would have to mark it.
 */
#include "arch/arch.h"
#include "gc/mark.h"
#include "gc/pace.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include "tests/gc/gc_test.h"

#define TRIES 20

static void *volatile root;

/* What the cores did in the last mark, together and at most. */
struct shares {
    unsigned cores; /* that did anything */
    uint64_t objects;
    uint64_t steals;
    uint64_t most_objects;
    uint64_t most_bytes;
};

static struct shares shares_now(void)
{
    struct shares all = {0};
    for (unsigned core = 0; core < board_cores(); core++) {
        struct mark_counts one = mark_counts_of(core);
        all.cores += one.scanned_bytes != 0;
        all.objects += one.objects;
        all.steals += one.steals;
        all.most_objects = one.objects > all.most_objects ? one.objects : all.most_objects;
        all.most_bytes = one.scanned_bytes > all.most_bytes ? one.scanned_bytes : all.most_bytes;
    }
    return all;
}

static struct shares collect_with(unsigned cores)
{
    mark_set_cores(cores);
    test_collect();
    mark_set_cores(UINT32_MAX);
    return shares_now();
}

/* A graph in which any node leads to most others: where `count` nodes hang on, at random. */
static __attribute__((noinline)) void make_random_graph(uint64_t magic, size_t count)
{
    struct node **nodes = root = bh_gc_alloc(count * sizeof(*nodes));
    BH_CHECK(nodes != NULL, "test: no memory for a graph");
    for (size_t i = 0; i < count; i++) {
        nodes[i] = test_node(magic, i);
        nodes[i]->left = nodes[harness_random_below(i + 1)];
        nodes[i]->right = nodes[harness_random_below(i + 1)];
    }
}

/* A tree whose nodes are reached from its root alone, `depth` deep. */
static struct node *make_tree(uint64_t magic, unsigned depth)
{
    struct node *node = test_node(magic, depth);
    if (depth > 1) {
        node->left = make_tree(magic, depth - 1);
        node->right = make_tree(magic, depth - 1);
    }
    return node;
}

static __attribute__((noinline)) void make_rooted_tree(uint64_t magic, unsigned depth)
{
    root = make_tree(magic, depth);
}

TEST(gc_one_core_and_all_mark_the_same)
{
    enum { NODES = 10000 };
    uint64_t magic = test_magic();
    test_begin();
    make_random_graph(magic, NODES);
    struct shares alone = collect_with(1);
    EXPECT_EQ(alone.cores, 1);
    EXPECT_EQ(alone.steals, 0);
    for (int i = 0; i < 4; i++) {
        struct shares all = collect_with(UINT32_MAX);
        EXPECT(all.objects > NODES); /* less of what earlier cases left may be held than before */
        EXPECT(all.objects <= alone.objects + TEST_LEFTOVERS);
        EXPECT_EQ(test_count(magic), NODES);
    }
    root = NULL;
}

/* At a time, that is: between two rounds of an overflow one core can take another's place. Here
 * nothing overflows, and who comes when the first has left finds nothing to do. */
TEST(gc_no_more_cores_mark_than_wanted)
{
    test_begin();
    make_rooted_tree(test_magic(), 12);
    for (unsigned cores = 1; cores <= board_cores(); cores++)
        EXPECT(collect_with(cores).cores <= cores);
    EXPECT_EQ(collect_with(1).cores, 1);
    root = NULL;
}

/* What one core does at most, of what it did alone, in percent: of objects or bytes. */
static uint64_t worst_percent(struct shares all, struct shares alone)
{
    uint64_t objects = all.most_objects * 100 / alone.most_objects;
    uint64_t bytes = all.most_bytes * 100 / alone.most_bytes;
    return objects > bytes ? objects : bytes;
}

/* The best of some tries. */
static struct shares best_shares(struct shares alone, uint64_t percent, unsigned tries)
{
    struct shares best = alone;
    for (unsigned i = 0; i < tries && worst_percent(best, alone) > percent; i++) {
        struct shares all = collect_with(UINT32_MAX);
        best = worst_percent(all, alone) < worst_percent(best, alone) ? all : best;
    }
    harness_note("%llu objects: at most %llu percent by one of %u cores, %llu pieces stolen",
                 (unsigned long long)best.objects, (unsigned long long)worst_percent(best, alone),
                 best.cores, (unsigned long long)best.steals);
    return best;
}

TEST_ALONE(gc_four_cores_share_the_marking)
{
    enum { DEPTH = 19, A_THIRD = 33, SOME_TRIES = 5 };
    bool in_turns = harness_option("turns", 0) != 0;
    uint64_t magic = test_magic();
    test_begin();
    if (board_cores() < 4)
        return harness_skip("fewer than 4 cores");
    make_rooted_tree(magic, DEPTH);
    struct shares alone = collect_with(1);
    EXPECT_EQ(alone.most_objects, alone.objects);
    struct shares best = best_shares(alone, A_THIRD, in_turns ? 1 : SOME_TRIES);
    EXPECT(!in_turns || worst_percent(best, alone) <= A_THIRD);
    EXPECT(!test_is_emulated() || best.steals > 0);
    EXPECT_EQ(test_count(magic), ((size_t)1 << DEPTH) - 1);
    root = NULL;
}

TEST(gc_stacks_of_several_cores_overflow)
{
    enum { WIDTH = 120 };
    struct bh_gc_stats before;
    struct bh_gc_stats after;
    uint64_t magic = test_magic();
    test_begin();
    root = test_wide_graph(magic, WIDTH); /* one array is more than the first entries hold */
    bh_gc_get_stats(&before);
    for (size_t pages = 0; pages < 3; pages++) {
        mark_set_queue_pages(pages);
        for (int i = 0; i < 5; i++) {
            (void)collect_with(UINT32_MAX);
            EXPECT_EQ(test_count(magic), WIDTH * WIDTH);
        }
    }
    mark_set_queue_pages(SIZE_MAX);
    bh_gc_get_stats(&after);
    EXPECT(after.mark_overflows > before.mark_overflows);
    root = NULL;
}

/* An array of pointers to objects without pointers, as large as the heap has room for. */
static __attribute__((noinline)) size_t make_array(size_t bytes, size_t step)
{
    void **array = root = bh_gc_alloc(bytes);
    size_t held = 0;
    for (size_t at = 0; array != NULL && at < bytes / sizeof(*array); at += step) {
        uint64_t *object = array[at] = bh_gc_alloc_noscan(16);
        BH_CHECK(object != NULL, "test: no memory for an object");
        *object = at;
        held++;
    }
    return held;
}

static size_t array_bytes(void)
{
    struct bh_stats stats;
    bh_get_stats(&stats);
    size_t most = (size_t)100 << 20;
    return stats.largest_run_bytes / 2 < most ? stats.largest_run_bytes / 2 : most;
}

TEST_ALONE(gc_one_large_object_is_shared_in_parts)
{
    enum { STEP = 4099 };
    test_begin();
    test_collect();
    size_t bytes = array_bytes();
    size_t held = make_array(bytes, STEP);
    struct shares all = {0};
    for (int i = 0; i < (board_cores() == 1 ? 1 : TRIES); i++) {
        all = collect_with(UINT32_MAX);
        EXPECT(all.objects >= held);
        if (all.most_bytes < bytes / 10 * 9)
            break;
    }
    EXPECT(board_cores() == 1 || all.most_bytes < bytes / 10 * 9);
    uint64_t **array = root;
    REQUIRE(array != NULL);
    for (size_t at = 0; at < bytes / sizeof(*array); at += STEP)
        EXPECT(*array[at] == at);
    root = NULL;
    test_collect();
}

static uint32_t away;  /* 1: the core is; 2: it may come back */
static uint32_t ready; /* cores that have what they want to allocate */

static void stay_away(void *arg)
{
    (void)arg;
    bh_gc_park();
    atomic_store_release(&away, 1); /* pairs with the wait for it */
    while (atomic_load_acquire(&away) != 2)
        board_yield();
    bh_gc_unpark();
}

TEST(gc_parked_cores_do_not_mark)
{
    uint64_t magic = test_magic();
    test_begin();
    if (board_cores() < 2)
        return harness_skip("one core");
    make_rooted_tree(magic, 12);
    atomic_store_relaxed(&away, 0); /* the core starts after it */
    board_start(1, stay_away, NULL);
    while (atomic_load_acquire(&away) != 1)
        board_yield();
    for (int i = 0; i < 5; i++) {
        (void)collect_with(UINT32_MAX);
        EXPECT_EQ(mark_counts_of(1).scanned_bytes, 0);
    }
    atomic_store_release(&away, 2); /* pairs with the load in stay_away() */
    board_wait(1);
    EXPECT_EQ(test_count(magic), ((size_t)1 << 12) - 1);
    root = NULL;
}

/* As an idle loop: interrupts on, and nothing to do. */
static void rest(void *arg)
{
    (void)arg;
    struct node *volatile mine = test_node(1, 2);
    bh_gc_park_idle();
    atomic_store_release(&away, 1); /* pairs with the wait for it */
    while (atomic_load_acquire(&away) != 2)
        board_yield();
    bh_gc_unpark();
    EXPECT_EQ(mine->value, 2);
}

/* Unless earlier cases have left much to scan: then it is called. */
static void expect_left_alone(unsigned core)
{
    bool called = pace_helpers() != 0;
    (void)collect_with(UINT32_MAX);
    EXPECT(called || mark_counts_of(core).scanned_bytes == 0);
}

/* The core that rests is left alone while little is marked, and called when much was last time. */
TEST(gc_idle_cores_help_with_large_heaps)
{
    enum { NODES = 10000, BYTES = 24 << 20, CALLS = 500 }; /* a busy machine may run it late */
    uint64_t magic = test_magic();
    test_begin();
    if (board_cores() < 2)
        return harness_skip("one core");
    atomic_store_relaxed(&away, 0); /* the core starts after it */
    board_start(1, rest, NULL);
    while (atomic_load_acquire(&away) != 1)
        board_yield();
    make_random_graph(magic, NODES);
    for (int i = 0; i < 5; i++)
        expect_left_alone(1);
    void **array = bh_gc_alloc(BYTES);
    REQUIRE(array != NULL);
    array[BYTES / sizeof(*array) - 1] = root; /* the graph hangs on the end of much to scan */
    root = array;
    uint64_t helped = 0;
    for (int i = 0; i < CALLS && helped == 0; i++) {
        (void)collect_with(UINT32_MAX);
        helped = mark_counts_of(1).scanned_bytes;
    }
    EXPECT(helped != 0);
    EXPECT_EQ(test_count(magic), NODES);
    bh_gc_free(root);
    root = NULL;
    test_collect(); /* the last for which it is called */
    expect_left_alone(1);
    atomic_store_release(&away, 2); /* pairs with the load in rest() */
    board_wait(1);
}

/* In and out of the park, so that it is late for many a stop and gone from others. */
static void come_and_go(void *arg)
{
    (void)arg;
    struct node *volatile mine = test_node(1, 2);
    (void)atomic_add_acq_rel(&ready, 1); /* pairs with the wait for all */
    for (unsigned i = 0; atomic_load_acquire(&away) != 2; i++) {
        uintptr_t irq = arch_irq_save();
        for (unsigned k = 0; k < i % 64 * 100; k++)
            arch_pause();
        arch_irq_restore(irq);
        if (i % 4 == 0) {
            i % 8 == 0 ? bh_gc_park() : bh_gc_park_idle();
            bh_gc_unpark();
        }
    }
    EXPECT_EQ(mine->value, 2);
}

TEST(gc_cores_that_come_late_and_go)
{
    uint64_t magic = test_magic();
    test_begin();
    make_rooted_tree(magic, 12);
    atomic_store_relaxed(&away, 0); /* the cores start after both */
    atomic_store_relaxed(&ready, 0);
    for (unsigned core = 1; core < board_cores(); core++)
        board_start(core, come_and_go, NULL);
    while (atomic_load_acquire(&ready) != board_cores() - 1)
        board_yield();
    for (int i = 0; i < 40; i++) {
        test_collect();
        EXPECT_EQ(test_count(magic), ((size_t)1 << 12) - 1);
    }
    atomic_store_release(&away, 2); /* pairs with the loads in come_and_go() */
    for (unsigned core = 1; core < board_cores(); core++)
        board_wait(core);
    root = NULL;
}
