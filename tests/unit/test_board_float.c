/* SPDX-License-Identifier: MIT */
/*
 * Floating point in interrupt handlers: they round as C does, whatever the interrupted code has
 * set, and leave that as it is.
 */
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/string.h"
#include "tests/harness/harness.h"
#include "tests/unit/float_control.h"

#define TICK_NS UINT64_C(200000)

/* Volatile as all that is computed here: a compiler moves arithmetic past the calls that change how
 * it rounds, but not past an access. */
static volatile double one = 1;
static volatile double three = 3;

/* What the handler of each core has seen. */
static struct {
    volatile double third;
    uint32_t control;
    uint32_t ticks;
} handlers[BOARD_MAX_CORES];

static void tick(void)
{
    unsigned core = bh_port_core();
    handlers[core].third = one / three;
    handlers[core].control = float_control_read();
    (void)atomic_add_relaxed(&handlers[core].ticks, 1); /* relaxed: read on this core */
}

/* With the rounding of the caller. */
static void wait_for_a_tick(void)
{
    board_timer_start(TICK_NS, tick);
    while (atomic_load_relaxed(&handlers[bh_port_core()].ticks) == 0) /* relaxed: see tick() */
        arch_pause();
    board_timer_stop();
}

TEST_ALL_CORES(board_handlers_round_as_c_does)
{
    if (string_equal(board_name(), "host")) {
        harness_skip("what a signal handler finds is the host kernel's affair");
        return;
    }
    unsigned core = bh_port_core();
    uint32_t usual = float_control_read();
    volatile double third = one / three;
    atomic_store_relaxed(&handlers[core].ticks, 0); /* relaxed: see tick() */

    float_control_write(usual | float_control_up);
    volatile double third_up = one / three;
    wait_for_a_tick();
    uint32_t after = float_control_read();
    float_control_write(usual);

    EXPECT(third_up > third);
    EXPECT(handlers[core].third == third);
    EXPECT_EQ(handlers[core].control & float_control_up, 0);
    EXPECT_EQ(after & float_control_up, float_control_up);
}
