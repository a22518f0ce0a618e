/* SPDX-License-Identifier: MIT */
/* The arithmetic of pacing, with made-up cycles and made-up times: goals,
 * limits, the limiter. */
#include "alloc/walk.h"
#include "gc/gctrace.h"
#include "gc/limiter.h"
#include "gc/pace.h"
#include "kernel-lib/string.h"
#include "tests/gc/gc_test.h"
#include <bareheap/port.h>

#define KB ((size_t)1 << 10)
#define MB ((size_t)1 << 20)

/* As if a cycle had found this. No limiter, no period: the cycle took no time
 * and is over now. */
static void pretend(size_t live_bytes, size_t extra_bytes)
{
    uint64_t now_ns = bh_port_now_ns();
    pace_cycle_done(&(struct pace_cycle){
        .start_ns = now_ns,
        .end_ns = now_ns,
        .heap_bytes = walk_collected_span_bytes(), /* no waste */
        .live_bytes = live_bytes,
        .extra_bytes = extra_bytes,
    });
}

static size_t goal_after(int percent, size_t live_bytes, size_t extra_bytes)
{
    bh_gc_set_percent(percent);
    pretend(live_bytes, extra_bytes);
    return pace_goal();
}

/* What the tests pretended is forgotten: a real cycle. */
static void end_pretending(void)
{
    bh_gc_set_limit(SIZE_MAX);
    bh_gc_set_percent(100);
    test_collect();
}

TEST(pace_goals)
{
    test_begin();
    EXPECT_EQ(goal_after(100, 100 * MB, 0), 200 * MB);
    EXPECT_EQ(goal_after(100, 100 * MB, 20 * MB), 220 * MB);
    EXPECT_EQ(goal_after(50, 100 * MB, 20 * MB), 160 * MB);
    EXPECT_EQ(goal_after(300, 100 * MB, 0), 400 * MB);
    EXPECT_EQ(goal_after(1, 1000 * MB, 0), 1000 * MB + 1000 * MB / 32); /* a step at least */
    EXPECT_EQ(goal_after(0, 64 * MB, 0), 66 * MB);
    EXPECT_EQ(goal_after(-1, 64 * MB, 0), SIZE_MAX);
    EXPECT_EQ(goal_after(100, SIZE_MAX - 5, 7), SIZE_MAX);
    EXPECT_EQ(goal_after(INT32_MAX, SIZE_MAX / 2, 0), SIZE_MAX);
    end_pretending();
}

TEST(pace_minimum_heap_of_machines)
{
    EXPECT_EQ(pace_least_heap(0), 64 * KB);
    EXPECT_EQ(pace_least_heap(1 * MB), 64 * KB);
    EXPECT_EQ(pace_least_heap(16 * MB), 512 * KB);
    EXPECT_EQ(pace_least_heap(128 * MB), 4 * MB);
    EXPECT_EQ(pace_least_heap(2048 * MB), 4 * MB);
    EXPECT_EQ(pace_least_heap(6144 * MB), 12 * MB);
    EXPECT_EQ(pace_least_heap(32768 * MB), 64 * MB);
    EXPECT_EQ(pace_least_heap(SIZE_MAX), 64 * MB);
    size_t last = 0;
    for (size_t ram = 1 * MB; ram <= (size_t)1 << 40; ram += ram / 8) {
        EXPECT(pace_least_heap(ram) >= last); /* more memory, no smaller heap */
        last = pace_least_heap(ram);
    }
}

TEST(pace_minimum_heap_follows_the_memory)
{
    test_begin();
    size_t least = pace_least_heap(walk_region_bytes());
    EXPECT_EQ(goal_after(100, 0, 0), least);
    EXPECT_EQ(goal_after(100, least / 4, least / 4), least);
    end_pretending();
}

