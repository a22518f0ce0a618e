/* SPDX-License-Identifier: MIT */
/*
 * alloc/scavenge.h: which pages reach the hook, when, and how often. The hook here takes what it is
 * given: it counts, and fills the pages with what a kernel might leave in them, zeroes.
 *
 * That memory of the process goes away with it: tests/host/resident.c. The page heap's own answers
 * while pages come and go: test_page_heap.c.
 */
#include "alloc/drain.h"
#include "alloc/page_heap.h"
#include "alloc/poison.h"
#include "arch/arch.h"
#include "kernel-lib/memory.h"
#include "tests/unit/clock.h"
#include "tests/unit/heap_test.h"
#include <bareheap/gc.h>

#define MIB     ((size_t)1 << 20)
#define OBJECTS 40 /* large ones */

/* What the hook has been given. */
static struct {
    size_t calls;
    size_t bytes;
    size_t most_bytes; /* in one call */
    bool wrong;        /* not whole pages, with interrupts off, or with a lock held */
    bool takes;        /* the hook clears the pages */
    bool verifies;     /* the hook has a look at the heap that it is called from */
    uint64_t takes_ns; /* what a call takes by a clock that stands still else */
} seen;

void board_on_pages_released(void *base, size_t bytes)
{
    atomic_add_relaxed(&seen.calls, 1); /* relaxed, all: looked at when it is quiet */
    atomic_add_relaxed(&seen.bytes, bytes);
    if (bytes > atomic_load_relaxed(&seen.most_bytes))
        atomic_store_relaxed(&seen.most_bytes, bytes);
    if ((uintptr_t)base % PAGE_BYTES || bytes % PAGE_BYTES || bytes == 0 || !arch_irq_enabled() ||
        spinlock_ranks_held())
        atomic_store_relaxed(&seen.wrong, true);
    if (seen.takes_ns)
        clock_advance(seen.takes_ns);
    if (seen.verifies)
        bh_heap_verify();
    if (!seen.takes)
        return;
    poison_lift((uintptr_t)base, bytes);
    memset(base, 0, bytes);
    poison_lay((uintptr_t)base, bytes);
}

static void start(size_t bytes)
{
    heap_test_init(bytes);
    seen.takes = true;
}

static size_t take_seen(void)
{
    size_t bytes = seen.bytes;
    EXPECT(!seen.wrong);
    seen.bytes = 0;
    seen.calls = 0;
    return bytes;
}

static struct bh_stats stats_now(void)
{
    struct bh_stats stats;
    bh_get_stats(&stats);
    return stats;
}

/* A hardened heap has guard pages, and keeps some of what is freed together with them (guard.h). */
static bool is_inexact(void)
{
    if (BH_HARDEN)
        harness_skip("a hardened heap hands over less, and later");
    return BH_HARDEN;
}

/* ---- large objects of many lengths ---- */

static struct heap_test_object objects[OBJECTS];

static void allocate_objects(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        EXPECT(heap_test_alloc(&objects[i], SIZE_CLASS_MAX + i * PAGE_BYTES + 100));
}

static void free_objects(void)
{
    heap_test_free_all(objects, OBJECTS);
}

/* ---- at once ---- */

TEST_ALONE(scavenge_hands_over_each_page_once)
{
    start(16 * MIB);
    size_t free_bytes = stats_now().free_page_bytes;
    EXPECT_EQ(bh_release_pages(), free_bytes);
    EXPECT_EQ(take_seen(), free_bytes);
    EXPECT_EQ(seen.most_bytes, MIB);
    EXPECT_EQ(stats_now().released_bytes, free_bytes);
    EXPECT_EQ(bh_release_pages(), 0);
    allocate_objects();
    size_t used = free_bytes - stats_now().free_page_bytes;
    EXPECT_EQ(stats_now().released_bytes, free_bytes - used);
    EXPECT_EQ(bh_release_pages(), 0);
    free_objects();
    EXPECT_EQ(bh_release_pages(), used);
    EXPECT_EQ(take_seen(), used);
    bh_heap_verify();
}

/* Behind pages that nobody ever had there is nothing: whole runs and ends of runs are left out. */
TEST_ALONE(scavenge_steps_over_what_was_never_touched)
{
    struct bh_region ram = {.base = heap_test_ram(8 * MIB), .bytes = 8 * MIB};
    memset(ram.base, 0, ram.bytes);
    ram.zeroed = true;
    ram.virgin = true;
    REQUIRE(bh_init(&ram, 1) == BH_OK);
    EXPECT_EQ(bh_release_pages(), 0);
    struct bh_span *some = page_heap_alloc_large(40, 1);
    REQUIRE(some && page_heap_free_large(some->base));
    EXPECT_EQ(bh_release_pages(), 40 * PAGE_BYTES);
    EXPECT_EQ(take_seen(), 40 * PAGE_BYTES);
    EXPECT_EQ(stats_now().released_bytes, stats_now().free_page_bytes);
    EXPECT_EQ(bh_release_pages(), 0);
    bh_heap_verify();
}

