/* SPDX-License-Identifier: MIT */
/* Parked cores, cores that do not answer, and cycles that are abandoned. */
#include "alloc/cache.h"
#include "gc/collect.h"
#include "gc/pace.h"
#include "gc/stop.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/string.h"
#include "tests/gc/gc_test.h"
#include <bareheap/port.h>

static struct node *volatile root; /* or the writes would be left out */

struct sleeper {
    uint32_t ready;
    uint32_t go;
    uint64_t magic;
    bool intact;
};
static struct sleeper sleeper;

static struct bh_gc_stats stats_now(void)
{
    struct bh_gc_stats stats;
    bh_gc_get_stats(&stats);
    return stats;
}

static void wait_until(const uint32_t *flag)
{
    while (atomic_load_acquire(flag) == 0) /* pairs with whoever sets it with release */
        board_yield();
}

static bool need_second_core(void)
{
    if (board_cores() >= 2)
        return true;
    harness_skip("needs a second core");
    return false;
}

/* Interrupts off for long, nodes on the stack and, as the compiler likes, in registers. */
static void sleep_parked(void *arg)
{
    (void)arg;
    struct node *first = test_node(sleeper.magic, 1);
    struct node *second = test_node(sleeper.magic, 2);
    board_irq_off();
    bh_gc_park();
    atomic_store_release(&sleeper.ready, 1); /* pairs with wait_until() */
    wait_until(&sleeper.go);
    bh_gc_unpark();
    board_irq_on();
    sleeper.intact = first->magic == sleeper.magic && first->value == 1 &&
                     second->magic == sleeper.magic && second->value == 2;
}

TEST(gc_parked_core_does_not_hold_up_a_collection)
{
    test_begin();
    if (!need_second_core())
        return;
    sleeper = (struct sleeper){.magic = test_magic()};
    board_start(1, sleep_parked, NULL);
    wait_until(&sleeper.ready);
    for (int i = 0; i < 5; i++)
        test_collect();
    EXPECT_EQ(test_count(sleeper.magic), 2);
    atomic_store_release(&sleeper.go, 1); /* pairs with sleep_parked() */
    board_wait(1);
    EXPECT(sleeper.intact);
}

static void sleep_with_interrupts_off(void *arg)
{
    (void)arg;
    struct node *volatile mine = test_node(sleeper.magic, 1);
    board_irq_off();
    atomic_store_release(&sleeper.ready, 1); /* pairs with wait_until() */
    wait_until(&sleeper.go);
    board_irq_on();
    sleeper.intact = mine->magic == sleeper.magic && mine->value == 1;
}

#define GARBAGE 500

static __attribute__((noinline)) void make_garbage(uint64_t magic)
{
    for (int i = 0; i < GARBAGE; i++)
        root = test_node(magic, 1);
    root = NULL;
}

TEST(gc_core_that_does_not_stop_abandons_the_cycle)
{
    uint64_t magic = test_magic();
    test_begin();
    if (!need_second_core())
        return;
    sleeper = (struct sleeper){.magic = test_magic()};
    test_collect();
    make_garbage(magic);
    board_start(1, sleep_with_interrupts_off, NULL);
    wait_until(&sleeper.ready);
    uint64_t abandoned = test_abandoned();
    uint64_t cycles = test_cycles();
    uint64_t waited_ns = stats_now().abandoned_ns;
    stop_set_timeout_ns(50000000);
    EXPECT(!bh_gc_collect());
    EXPECT(stats_now().abandoned_ns >= waited_ns + 50000000);
    EXPECT_EQ(test_abandoned(), abandoned + 1);
    EXPECT_EQ(test_cycles(), cycles);
    EXPECT_EQ(test_count(magic), GARBAGE);

    /* At the goal no allocation waits for that core again, for a while. */
    stop_set_timeout_ns(UINT64_C(500000000));
    bh_gc_set_percent(0);
    for (int i = 0; i < 200000; i++)
        EXPECT((root = bh_gc_alloc(64)) != NULL);
    EXPECT(test_abandoned() <= abandoned + 2);
    bh_gc_set_percent(100);
    root = NULL;

    /* It answers late, which does no harm, and then in time. */
    atomic_store_release(&sleeper.go, 1); /* pairs with sleep_with_interrupts_off() */
    board_wait(1);
    EXPECT(sleeper.intact);
    test_begin();
    test_collect();
    EXPECT(test_cycles() > cycles);
    EXPECT(test_count(magic) <= TEST_LEFTOVERS);
}

/* Keeps interrupts off for so long after it is told to go. */
static void answer_late(void *late_ns)
{
    board_irq_off();
    atomic_store_release(&sleeper.ready, 1); /* pairs with wait_until() */
    wait_until(&sleeper.go);
    for (uint64_t start_ns = bh_port_now_ns(); bh_port_now_ns() - start_ns < *(uint64_t *)late_ns;)
        continue;
    board_irq_on();
}