TEST(pace_helpers_follow_what_was_scanned)
{
    test_begin();
    pace_cycle_done(&(struct pace_cycle){.scanned_bytes = 8 * MB - 1});
    EXPECT_EQ(pace_helpers(), 0);
    pace_cycle_done(&(struct pace_cycle){.scanned_bytes = 8 * MB});
    EXPECT_EQ(pace_helpers(), 1);
    pace_cycle_done(&(struct pace_cycle){.scanned_bytes = 31 * MB});
    EXPECT_EQ(pace_helpers(), 3);
    pace_cycle_done(&(struct pace_cycle){.scanned_bytes = SIZE_MAX});
    EXPECT_EQ(pace_helpers(), BH_MAX_CORES);
    end_pretending();
}

TEST(pace_limit_lowers_the_goal)
{
    test_begin();
    test_collect();
    size_t other = walk_used_bytes() - walk_collected_span_bytes();
    size_t limit = other + 64 * MB;
    EXPECT_EQ(bh_gc_set_limit(limit), SIZE_MAX);
    EXPECT_EQ(goal_after(100, 8 * MB, 0), 16 * MB); /* under the limit: as without */
    EXPECT_EQ(goal_after(-1, 8 * MB, 0), limit - limit / 32 - other);
    EXPECT_EQ(goal_after(100, 40 * MB, 0), limit - limit / 32 - other);
    EXPECT_EQ(goal_after(100, 96 * MB, 0), 99 * MB); /* above it: a step over what lives */
    EXPECT_EQ(bh_gc_set_limit(0), limit);
    EXPECT_EQ(goal_after(-1, 64 * MB, 0), 66 * MB);
    EXPECT_EQ(bh_gc_set_limit(SIZE_MAX), 0);
    EXPECT_EQ(pace_goal(), SIZE_MAX);
    end_pretending();
}

/* The manual heap grows: what is left for the collected one shrinks by as much.
 */
TEST(pace_limit_counts_manual_objects)
{
    test_begin();
    test_collect();
    bh_gc_set_limit(walk_used_bytes() + 64 * MB);
    size_t before = goal_after(-1, 1 * MB, 0);
    void *manual = bh_malloc(8 * MB);
    size_t with = pace_goal();
    EXPECT(manual != NULL && before - with >= 8 * MB && before - with < 9 * MB);
    bh_free(manual);
    end_pretending();
}

TEST(pace_periods)
{
    test_begin();
    pretend(collected_bytes(), 0);
    EXPECT(!pace_is_overdue());
    EXPECT_EQ(pace_due(0), PACE_NOT_DUE);
    pace_set_period_ns(0);
    uint64_t start_ns = bh_port_now_ns();
    while (bh_port_now_ns() == start_ns)
        continue;
    EXPECT(pace_is_overdue());
    EXPECT_EQ(pace_due(0), PACE_PERIOD);
    bh_gc_set_percent(-1);
    EXPECT(!pace_is_overdue());
    pace_set_period_ns(PACE_PERIOD_NS);
    end_pretending();
}

/* ---- the limiter ---- */

TEST(limiter_fills_and_drains)
{
    struct limiter limiter = {.capacity_ns = 1000};
    EXPECT(limiter_allows(&limiter, 0));
    limiter_add(&limiter, 5000, 5800);
    EXPECT_EQ(limiter_fill_ns(&limiter, 5800), 800);
    EXPECT(limiter_allows(&limiter, 5800));
    limiter_add(&limiter, 5900, 6700);
    EXPECT_EQ(limiter_fill_ns(&limiter, 6700), 1500);
    EXPECT(!limiter_allows(&limiter, 7199));
    EXPECT(limiter_allows(&limiter, 7200));
    EXPECT_EQ(limiter_fill_ns(&limiter, 1000000), 0); /* a long rest is no credit */
    limiter_add(&limiter, 1000000, 1001001);
    EXPECT(!limiter_allows(&limiter, 1001001));
}

TEST(limiter_survives_a_clock_that_goes_back)
{
    struct limiter limiter = {.capacity_ns = 1000};
    limiter_add(&limiter, 5000, 5500);
    EXPECT_EQ(limiter_fill_ns(&limiter, 4000), 500);
    limiter_add(&limiter, 4000, 3000);
    EXPECT_EQ(limiter_fill_ns(&limiter, 3000), 500);
}