TEST_ALONE(scavenge_never_means_never)
{
    start(16 * MIB);
    bh_set_release(BH_RELEASE_NEVER);
    bh_set_release_delay(0);
    for (unsigned i = 0; i < 100; i++)
        EXPECT_EQ(bh_scavenge(), UINT64_MAX);
    EXPECT_EQ(take_seen(), 0);
}

/* The hook may wait, so a step with interrupts off is none. */
TEST_ALONE(scavenge_does_nothing_while_masked)
{
    start(8 * MIB);
    bh_set_release_delay(0);
    uintptr_t irq = arch_irq_save();
    for (unsigned i = 0; i < 100; i++)
        EXPECT(bh_scavenge() < UINT64_MAX); /* but later, please */
    arch_irq_restore(irq);
    EXPECT_EQ(take_seen(), 0);
}

/* ---- gradually ---- */

/* Steps until nothing more comes of them, waiting for no clock. */
static void scavenge_until_quiet(void)
{
    for (unsigned quiet = 0; quiet < 60; quiet++) {
        size_t calls = seen.calls;
        EXPECT(bh_scavenge() > 0);
        if (seen.calls != calls)
            quiet = 0;
    }
}

TEST_ALONE(scavenge_gradually_keeps_a_tenth)
{
    start(32 * MIB);
    bh_set_release_delay(0);
    seen.verifies = true;
    void *object = bh_malloc(10 * MIB);
    scavenge_until_quiet();
    struct bh_stats s = stats_now();
    size_t held = s.free_page_bytes - s.released_bytes;
    EXPECT(held >= s.heap_bytes / 10 - PAGE_BYTES && held <= s.heap_bytes / 10 + PAGE_BYTES);
    EXPECT_EQ(take_seen(), s.released_bytes);
    EXPECT(seen.most_bytes <= MIB);
    bh_free(object);
    scavenge_until_quiet();
    s = stats_now();
    EXPECT(s.free_page_bytes - s.released_bytes <= s.heap_bytes / 10 + PAGE_BYTES);
    bh_heap_verify();
}

/* What is young stays: a page goes when the pass after the one that has marked it finds it. */
TEST_ALONE(scavenge_leaves_what_is_used)
{
    start(8 * MIB);
    bh_set_release_delay(0);
    size_t pages = stats_now().free_page_bytes / PAGE_BYTES;
    struct bh_span *all = page_heap_alloc_large(pages, 1);
    REQUIRE(all);
    uintptr_t base = all->base;
    EXPECT(page_heap_free_large(base));
    for (unsigned i = 0; i < 200;
         i++) { /* the same pages again and again, with their neighbours idle */
        struct bh_span *some = page_heap_alloc_large(8, 1);
        REQUIRE(some && some->base == base);
        bh_scavenge();
        EXPECT(page_heap_free_large(base));
    }
    EXPECT(take_seen() >= (pages - 64) * PAGE_BYTES);
    for (size_t i = 0; i < 8; i++)
        EXPECT(pagemap_class(base + i * PAGE_BYTES) != PAGE_RELEASED);
    bh_heap_verify();
}

TEST_ALONE(scavenge_waits_for_the_delay)
{
    start(8 * MIB);
    bh_set_release_delay((uint64_t)1 << 62);
    for (unsigned i = 0; i < 100; i++)
        bh_scavenge();
    EXPECT_EQ(take_seen(), 0);
    clock_stop();
    clock_advance(DRAIN_IDLE_NS);              /* a look after caches is due, the last for now */
    EXPECT(bh_scavenge() > (uint64_t)1 << 61); /* after that long, please */
    bh_set_release_delay(UINT64_MAX);
    EXPECT(bh_scavenge() > 0);
    clock_resume();
}

#define FIVE_MINUTES_NS 300000000000u
#define MOMENT_NS       1000000u

/* Steps until the pass has come to its end, while time stands still. */
static uint64_t scavenge_pass(void)
{
    uint64_t wait_ns;
    do
        wait_ns = bh_scavenge();
    while (wait_ns <= MOMENT_NS);
    return wait_ns;
}

/* The first pass leaves its marks, the second one takes what has them, five minutes later. */
TEST_ALONE(scavenge_waits_for_five_minutes_unless_told)
{
    start(16 * MIB);
    size_t free_bytes = stats_now().free_page_bytes;
    clock_stop();
    for (unsigned pass = 0; pass < 3; pass++) {
        EXPECT_EQ(take_seen(), pass == 2 ? free_bytes : 0);
        (void)scavenge_pass();
        clock_advance(FIVE_MINUTES_NS - MOMENT_NS);
        size_t calls = seen.calls;
        for (unsigned i = 0; i < 100; i++)
            EXPECT_EQ(bh_scavenge(), MOMENT_NS);
        EXPECT_EQ(seen.calls, calls);
        clock_advance(MOMENT_NS);
    }
    clock_resume();
}

