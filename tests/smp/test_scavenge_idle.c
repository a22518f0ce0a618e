/* SPDX-License-Identifier: MIT */
/*
 * bh_scavenge(): cores that rest give their caches back, in a kernel that calls it as often as it
 * asks for and does nothing else about it. Who is asked, and by what: test_drain.c.
 */
#include "alloc/cache.h"
#include "alloc/drain.h"
#include "kernel-lib/atomics.h"
#include "tests/unit/clock.h"
#include "tests/unit/heap_test.h"

#define HEAP_BYTES ((size_t)8 << 20)
#define OBJECTS    40

/* A look that notes how the caches stand, one that asks, one that finds nothing. */
#define LOOKS 3

/* Far above what an interrupt takes, under emulation too: only a hang is that long. */
#define PATIENCE_NS 20000000000ULL

#define RESTING 1 /* the core that rests */

/* Between core 0 and the one that rests. */
static uint32_t has_filled;
static uint32_t may_end;

static void fill_and_rest(void *arg)
{
    void *objects[OBJECTS];
    (void)arg;
    for (size_t i = 0; i < OBJECTS; i++)
        objects[i] = bh_malloc(100);
    for (size_t i = 0; i < OBJECTS; i++)
        bh_free(objects[i]);
    atomic_store_release(&has_filled, 1); /* pairs with start_resting() */
    /* Acquire: no reason; what the wait is for is in the flag. */
    while (!atomic_load_acquire(&may_end))
        board_yield();
}

/* False on a machine with one core. Time stands still from here on. */
static bool start_resting(void)
{
    if (board_cores() <= RESTING) {
        harness_skip("wants a second core");
        return false;
    }
    heap_test_init(HEAP_BYTES);
    board_start(RESTING, fill_and_rest, NULL);
    while (!atomic_load_acquire(&has_filled)) /* pairs with fill_and_rest() */
        board_yield();
    EXPECT(cache_look(RESTING).objs > 0);
    clock_stop();
    return true;
}

static void end_resting(void)
{
    clock_resume();
    atomic_store_release(&may_end, 1); /* pairs with fill_and_rest() */
    board_wait(RESTING);
    bh_heap_verify();
}

/* Whether the interrupt that was sent has done its work. */
static bool becomes_empty(void)
{
    uint64_t start_ns = bh_port_now_ns();
    while (cache_look(RESTING).objs > 0 && bh_port_now_ns() - start_ns < PATIENCE_NS)
        board_yield();
    return cache_look(RESTING).objs == 0;
}

/* As an idle loop would. While there is something in the cache the next look is not put off. */
static void scavenge_as_asked(void)
{
    uint64_t end_ns = bh_port_now_ns() + LOOKS * DRAIN_IDLE_NS;
    while (bh_port_now_ns() < end_ns) {
        uint64_t wait_ns = bh_scavenge();
        EXPECT(cache_look(RESTING).objs == 0 || wait_ns <= DRAIN_IDLE_NS);
        clock_advance(wait_ns);
    }
    clock_resume();
}

static void expect_that_it_gives_back(enum bh_release mode)
{
    if (!start_resting())
        return;
    bh_set_release(mode);
    scavenge_as_asked();
    EXPECT(becomes_empty());
    end_resting();
}

TEST_ALONE(scavenge_empties_idle_caches_gradually)
{
    expect_that_it_gives_back(BH_RELEASE_GRADUAL);
}

TEST_ALONE(scavenge_empties_idle_caches_eagerly)
{
    expect_that_it_gives_back(BH_RELEASE_EAGER);
}

TEST_ALONE(scavenge_never_leaves_idle_caches)
{
    if (!start_resting())
        return;
    size_t before = cache_look(RESTING).objs;
    bh_set_release(BH_RELEASE_NEVER);
    for (unsigned i = 0; i < 10 * LOOKS; i++) {
        EXPECT_EQ(bh_scavenge(), UINT64_MAX);
        clock_advance(DRAIN_IDLE_NS);
    }
    EXPECT_EQ(cache_look(RESTING).objs, before);
    end_resting();
}

/* Nobody is woken every second for nothing. */
TEST_ALONE(scavenge_looks_no_more_when_caches_are_empty)
{
    heap_test_init(HEAP_BYTES);
    clock_stop();
    uint64_t wait_ns = 0;
    for (unsigned i = 0; i < 1000 && wait_ns <= DRAIN_IDLE_NS; i++) {
        clock_advance(wait_ns);
        wait_ns = bh_scavenge();
    }
    EXPECT(wait_ns > 100 * DRAIN_IDLE_NS); /* until the next pass */
    bh_free(bh_malloc(100));
    clock_advance(DRAIN_IDLE_NS);
    EXPECT_EQ(bh_scavenge(), DRAIN_IDLE_NS);
    clock_resume();
}
