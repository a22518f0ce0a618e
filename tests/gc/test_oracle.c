/* SPDX-License-Identifier: MIT */
/*
 * All cores change a random graph, and collect, against an oracle that knows what is reachable.
 *
 * How many rounds of how many operations of each core: "rounds=N ops=N" on the image's command
 * line. The numbers a core draws follow from the seed that a run prints; how the cores take turns
 * does not.
 */
#include "gc/mark.h"
#include "tests/gc/gc_test.h"
#include "tests/gc/oracle.h"
#include "tests/gc/registers.h"
#include <bareheap/port.h>

#define STRESS_ROUNDS 2
#define ROUNDS        8    /* half as many under emulation */
#define OPS           1600 /* of all cores, in a round; of one no more than MOST_OPS */
#define MOST_OPS      400

static struct oracle_tally tally;
static uint64_t overflows_before;

/* A new node at the end of an edge; or dropped at once, given back by hand or not. */
static void add_node(void)
{
    struct oracle_node *from = oracle_walk();
    struct oracle_node *node = oracle_new();
    if (node == NULL)
        return;
    uint64_t die = harness_random_below(16);
    if (die == 0) {
        oracle_forget(node);
        bh_gc_free(node);
    } else if (die < 2 || from == NULL || !oracle_has_edges(from)) {
        oracle_set_root(node);
    } else {
        oracle_link(from, node);
    }
}

static void change_edge(void)
{
    struct oracle_node *from = oracle_walk();
    struct oracle_node *to = harness_random_below(8) == 0 ? NULL : oracle_walk();
    if (from != NULL && oracle_has_edges(from))
        oracle_link(from, to);
}

static void change_root(void)
{
    oracle_set_root(harness_random_below(4) == 0 ? NULL : oracle_walk());
}

static void change_pin(void)
{
    oracle_set_pin(harness_random_below(4) == 0 ? NULL : oracle_walk());
}

static void collect(void)
{
    EXPECT(bh_gc_collect());
}

static void use_manual_memory(void)
{
    bh_free(bh_malloc(1 + harness_random_below(9000)));
}

static void do_something(void)
{
    uint64_t die = harness_random_below(400);
    if (die < 240)
        add_node();
    else if (die < 370)
        change_edge();
    else if (die < 378)
        change_root();
    else if (die < 386)
        change_pin();
    else if (die < 399)
        use_manual_memory();
    else
        collect();
}

/* One of the roots of this core is in a register of this function's caller. */
static void one_round(void *arg)
{
    uint64_t ops = *(const uint64_t *)arg;
    for (uint64_t i = 0; i < ops; i++)
        do_something();
    test_wipe_stack();
    harness_barrier();
    if (bh_port_core() == 0) {
        test_collect();
        oracle_check(&tally);
    }
    harness_barrier();
}

static __attribute__((noinline)) uintptr_t hide_some_node(void)
{
    struct oracle_node *node = oracle_walk();
    oracle_cores[bh_port_core()].in_register = oracle_name(node);
    return test_hide(node);
}

static __attribute__((noinline)) void rounds_of_this_core(uint64_t rounds)
{
    volatile uintptr_t stack[ORACLE_SLOTS];
    uint64_t share = OPS / board_cores();
    uint64_t ops = harness_option("ops", share < MOST_OPS ? share : MOST_OPS);
    oracle_enter(stack);
    rounds = test_is_emulated() ? rounds / 2 : rounds;
    for (uint64_t i = harness_option("rounds", rounds); i > 0; i--) {
        uintptr_t hidden = hide_some_node();
        uintptr_t still = hold_in_register(hidden, one_round, &ops);
        EXPECT_EQ(hidden, still);
    }
    oracle_leave();
}

static void report(void)
{
    harness_note("%llu reachable, %llu dead, %llu of them retained",
                 (unsigned long long)tally.reachable, (unsigned long long)tally.dead,
                 (unsigned long long)tally.retained);
    EXPECT(tally.reachable > 0 && tally.dead > 0);
    EXPECT(tally.retained <= TEST_LEFTOVERS + tally.dead / 50);
}

static void put_back_settings(void)
{
    bh_gc_set_percent(100);
    bh_gc_set_stress(0);
    bh_gc_set_checkmark(false);
    mark_set_queue_pages(SIZE_MAX);
}

/* On all cores; `set` on one of them, before they begin. */
static void run_oracle(uint64_t rounds, void (*set)(void))
{
    test_begin();
    harness_barrier();
    if (bh_port_core() == 0) {
        oracle_begin(board_cores());
        tally = (struct oracle_tally){0};
        set();
    }
    harness_barrier();
    rounds_of_this_core(rounds);
    harness_barrier();
    if (bh_port_core() == 0) {
        report();
        put_back_settings();
        bh_heap_verify();
    }
    harness_barrier();
}

static void set_growth(void)
{
    bh_gc_set_percent(20);
}

TEST_ALL_CORES(gc_oracle_collections_by_growth)
{
    run_oracle(ROUNDS, set_growth);
}

static uint64_t overflows(void)
{
    struct bh_gc_stats stats;
    bh_gc_get_stats(&stats);
    return stats.mark_overflows;
}

static void set_no_mark_queue(void)
{
    overflows_before = overflows();
    mark_set_queue_pages(0);
}

TEST_ALL_CORES(gc_oracle_without_a_mark_queue)
{
    run_oracle(ROUNDS, set_no_mark_queue);
    if (bh_port_core() == 0)
        EXPECT(overflows() > overflows_before);
}

static void set_stress(void)
{
    bh_gc_set_stress(100);
    bh_gc_set_checkmark(true);
}

TEST_ALL_CORES(gc_oracle_with_stress_and_checkmark)
{
    if (test_is_emulated())
        harness_skip("a collection at every n-th allocation takes a minute under emulation");
    else
        run_oracle(STRESS_ROUNDS, set_stress);
}