/* Whoever waits as long as he is told spends a hundredth of his time on it: 99 parts of rest after
 * each part of work. That something is cached, and wants to be looked at in a second, is no reason
 * to rest for less. */
TEST_ALONE(scavenge_takes_one_percent_of_the_time)
{
    uint64_t worked_ns = 0, most_ns = 0;
    start(16 * MIB);
    bh_set_release_delay(0);
    clock_stop();
    seen.takes_ns = 7 * MOMENT_NS;
    for (unsigned i = 0; i < 40; i++) {
        uint64_t start_ns = bh_port_now_ns();
        bh_free(bh_malloc(100));
        uint64_t wait_ns = bh_scavenge();
        uint64_t took_ns = bh_port_now_ns() - start_ns;
        EXPECT(wait_ns >= 99 * took_ns);
        EXPECT(wait_ns <= 100 * took_ns + MOMENT_NS);
        worked_ns += took_ns;
        most_ns = took_ns > most_ns ? took_ns : most_ns;
        clock_advance(wait_ns);
    }
    EXPECT_EQ(most_ns, 4 * seen.takes_ns); /* four pieces, and 2.8 s of rest */
    EXPECT(worked_ns >= 15 * seen.takes_ns);
    EXPECT(take_seen() >= 15 * MIB);
    clock_resume();
}

/* A pass meets the rest of a run that it has marked, and that was used meanwhile, once more: not
 * old enough for all that. */
TEST_ALONE(scavenge_meets_a_run_twice)
{
    struct bh_span *runs[10];
    start(16 * MIB);
    bh_set_release_delay((uint64_t)1 << 62);
    for (size_t i = 0; i < 10; i++) {
        runs[i] = page_heap_alloc_large(40 + 4 * i, 1);
        REQUIRE(runs[i] && page_heap_alloc_large(1, 1));
    }
    for (size_t i = 0; i < 10; i++)
        EXPECT(page_heap_free_large(runs[i]->base));
    size_t longest = stats_now().largest_run_bytes / PAGE_BYTES;
    bh_scavenge(); /* a few runs, the longest first */
    struct bh_span *most = page_heap_alloc_large(longest - 2, 1);
    REQUIRE(most);
    for (unsigned i = 0; i < 20; i++)
        bh_scavenge();
    EXPECT_EQ(take_seen(), 0);
    bh_heap_verify();
}

/* ---- eagerly ---- */

TEST_ALONE(scavenge_eagerly_at_the_free)
{
    if (is_inexact())
        return;
    start(16 * MIB);
    bh_set_release(BH_RELEASE_EAGER);
    for (unsigned round = 0; round < 3; round++) {
        allocate_objects();
        size_t used = stats_now().heap_bytes;
        EXPECT_EQ(take_seen(), 0);
        free_objects();
        EXPECT_EQ(take_seen(), used - stats_now().heap_bytes);
        EXPECT_EQ(stats_now().heap_bytes, 0);
        bh_heap_verify();
    }
}

TEST_ALONE(scavenge_eagerly_what_a_resize_leaves)
{
    if (is_inexact())
        return;
    start(16 * MIB);
    bh_set_release(BH_RELEASE_EAGER);
    void *object = bh_malloc(100 * PAGE_BYTES - 64);
    object = bh_realloc(object, 60 * PAGE_BYTES - 64);
    EXPECT_EQ(take_seen(), 40 * PAGE_BYTES);
    EXPECT(bh_realloc(object, 80 * PAGE_BYTES - 64) == object);
    EXPECT_EQ(stats_now().released_bytes, 20 * PAGE_BYTES);
    bh_free(object);
    EXPECT_EQ(take_seen(), 80 * PAGE_BYTES);
}

/* Small spans become whole when a batch goes home, which happens with interrupts off. */
TEST_ALONE(scavenge_eagerly_whole_spans)
{
    static struct heap_test_object small[2000];
    start(16 * MIB);
    bh_set_release(BH_RELEASE_EAGER);
    for (size_t i = 0; i < 2000; i++)
        EXPECT(heap_test_alloc(&small[i], 1000));
    size_t used = stats_now().heap_bytes;
    heap_test_free_all(small, 2000);
    bh_drain();
    EXPECT(take_seen() >= used / 10 * 9);
    EXPECT_EQ(page_heap.deferred_runs, 0);
    bh_heap_verify();
}

