/* SPDX-License-Identifier: MIT */
/* kernel-lib/check.h: the panic's text, the assertion tiers, and a backtrace that never faults. */
#include "arch/arch.h"
#include "kernel-lib/check.h"
#include "kernel-lib/string.h"
#include "tests/harness/harness.h"

TEST_PANICS(panic_formats_its_message, "object 7 at 0x1000 is broken")
{
    bh_panic("object %u at %p is %s", 7u, (void *)0x1000, "broken");
}

TEST_PANICS(panic_at_a_failed_check, "two is not one")
{
    volatile int two = 2;
    BH_CHECK(two == 2, "this holds");
    BH_CHECK(two == 1, "two is not one");
}

static void give_up(void *arg)
{
    (void)arg;
    bh_panic("all cores give up");
}

/* Each must get its turn to print, and the run must end all the same. */
TEST_PANICS(panic_on_all_cores_at_once, "all cores give up")
{
    for (unsigned core = 1; core < board_cores(); core++)
        board_start(core, give_up, NULL);
    give_up(NULL);
}

TEST_PANICS(panic_with_interrupts_off, "masked")
{
    board_irq_off();
    bh_panic("masked");
}

#if BH_DEBUG >= 1
TEST_PANICS(panic_at_a_failed_assertion, "*test_panic.c:*: assertion failed: two == 1")
{
    volatile int two = 2;
    BH_ASSERT(two == 1);
}
#endif

static bool note_evaluated(unsigned *count)
{
    (*count)++;
    return true;
}

TEST(assertions_cost_nothing_below_their_tier)
{
    unsigned checks = 0;
    unsigned asserts = 0;
    unsigned slow = 0;
    BH_CHECK(note_evaluated(&checks), "unreachable");
    BH_ASSERT(note_evaluated(&asserts));
    BH_ASSERT_SLOW(note_evaluated(&slow));
    EXPECT_EQ(checks, 1);
    EXPECT_EQ(asserts, BH_DEBUG >= 1);
    EXPECT_EQ(slow, BH_DEBUG >= 2);
}

/* Frames made by hand, each with one thing wrong. All end the walk without a fault. */
TEST(backtrace_survives_bad_frames)
{
    uintptr_t stack[8] = {0};
    uintptr_t lo = (uintptr_t)stack;
    uintptr_t hi = (uintptr_t)(stack + 8);
    uintptr_t code = (uintptr_t)&harness_barrier;

    backtrace_log(0, 0);
    backtrace_log(lo + 1, hi);                 /* not aligned */
    backtrace_log(hi - sizeof(uintptr_t), hi); /* no room for a record */
    backtrace_log(hi, hi);                     /* outside */
    backtrace_log(hi, lo);                     /* upside down */
    backtrace_log(lo, hi);                     /* the end: a return address of 0 */
    stack[0] = lo;
    stack[1] = code;
    backtrace_log(lo, hi); /* its own caller */
    stack[0] = lo + 4 * sizeof(uintptr_t);
    stack[4] = lo;
    stack[5] = code;
    backtrace_log(lo, hi); /* a circle of two */
    stack[0] = UINTPTR_MAX - 7;
    backtrace_log(lo, hi); /* a caller at the end of memory */
    EXPECT_EQ(stack[1], code);
}

TEST(symbol_names_are_found)
{
    size_t offset = 1;
    const char *name = bh_symbol_name((uintptr_t)&harness_barrier, &offset);
    if (name == NULL) {
        harness_skip("this image has no symbol table");
        return;
    }
    EXPECT(string_equal(name, "harness_barrier"));
    EXPECT_EQ(offset, 0);
}
