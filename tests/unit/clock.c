/* SPDX-License-Identifier: MIT */
/* See clock.h. */
#include "tests/unit/clock.h"
#include "boards/board.h"
#include "kernel-lib/atomics.h"
#include <bareheap/port.h>

#define RUNNING UINT64_MAX

/* When time stands still, or RUNNING. */
static uint64_t stopped_at_ns = RUNNING;

uint64_t board_on_clock(uint64_t ns)
{
    /* Relaxed: a core that sees a change late reads the clock of a moment ago. */
    uint64_t stopped_ns = atomic_load_relaxed(&stopped_at_ns);
    return stopped_ns == RUNNING ? ns : stopped_ns;
}

void clock_stop(void)
{
    atomic_store_relaxed(&stopped_at_ns, bh_port_now_ns()); /* as above */
}

void clock_advance(uint64_t ns)
{
    atomic_add_relaxed(&stopped_at_ns, ns); /* as above */
}

void clock_resume(void)
{
    atomic_store_relaxed(&stopped_at_ns, RUNNING); /* as above */
}