/* The time of a cycle whose stop another core held up. */
static uint64_t stop_with_a_late_core(uint64_t late_ns)
{
    sleeper = (struct sleeper){0};
    board_start(1, answer_late, &late_ns);
    wait_until(&sleeper.ready);
    atomic_store_release(&sleeper.go, 1); /* pairs with answer_late() */
    test_collect();
    board_wait(1);
    return stats_now().stop_last_ns;
}

/* The time until all stood still is the late core's, if the cycle was asked for in time: a host
 * may have had other things to do. */
TEST(gc_time_to_stop_is_counted)
{
    uint64_t late_ns = 20000000, stop_ns = 0;
    test_begin();
    if (!need_second_core())
        return;
    for (int i = 0; i < 20 && stop_ns < late_ns / 2; i++)
        stop_ns = stop_with_a_late_core(late_ns);
    EXPECT(stop_ns >= late_ns / 2);
    struct bh_gc_stats stats = stats_now();
    EXPECT(stats.stop_max_ns >= stop_ns && stats.stop_last_ns <= stats.pause_last_ns);
    test_collect();
    EXPECT(stats_now().stop_max_ns >= stop_ns);
}

/* Enough to mark that a core can unpark in the middle of it. */
static __attribute__((noinline)) void make_ballast(uint64_t nodes)
{
    for (uint64_t i = 0; i < nodes; i++) {
        struct node *node = test_node(1, i);
        node->left = root;
        root = node;
    }
}

static void drop_ballast(void)
{
    test_drop_list(root, offsetof(struct node, left));
    root = NULL;
}

/* Parks for a while, with interrupts on or off, and allocates as soon as it has unparked. */
static struct node *park_a_while(bool masked, uint64_t magic)
{
    if (masked)
        board_irq_off();
    bh_gc_park();
    for (uint64_t i = harness_random_below(500); i > 0; i--)
        board_yield();
    bh_gc_unpark();
    struct node *node = test_node(magic, 0);
    if (masked)
        board_irq_on();
    return node;
}

static void park_until_told(void *arg)
{
    (void)arg;
    struct node *volatile kept = test_node(sleeper.magic, 0);
    atomic_store_release(&sleeper.ready, 1); /* pairs with wait_until() */
    while (!atomic_load_acquire(&sleeper.go)) {
        EXPECT(kept->magic == sleeper.magic);
        struct node *node = park_a_while(false, sleeper.magic);
        node->left = kept->left; /* NULL, or the one before */
        kept->left = node;
        if (node->left != NULL)
            node->left->left = NULL;
    }
}

/* Marking takes long and the other core is parked nearly always: it unparks in the middle. */
TEST(gc_unpark_waits_for_a_mark_to_end)
{
    test_begin();
    if (!need_second_core())
        return;
    make_ballast(200000);
    sleeper = (struct sleeper){.magic = test_magic()};
    board_start(1, park_until_told, NULL);
    wait_until(&sleeper.ready);
    for (int i = 0; i < 5; i++)
        EXPECT(bh_gc_collect());
    atomic_store_release(&sleeper.go, 1); /* pairs with park_until_told() */
    board_wait(1);
    bh_heap_verify();
    drop_ballast();
    test_collect();
}

/* ---- unparking in a stop ---- */

#define UNPARK_WINDOW_NS 20000000

struct riser {
    uint32_t ready;
    uint32_t go;
    uint32_t trying;
    uint32_t unparked;
    bool was_early;
};
static struct riser riser;

static void rise(void *arg)
{
    (void)arg;
    bh_gc_park();
    atomic_store_release(&riser.ready, 1); /* pairs with wait_until() */
    wait_until(&riser.go);
    atomic_store_release(&riser.trying, 1); /* likewise */
    bh_gc_unpark();
    atomic_store_release(&riser.unparked, 1); /* pairs with the loads of it */
}

/* In the stop, where nothing is logged: what is wrong is noted. Before the mark the other core is
 * told to unpark and gets all the time it needs; after the mark it must still be at it. */
static void let_it_rise(bool marked)
{
    if (marked) {
        riser.was_early = atomic_load_acquire(&riser.unparked) != 0; /* pairs with rise() */
        return;
    }
    atomic_store_release(&riser.go, 1); /* pairs with wait_until() */
    wait_until(&riser.trying);
    for (uint64_t start_ns = bh_port_now_ns(); bh_port_now_ns() - start_ns < UNPARK_WINDOW_NS;)
        board_yield();
}

