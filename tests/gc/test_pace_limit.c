/* SPDX-License-Identifier: MIT */
/* Pacing with real cycles: a heap under its limit, one that has to pass it, pressure from the
 * manual heap, the period; and the counters. */
#include "alloc/walk.h"
#include "gc/pace.h"
#include "tests/gc/gc_test.h"
#include <bareheap/port.h>

#define MB ((size_t)1 << 20)

static void *volatile root; /* or the writes would be left out */
static void *volatile list;

static struct bh_gc_stats stats_now(void)
{
    struct bh_gc_stats stats;
    bh_gc_get_stats(&stats);
    return stats;
}

/* Garbage of mixed sizes, scanned and not; some of them large. Returns how many
 * bytes. */
static size_t make_garbage(void)
{
    uint32_t dice = (uint32_t)harness_random();
    size_t bytes = dice % 512 == 0 ? 100000 : 16 + dice % 2000;
    root = dice & 0x10000 ? bh_gc_alloc(bytes) : bh_gc_alloc_noscan(bytes);
    EXPECT(root != NULL);
    return bytes;
}

/* A list that stays, of so many bytes. */
static void keep(size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof(struct node); i++) {
        struct node *node = test_node(21, i);
        node->left = list;
        list = node;
    }
}

/* What lives in the heap besides is other tests' affair: cycles may take as long as they like. */
static void begin_unlimited(void)
{
    test_begin();
    pace_set_limiter_ns(UINT64_MAX / 2);
}

static void end(void)
{
    test_drop_list(list, offsetof(struct node, left));
    root = list = NULL;
    bh_gc_set_limit(SIZE_MAX);
    bh_gc_set_percent(100);
    pace_set_limiter_ns(PACE_LIMITER_NS);
    pace_set_period_ns(PACE_PERIOD_NS);
    test_collect();
    bh_heap_verify();
}

TEST(pace_garbage_stays_under_the_limit)
{
    begin_unlimited();
    keep(1 * MB);
    test_collect();
    size_t limit = walk_used_bytes() + 12 * MB;
    size_t peak = 0;
    bh_gc_set_percent(-1);
    bh_gc_set_limit(limit);
    uint64_t before = test_cycles();
    for (size_t made = 0; made < 36 * MB;) {
        made += make_garbage();
        peak = walk_used_bytes() > peak ? walk_used_bytes() : peak;
    }
    EXPECT(test_cycles() >= before + 2);
    EXPECT(test_cycles() <= before + 10);
    if (!EXPECT(peak <= limit))
        harness_note("limit %zu KB, peak %zu KB", limit >> 10, peak >> 10);
    EXPECT_EQ(stats_now().limit_bytes, limit);
    end();
}

/* The bucket is full, as if a cycle had taken an hour: the heap passes the limit. */
TEST_ALONE(pace_full_limiter_holds_back)
{
    uint64_t now_ns = bh_port_now_ns();
    test_begin();
    keep(1 * MB);
    test_collect();
    bh_gc_set_percent(-1);
    bh_gc_set_limit(0);
    struct bh_gc_stats before = stats_now();
    pace_cycle_done(&(struct pace_cycle){.start_ns = now_ns,
                                         .end_ns = now_ns + 3600 * (uint64_t)1000000000,
                                         .heap_bytes = before.heap_bytes,
                                         .live_bytes = before.live_bytes});
    for (size_t made = 0; made < 2 * MB;)
        made += make_garbage();
    EXPECT_EQ(test_cycles(), before.cycles);
    EXPECT_EQ(stats_now().limiter_skips, before.limiter_skips + 1);
    pace_set_limiter_ns(PACE_LIMITER_NS);
    for (size_t made = 0; made < 2 * MB && test_cycles() == before.cycles;)
        made += make_garbage();
    EXPECT(test_cycles() > before.cycles);
    end();
}

/* What lives is above the limit: each allocation of a step wants a cycle that frees next to
 * nothing. The bound is limiter.h's, to the nanosecond: it counts the same pauses by the same
 * clock. */
TEST(pace_limit_is_no_death_spiral)
{
    const uint64_t capacity_ns = 2000000;
    test_begin();
    keep(4 * MB);
    test_collect();
    bh_gc_set_percent(-1);
    bh_gc_set_limit(walk_used_bytes() / 2);
    pace_set_limiter_ns(capacity_ns);
    struct bh_gc_stats before = stats_now();
    uint64_t start_ns = bh_port_now_ns(), now_ns = start_ns;
    size_t made = 0;
    while (made < 1 * MB || (now_ns - start_ns < 300000000 && made < 64 * MB)) {
        root = bh_gc_alloc_noscan(64000); /* costs less than the cycles that it wants */
        EXPECT(root != NULL);
        made += 64000;
        now_ns = bh_port_now_ns();
    }
    struct bh_gc_stats after = stats_now();
    uint64_t collected_ns = after.pause_total_ns - before.pause_total_ns;
    EXPECT(after.cycles > before.cycles);
    EXPECT(after.limiter_skips - before.limiter_skips <= after.cycles - before.cycles + 1);
    EXPECT(walk_used_bytes() > after.limit_bytes);
    if (!EXPECT(collected_ns <= (now_ns - start_ns + capacity_ns + after.pause_max_ns) / 2))
        harness_note("%llu of %llu us", (unsigned long long)collected_ns / 1000,
                     (unsigned long long)(now_ns - start_ns) / 1000);
    end();
}

/* Of manual objects of so many bytes, which stay, until 8 MB are taken; with 6
 * MB of collected garbage there is no room for them under the limit. */
