/* SPDX-License-Identifier: MIT */
/* Growth, goals, exhaustion, pressure from the manual heap, freeing by hand, interrupts. */
#include "alloc/walk.h"
#include "gc/pace.h"
#include "kernel-lib/atomics.h"
#include "tests/gc/gc_test.h"

static void *volatile root; /* or the writes would be left out */

/* Garbage until `done`, or four times what the heap may hold. */
static bool allocate_until(bool (*done)(void))
{
    size_t most = 4 * pace_goal() / sizeof(struct node);
    for (size_t i = 0; i < most && !done(); i++)
        root = test_node(3, i);
    root = NULL;
    return done();
}

static uint64_t cycles_before;

static bool has_collected(void)
{
    return test_cycles() > cycles_before;
}

TEST(gc_growth_collects_by_itself)
{
    struct bh_gc_stats stats;
    test_begin();
    test_collect();
    cycles_before = test_cycles();
    bh_gc_get_stats(&stats);
    uint64_t growth_before = stats.growth_cycles;
    EXPECT(allocate_until(has_collected));
    bh_gc_get_stats(&stats);
    EXPECT(stats.growth_cycles > growth_before);
    EXPECT(stats.heap_bytes <= stats.goal_bytes + ((size_t)1 << 20));
}

TEST(gc_goal_follows_the_percentage)
{
    struct bh_gc_stats stats;
    test_begin();
    EXPECT(bh_gc_alloc_noscan((size_t)20 << 20) != NULL);
    root = bh_gc_alloc_noscan((size_t)20 << 20);
    test_collect();
    bh_gc_get_stats(&stats);
    EXPECT(stats.goal_bytes >= 2 * stats.live_bytes);
    EXPECT(stats.goal_bytes <= 2 * stats.live_bytes + ((size_t)16 << 20)); /* stacks, globals */
    EXPECT_EQ(bh_gc_set_percent(50), 100);
    bh_gc_get_stats(&stats);
    EXPECT(stats.goal_bytes >= stats.live_bytes + stats.live_bytes / 2);
    EXPECT(stats.goal_bytes < 2 * stats.live_bytes + ((size_t)8 << 20));
    EXPECT_EQ(bh_gc_set_percent(-7), 50);
    EXPECT_EQ(pace_goal(), SIZE_MAX);
    EXPECT_EQ(bh_gc_set_percent(100), -1);
    root = NULL;
    test_collect();
}

TEST(gc_percent_off_collects_only_when_memory_is_out)
{
    test_begin();
    test_collect();
    test_take_memory((size_t)8 << 20);
    bh_gc_set_percent(-1);
    struct bh_gc_stats before, after;
    bh_gc_get_stats(&before);
    for (int i = 0; i < 30; i++)
        EXPECT((root = bh_gc_alloc_noscan((size_t)100 << 10)) != NULL);
    EXPECT_EQ(test_cycles(), before.cycles);
    for (int i = 0; i < 200; i++)
        EXPECT((root = bh_gc_alloc_noscan((size_t)100 << 10)) != NULL);
    bh_gc_get_stats(&after);
    EXPECT(after.cycles > before.cycles);
    EXPECT_EQ(after.memory_cycles - before.memory_cycles, after.cycles - before.cycles);
    bh_gc_set_percent(100);
    root = NULL;
    test_give_memory();
    test_collect();
}

struct block {
    struct block *next;
    uint64_t number;
    uint64_t rest[1000];
};

/* As many as there is memory for, in a list; each knows its number. */
static __attribute__((noinline)) uint64_t make_blocks(void)
{
    struct block *list = NULL;
    uint64_t blocks = 0;
    for (struct block *block; (block = bh_gc_alloc(sizeof(*block))) != NULL; blocks++) {
        block->next = list;
        block->number = blocks;
        root = list = block;
    }
    return blocks;
}

static __attribute__((noinline)) void expect_blocks(uint64_t blocks)
{
    for (const struct block *at = root; at != NULL; at = at->next)
        EXPECT_EQ(at->number, --blocks);
    EXPECT_EQ(blocks, 0);
}

/* All memory in one list, whose end is reached; then the list is dropped. */
TEST_ALONE(gc_exhaustion_and_recovery)
{
    test_begin();
    test_collect();
    test_take_memory((size_t)4 << 20);
    for (int round = 0; round < 3; round++) {
        uint64_t blocks = make_blocks();
        EXPECT(blocks > 200);
        EXPECT(bh_gc_alloc(sizeof(struct block)) == NULL);
        expect_blocks(blocks);
        test_drop_list(root, offsetof(struct block, next));
        root = NULL;
        test_wipe_stack();
    }
    EXPECT((root = bh_gc_alloc((size_t)1 << 20)) != NULL);
    root = NULL;
    test_give_memory();
    test_collect();
    bh_heap_verify();
}