/* Cycles that were not asked for here count, but a thousand of them no more
 * than a few. */
TEST(limiter_forgets_what_was_forced)
{
    struct limiter limiter = {.capacity_ns = 1000};
    uint64_t now_ns = 0;
    for (int i = 0; i < 1000; i++, now_ns += 900)
        limiter_add(&limiter, now_ns, now_ns + 900);
    EXPECT(!limiter_allows(&limiter, now_ns));
    EXPECT(limiter_allows(&limiter, now_ns + 900));
}

enum { CYCLES = 400 };
static uint64_t starts_ns[CYCLES], ends_ns[CYCLES];

/* Cycles as soon as they are allowed, or later, from 1 ns to 3 capacities. */
static uint64_t simulate(uint64_t capacity_ns)
{
    struct limiter limiter = {.capacity_ns = capacity_ns};
    uint64_t now_ns = 0, longest_ns = 0;
    for (size_t i = 0; i < CYCLES; i++) {
        now_ns += harness_random() % 4 == 0 ? harness_random() % (2 * capacity_ns) : 1;
        if (!limiter_allows(&limiter, now_ns))
            now_ns += limiter_fill_ns(&limiter, now_ns) - capacity_ns;
        EXPECT(limiter_allows(&limiter, now_ns));
        uint64_t pause_ns = 1 + harness_random() % (3 * capacity_ns);
        starts_ns[i] = now_ns;
        now_ns += pause_ns;
        ends_ns[i] = now_ns;
        limiter_add(&limiter, starts_ns[i], now_ns);
        longest_ns = pause_ns > longest_ns ? pause_ns : longest_ns;
    }
    return longest_ns;
}

/* Every window from a cycle's beginning to a cycle's end, which are the worst
 * ones. */
TEST(limiter_keeps_to_a_half)
{
    uint64_t capacity_ns = 1000000;
    uint64_t slack_ns = capacity_ns + simulate(capacity_ns);
    for (size_t from = 0; from < CYCLES; from++) {
        uint64_t collected_ns = 0;
        for (size_t to = from; to < CYCLES; to++) {
            collected_ns += ends_ns[to] - starts_ns[to];
            if (!EXPECT(collected_ns <= (ends_ns[to] - starts_ns[from] + slack_ns) / 2))
                return;
        }
    }
}

/* ---- the line ---- */

static void expect_pacer_line(const struct pace_report *report, const char *expected)
{
    struct collect_cycle cycle = {.reason = COLLECT_PERIOD, .number = 7};
    char line[GCTRACE_LINE_BYTES];
    size_t length = gctrace_format_pacer(&cycle, report, line, sizeof(line));
    EXPECT_EQ(length, string_length(line));
    if (!EXPECT(string_equal(line, expected)))
        harness_note("%s", line);
}

TEST(pace_line)
{
    struct pace_report report = {
        .percent = 100,
        .live_bytes = 4100 * KB,
        .extra_bytes = 16 * KB,
        .least_bytes = 4 * MB,
        .growth_goal_bytes = 8216 * KB,
        .limit_bytes = SIZE_MAX,
        .limit_goal_bytes = SIZE_MAX,
        .sweep_pages = 2,
        .limiter_capacity_ns = PACE_LIMITER_NS,
    };
    expect_pacer_line(&report, "pacer: gc 7 (period): goal 8216 KB = 4100 KB live + 100% of 4116 "
                               "KB, at least 4096 KB; no limit; sweep 2 pages per page\n");
    report.percent = -1;
    report.limit_bytes = 64 * MB;
    report.limit_goal_bytes = 60000 * KB;
    report.other_bytes = 3000 * KB;
    report.waste_bytes = 488 * KB;
    report.limiter_fill_ns = PACE_LIMITER_NS / 8;
    report.limiter_skips = 3;
    expect_pacer_line(&report,
                      "pacer: gc 7 (period): no goal, 4100 KB live; limit 65536 KB: 60000 KB "
                      "beside 3000 KB others and 488 KB waste; limiter 12%, held back 3; sweep "
                      "2 "
                      "pages per page\n");
}