TEST(gc_unpark_in_a_stop_waits_for_its_end)
{
    test_begin();
    if (!need_second_core())
        return;
    riser = (struct riser){.ready = 0};
    board_start(1, rise, NULL);
    wait_until(&riser.ready);
    collect_mark_hook = let_it_rise;
    test_collect();
    collect_mark_hook = NULL;
    EXPECT(riser.trying == 1 && !riser.was_early);
    board_wait(1);
    EXPECT_EQ(riser.unparked, 1);
}

/* All cores park, unpark, allocate and collect, in random order. */
TEST_ALL_CORES(gc_parking_and_collecting_in_any_order)
{
    enum { KEPT = 16, PARK_ROUNDS = 100 };
    test_begin();
    uint64_t magic = test_magic();
    struct node *kept[KEPT] = {NULL};
    if (bh_port_core() == 0)
        make_ballast(5000);
    harness_barrier();
    for (uint64_t i = 0; i < PARK_ROUNDS; i++) {
        size_t which = harness_random_below(KEPT);
        uint64_t choice = harness_random_below(16);
        if (kept[which] != NULL)
            EXPECT(kept[which]->magic == magic && kept[which]->left->magic == magic);
        struct node *node = choice < 8 ? park_a_while(choice < 4, magic) : test_node(magic, i);
        node->left = test_node(magic, i);
        kept[which] = node;
        if (choice == 15)
            EXPECT(bh_gc_collect());
    }
    bh_gc_park(); /* waits for the others without holding up their collections */
    harness_barrier();
    bh_gc_unpark();
    for (size_t i = 0; i < KEPT; i++)
        EXPECT(kept[i] == NULL || kept[i]->magic == magic);
    harness_barrier();
    if (bh_port_core() == 0)
        drop_ballast();
}

/* ---- without a clock ---- */

static void expect_late_line(uint64_t waited_ns, const char *expected)
{
    char line[STOP_LINE_BYTES];
    size_t bytes = stop_describe_late(line, 3, waited_ns, "cycle abandoned");
    EXPECT_EQ(bytes, string_length(line));
    if (!EXPECT(string_equal(line, expected)))
        harness_note("%s", line);
}

TEST(gc_late_core_is_named_with_the_time_that_was_waited)
{
    stop_set_timeout_ns(2000000000);
    expect_late_line(2000000001,
                     "bareheap: gc: core 3 did not stop within 2000 ms: cycle abandoned\n");
    expect_late_line(0, "bareheap: gc: core 3 did not stop: cycle abandoned\n");
    test_begin();
}

/* How many requests are turned away when a cycle has been abandoned at time 0 by a clock that
 * stands still. */
static unsigned turned_away(void)
{
    unsigned count = 0;
    pace_cycle_abandoned(0);
    while (pace_is_backing_off(0))
        count++;
    return count;
}

TEST(gc_back_off_without_a_clock_doubles_until_a_cycle_is_completed)
{
    test_begin();
    test_collect();
    for (unsigned requests = 64; requests <= 4096; requests *= 2)
        EXPECT_EQ(turned_away(), requests);
    EXPECT_EQ(turned_away(), 4096);
    EXPECT(!pace_is_backing_off(0));
    test_collect();
    EXPECT_EQ(turned_away(), 64);
    test_collect();
}

/* ---- what a handler leaves in the cache of a core that is about to park ---- */

#define PARK_INSTRUCTIONS_MOST 20000

static void allocate_on_the_way(void)
{
    if (!stop_is_parked())
        bh_free(bh_malloc(48));
}

static void park_and_look(void *cached)
{
    bh_gc_park();
    *(size_t *)cached = cache_look(bh_port_core()).objs;
    bh_gc_unpark();
}

TEST(gc_parked_core_has_an_empty_cache_whatever_came_between)
{
    size_t cached = 0;
    test_begin();
    if (board_stepping() != BOARD_STEPS_ANYWHERE) {
        harness_skip("this machine cannot step");
        return;
    }
    for (uint64_t n = 1; n < PARK_INSTRUCTIONS_MOST; n += n < 16 ? 1 : n / 6) {
        bh_free(bh_malloc(48));
        bool done =
            board_interrupt_at(n, allocate_on_the_way, park_and_look, &cached) == BOARD_RETURNED;
        EXPECT_EQ(cached, 0);
        if (done)
            return;
    }
}

TEST_PANICS(gc_park_twice, "bh_gc_park() on core 0, which is parked")
{
    bh_gc_park();
    bh_gc_park();
}

TEST_PANICS(gc_unpark_without_park, "bh_gc_unpark() on core 0, which is not parked")
{
    bh_gc_unpark();
}

TEST_PANICS(gc_collect_while_parked, "core 0 asks for a collection while it is parked")
{
    test_begin();
    bh_gc_park();
    bh_gc_collect();
}