TEST_ALONE(gc_malloc_under_pressure_collects)
{
    test_begin();
    test_collect();
    test_take_memory((size_t)16 << 20);
    bh_gc_set_percent(-1);
    for (int i = 0; i < 70; i++) /* each longer than the runs that test_take_memory() leaves */
        root = bh_gc_alloc((size_t)200 << 10);
    root = NULL;
    test_wipe_stack();
    uint64_t before = test_cycles();
    void *manual = bh_malloc((size_t)4 << 20);
    EXPECT(manual != NULL);
    EXPECT(test_cycles() > before);
    bh_free(manual);
    bh_gc_set_percent(100);
    test_give_memory();
}

TEST(gc_absurd_sizes_are_null)
{
    test_begin();
    uint64_t before = test_cycles();
    EXPECT(bh_gc_alloc(SIZE_MAX) == NULL);
    EXPECT(bh_gc_alloc_noscan((size_t)PTRDIFF_MAX + 1) == NULL);
    EXPECT_EQ(test_cycles(), before);
    EXPECT(bh_gc_alloc((size_t)PTRDIFF_MAX) == NULL);
    EXPECT(bh_gc_alloc(0) != NULL);
}

TEST(gc_free_gives_back_at_once)
{
    test_begin();
    struct node *node = test_node(5, 5);
    uintptr_t hidden = test_hide(node);
    EXPECT(test_is_alive(hidden));
    bh_gc_free(node);
    EXPECT(!test_is_alive(hidden));
    void *large = bh_gc_alloc((size_t)1 << 20);
    hidden = test_hide(large);
    bh_gc_free(large);
    EXPECT(!test_is_alive(hidden));
    bh_gc_free(NULL);
}

TEST_PANICS(
    gc_free_of_a_manual_object,
    "bh_gc_free(0x*): not a collected object: byte 0 of object * (0x*, * bytes) of the manual "
    "span 0x*, class *; caller 0x* (*)")
{
    test_begin();
    bh_gc_free(bh_malloc(64));
}

/* The goal is far behind, but who has interrupts off gets memory and no cycle. */
TEST(gc_interrupts_off_never_collects)
{
    test_begin();
    test_collect();
    bh_gc_set_percent(0);
    uint64_t before = test_cycles();
    board_irq_off();
    EXPECT(!bh_gc_collect());
    for (int i = 0; i < 200000; i++)
        root = bh_gc_alloc(24);
    EXPECT_EQ(test_cycles(), before);
    EXPECT(pace_is_due());
    board_irq_on();
    bh_gc_set_percent(100);
    root = NULL;
    test_collect();
}

TEST(gc_interrupts_off_exhaustion_is_null)
{
    test_begin();
    test_collect();
    test_take_memory((size_t)4 << 20);
    uint64_t before = test_cycles();
    board_irq_off();
    while ((root = bh_gc_alloc(8000)) != NULL)
        continue;
    EXPECT_EQ(test_cycles(), before);
    board_irq_on();
    EXPECT((root = bh_gc_alloc(8000)) != NULL);
    EXPECT(test_cycles() > before);
    root = NULL;
    test_give_memory();
}

/* A cycle in which nothing was reached, and nothing is swept yet. */
TEST_ALONE(gc_idle_work_sweeps)
{
    test_begin();
    bh_gc_set_percent(-1);
    for (unsigned i = 0; i < 1000; i++)
        test_node(1, i);
    uintptr_t irq = arch_irq_save();
    walk_sweep_all();
    walk_cycle_begin();
    walk_cycle_end(0);
    arch_irq_restore(irq);
    EXPECT(walk_is_unswept());
    while (bh_gc_work(8))
        continue;
    EXPECT(!walk_is_unswept());
    bh_gc_set_percent(100);
    test_collect();
}

/* ---- the timer interrupt allocates ---- */

enum { TICK_SLOTS = 32 };
static struct node *ticked[TICK_SLOTS];
static uint64_t ticks;
static uint64_t tick_errors;

/* A ring of the last objects, each checked when it is replaced. */
static void tick(void)
{
    struct node **slot = &ticked[ticks % TICK_SLOTS];
    if (*slot != NULL && ((*slot)->magic != 11 || (*slot)->value != ticks - TICK_SLOTS))
        tick_errors++;
    struct node *node = bh_gc_alloc(sizeof(*node));
    *slot = node;
    if (node != NULL) {
        if (node->magic != 0 || node->left != NULL)
            tick_errors++;
        node->magic = 11;
        node->value = ticks;
        node->left = bh_gc_alloc_noscan(40);
    }
    bh_free(bh_malloc(100));
    atomic_store_relaxed(&ticks, ticks + 1); /* relaxed: for the loop that waits for some */
}

TEST(gc_timer_interrupt_allocates)
{
    test_begin();
    ticks = tick_errors = 0;
    uint64_t before = test_cycles();
    board_timer_start(200000, tick);
    for (int i = 0; test_cycles() < before + 20 || atomic_load_relaxed(&ticks) < 40; i++) {
        struct node *node = test_node(12, (uint64_t)i);
        node->left = test_node(12, 1);
        root = node;
        EXPECT(node->left->value == 1);
        if (i % 20000 == 0)
            EXPECT(bh_gc_collect());
    }
    board_timer_stop();
    EXPECT_EQ(tick_errors, 0);
    for (size_t i = 0; i < TICK_SLOTS; i++)
        ticked[i] = NULL;
    root = NULL;
    bh_heap_verify();
}