/* And what a collection leaves, or an owner gives back. */
TEST_ALONE(scavenge_eagerly_collected_objects)
{
    start(16 * MIB);
    bh_set_release(BH_RELEASE_EAGER);
    bh_gc_set_percent(-1);
    void *object = bh_gc_alloc_noscan(MIB);
    REQUIRE(object);
    bh_gc_free(object);
    EXPECT(take_seen() >= MIB);
    for (unsigned i = 0; i < 1000; i++)
        EXPECT(bh_gc_alloc_noscan(1000));
    size_t used = stats_now().heap_bytes;
    object = NULL;
    EXPECT(bh_gc_collect());
    while (bh_gc_work(1000))
        ;
    bh_drain();
    size_t after =
        stats_now().heap_bytes; /* the collector's own, and what words on the stack keep */
    EXPECT(after < used / 2);
    EXPECT(take_seen() >= used - after);
    bh_heap_verify();
}

/* With interrupts off nothing is handed over, but it waits; what is needed is taken back from
 * there. */
TEST_ALONE(scavenge_eagerly_but_not_masked)
{
    start(16 * MIB);
    bh_set_release(BH_RELEASE_EAGER);
    allocate_objects();
    size_t used = stats_now().heap_bytes;
    uintptr_t irq = arch_irq_save();
    free_objects();
    EXPECT_EQ(take_seen(), 0);
    void *object = bh_malloc(13 * MIB); /* needs some of it */
    EXPECT(object != NULL);
    EXPECT_EQ(page_heap.deferred_runs, 0);
    bh_free(object);
    EXPECT(page_heap.deferred_runs > 0);
    arch_irq_restore(irq);
    EXPECT_EQ(take_seen(), 0);
    bh_scavenge();
    EXPECT(take_seen() >= 13 * MIB);
    EXPECT(used < 13 * MIB);
    bh_set_release(BH_RELEASE_GRADUAL);
    EXPECT_EQ(page_heap.deferred_runs, 0);
    bh_heap_verify();
}

/* What is longer than one look is handed over in pieces, its end first. */
TEST_ALONE(scavenge_eagerly_in_pieces)
{
    start(40 * MIB);
    seen.takes = false; /* clearing that much takes long under emulation */
    bh_set_release(BH_RELEASE_EAGER);
    struct bh_span *run = page_heap_alloc_large(33 * MIB / PAGE_BYTES, 1);
    REQUIRE(run && page_heap_free_large(run->base));
    EXPECT_EQ(page_heap.deferred_runs, 1);
    bh_scavenge();
    EXPECT_EQ(page_heap.deferred_runs, 0);
    EXPECT_EQ(seen.calls, 2);
    EXPECT_EQ(seen.most_bytes, 32 * MIB);
    EXPECT_EQ(take_seen(), 33 * MIB);
    bh_heap_verify();
}

#define MANY       150
#define MANY_BYTES (SIZE_CLASS_MAX + PAGE_BYTES)

/* More than may wait becomes free without having been handed over. */
TEST_ALONE(scavenge_eagerly_within_bounds)
{
    static void *many[MANY];
    if (is_inexact())
        return;
    start(16 * MIB);
    bh_set_release(BH_RELEASE_EAGER);
    for (size_t i = 0; i < MANY; i++)
        many[i] = bh_malloc(MANY_BYTES);
    uintptr_t irq = arch_irq_save();
    for (size_t i = 0; i < MANY; i++)
        bh_free(many[i]);
    arch_irq_restore(irq);
    size_t deferred = page_heap.deferred_runs;
    EXPECT(deferred > 0 && deferred < MANY);
    bh_heap_verify();
    bh_scavenge();
    EXPECT_EQ(page_heap.deferred_runs, 0);
    EXPECT(take_seen() >= deferred * MANY_BYTES);
    EXPECT(bh_release_pages() >= (MANY - deferred) * MANY_BYTES);
    bh_heap_verify();
}

/* ---- all at once, on all cores ---- */

static void churn(void *arg)
{
    static const enum bh_release modes[] = {BH_RELEASE_GRADUAL, BH_RELEASE_EAGER, BH_RELEASE_NEVER};
    struct heap_test_object mine[16] = {{0}};
    (void)arg;
    for (unsigned i = 0; i < 400; i++) {
        heap_test_step(mine, 16, 200000);
        if (i % 8 == 0)
            bh_scavenge();
        if (i % 64 == 0)
            bh_release_pages();
        if (i % 32 == 0)
            bh_set_release(modes[harness_random_below(3)]);
    }
    heap_test_free_all(mine, 16);
}

TEST_ALONE(scavenge_with_everything_going_on)
{
    start(16 * MIB);
    bh_set_release_delay(0);
    heap_test_on_all_cores(churn, NULL);
    EXPECT(take_seen() > 0);
    bh_set_release(BH_RELEASE_GRADUAL);
    EXPECT_EQ(heap_test_stats().heap_bytes, 0);
    bh_heap_verify();
}