static void press(size_t bytes)
{
    static void *taken[1 << 14];
    size_t count = 8 * MB / bytes, peak = 0;
    begin_unlimited();
    bh_drain();
    test_collect();
    size_t limit = walk_used_bytes() + 12 * MB;
    bh_gc_set_percent(-1);
    bh_gc_set_limit(limit);
    for (size_t made = 0; made < 6 * MB;)
        made += make_garbage();
    root = NULL;
    test_wipe_stack();
    uint64_t before = stats_now().limit_cycles;
    for (size_t i = 0; i < count; i++) {
        EXPECT((taken[i] = bh_malloc(bytes)) != NULL);
        peak = walk_used_bytes() > peak ? walk_used_bytes() : peak;
    }
    EXPECT(stats_now().limit_cycles > before);
    if (!EXPECT(peak <= limit))
        harness_note("limit %zu KB, peak %zu KB", limit >> 10, peak >> 10);
    for (size_t i = 0; i < count; i++) {
        bh_free(taken[i]);
        taken[i] = NULL;
    }
    end();
}

TEST(pace_large_manual_objects_press)
{
    press(1 * MB);
}

TEST(pace_small_manual_objects_press)
{
    press(1000);
}

/* No garbage, nothing for a cycle to find: a manual heap above the limit does
 * not run any. */
TEST(pace_manual_heap_above_the_limit_is_left_alone)
{
    test_begin();
    test_collect();
    bh_gc_set_limit(0);
    uint64_t before = test_cycles();
    for (int i = 0; i < 100; i++) {
        void *manual = bh_malloc(i % 2 == 0 ? 1 * MB : 50000);
        EXPECT(manual != NULL);
        bh_free(manual);
    }
    EXPECT_EQ(test_cycles(), before);
    end();
}

TEST(pace_interrupts_off_pass_the_limit)
{
    begin_unlimited();
    test_collect();
    bh_gc_set_limit(0);
    uint64_t before = test_cycles();
    board_irq_off();
    for (int i = 0; i < 2000; i++)
        make_garbage();
    bh_free(bh_malloc(1 * MB));
    EXPECT_EQ(test_cycles(), before);
    board_irq_on();
    for (int i = 0; i < 2000 && test_cycles() == before; i++)
        make_garbage();
    EXPECT(test_cycles() > before);
    end();
}

TEST(pace_period_by_allocating)
{
    test_begin();
    test_collect();
    struct bh_gc_stats before = stats_now();
    pace_set_period_ns(5000000);
    while (stats_now().periodic_cycles == before.periodic_cycles) {
        root = bh_gc_alloc_noscan(4000);
        bh_gc_free(root); /* never near the goal */
        bh_free(bh_malloc(10));
    }
    struct bh_gc_stats after = stats_now();
    EXPECT(after.last_end_ns - before.last_end_ns >= 5000000);
    EXPECT_EQ(after.forced_cycles, before.forced_cycles);
    end();
}

TEST(pace_period_by_idle_work)
{
    test_begin();
    test_collect();
    struct bh_gc_stats before = stats_now();
    pace_set_period_ns(5000000);
    while (stats_now().periodic_cycles < before.periodic_cycles + 2)
        bh_gc_work(8);
    EXPECT(stats_now().last_end_ns - before.last_end_ns >= 10000000);
    end();
}

static void expect_equations(const struct bh_gc_stats *stats)
{
    uint64_t in_histogram = 0, in_ring = 0;
    for (size_t i = 0; i < 32; i++) {
        in_histogram += stats->pause_histogram[i];
        in_ring += stats->pauses_ns[i];
    }
    EXPECT_EQ(stats->allocated_bytes - stats->freed_bytes, stats->heap_bytes);
    EXPECT_EQ(in_histogram, stats->cycles);
    EXPECT_EQ(stats->forced_cycles + stats->growth_cycles + stats->limit_cycles +
                  stats->memory_cycles + stats->periodic_cycles,
              stats->cycles);
    EXPECT(stats->stop_last_ns <= stats->stop_max_ns && stats->stop_max_ns <= stats->pause_max_ns);
    EXPECT(stats->stop_last_ns <= stats->pause_last_ns);
    EXPECT((stats->abandoned_ns > 0) == (stats->abandoned_cycles > 0));
    EXPECT(stats->pause_last_ns <= stats->pause_max_ns);
    EXPECT(stats->pause_max_ns <= stats->pause_total_ns);
    EXPECT_EQ(stats->gc_cpu_ns, stats->pause_total_ns * bh_port_core_count());
    EXPECT_EQ(stats->pauses_ns[(stats->cycles - 1) % 32], stats->pause_last_ns);
    EXPECT(in_ring <= stats->pause_total_ns);
    EXPECT(stats->scanned_bytes >= stats->stack_bytes + stats->global_bytes);
    EXPECT(stats->stack_bytes > 0 && stats->global_bytes > 0 && stats->last_end_ns > 0);
}

TEST(pace_stats_equations)
{
    test_begin();
    keep(100000);
    test_collect();
    struct bh_gc_stats before = stats_now();
    expect_equations(&before);
    EXPECT(before.live_bytes >= 100000 && before.heap_bytes >= before.live_bytes);
    for (size_t made = 0; made < 2 * MB;)
        made += make_garbage();
    struct bh_gc_stats during = stats_now();
    expect_equations(&during);
    EXPECT(during.allocated_bytes >= before.allocated_bytes + 2 * MB);
    struct node *node = test_node(22, 0);
    size_t heap_bytes = stats_now().heap_bytes;
    bh_gc_free(node);
    EXPECT(stats_now().heap_bytes < heap_bytes);
    end();
    struct bh_gc_stats after = stats_now();
    expect_equations(&after);
    EXPECT(after.freed_bytes >= during.freed_bytes + 1 * MB);
    EXPECT(after.live_bytes < before.live_bytes);
}
