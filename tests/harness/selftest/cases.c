/* SPDX-License-Identifier: MIT */
/*
 * Cases that go wrong on purpose, one way each. tests/harness/selftest.py boots them one by one and
 * asserts that the harness and the runner say what happened. Not part of the tests image.
 */
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include "tests/harness/harness.h"

TEST(good_passes)
{
    EXPECT(1 + 1 == 2);
    EXPECT_EQ(harness_option("answer", 42), 42);
}

TEST(good_skips)
{
    harness_skip("nothing to do here");
}

/* What every core must see behind the barrier: each core's arrival, round by round. */
static uint32_t arrivals;

TEST_ALL_CORES(good_barrier)
{
    for (uint32_t round = 1; round <= 100; round++) {
        /* Relaxed: the barrier orders it. */
        (void)atomic_add_relaxed(&arrivals, 1u);
        harness_barrier();
        EXPECT_EQ(atomic_load_relaxed(&arrivals), round * board_cores());
        harness_barrier();
    }
}

/* Core 0 leaves; the others must not wait for it. */
TEST_ALL_CORES(good_early_return)
{
    if (bh_port_core() == 0)
        return;
    for (int round = 0; round < 10; round++)
        harness_barrier();
}

TEST(good_random)
{
    harness_note("random %llx", (unsigned long long)harness_random());
    for (int i = 0; i < 1000; i++)
        EXPECT(harness_random_below(10) < 10);
}

TEST_PANICS(good_panic, "selftest: object 0x* of class * is not ours")
{
    bh_panic("selftest: object %p of class %d is not ours", (void *)&arrivals, 7);
}

static void write_to(uintptr_t address)
{
    volatile uintptr_t unknown = address; /* or the compiler sees that nothing is there */
    *(volatile uint64_t *)unknown = 1;    /* NOLINT: nothing is there */
}

TEST_FAULTS(good_fault)
{
    harness_fault_at((void *)(uintptr_t)16); /* NOLINT: nothing is there */
    write_to(16);
}

TEST_ALONE(good_alone)
{
    EXPECT(board_cores() > 0);
}

TEST(bad_expectation)
{
    EXPECT(1 + 1 == 3);
    EXPECT_EQ(6 * 7, 54);
}

TEST(bad_requirement)
{
    REQUIRE(board_cores() == 0);
    harness_note("not to be reached");
}

TEST_ALL_CORES(bad_on_last_core)
{
    EXPECT(bh_port_core() + 1 < board_cores());
}

TEST(bad_panic)
{
    bh_panic("selftest: nobody expects this");
}

TEST(bad_hang)
{
    for (;;)
        arch_pause();
}

/* The exit status of success, but no end marker. */
TEST(bad_exit)
{
    board_exit(0);
}

TEST_PANICS(bad_panic_text, "selftest: one thing")
{
    bh_panic("selftest: another thing");
}

TEST_FAULTS(bad_fault_elsewhere)
{
    harness_fault_at(&arrivals);
    write_to(16);
}

TEST_FAULTS(bad_fault_unsaid)
{
    write_to(16);
}

/* An exception, but of another kind. */
TEST_FAULTS(bad_fault_of_another_kind)
{
    harness_fault_at(&arrivals);
    __builtin_trap();
}

TEST_PANICS(bad_no_panic, "selftest: a panic")
{
}

/* A panic as expected does not make up for what was not. */
TEST_PANICS(bad_then_panic, "selftest: as expected")
{
    EXPECT_EQ(6 * 7, 54);
    bh_panic("selftest: as expected");
}
