/* SPDX-License-Identifier: MIT */
/* The host's side of boards/board.h that is not interrupts (irq.c), RAM (ram.c) or main.c. */
#include "boards/board.h"
#include "boards/host/internal.h"
#include "kernel-lib/check.h"
#include <bareheap/port.h>
#include <sched.h>
#include <time.h>

const char *board_name(void)
{
    return "host";
}

unsigned board_cores(void)
{
    return host_cores_count();
}

const void *board_initrd(size_t *bytes)
{
    *bytes = 0;
    return NULL;
}

/* There may be more threads than processors: who waits lets the others run. */
void board_yield(void)
{
    sched_yield();
}

/* A signal ends the sleep; without one it is over soon, which is as good. */
void board_rest(void)
{
    const struct timespec moment = {0, 100000};
    host_irq_reopen();
    nanosleep(&moment, NULL);
}

static void board_check_core(unsigned core)
{
    BH_CHECK(core < board_cores(), "board: no core %u: this machine has %u", core, board_cores());
}

void board_start(unsigned core, void (*fn)(void *arg), void *arg)
{
    board_check_core(core);
    if (core == bh_port_core()) {
        fn(arg);
        return;
    }
    BH_CHECK(!host_keeper_is_busy(core),
             "board_start: core %u has not finished its job; call board_wait(%u) first", core,
             core);
    host_keeper_start(core, fn, arg);
}

void board_wait(unsigned core)
{
    board_check_core(core);
    bool was_on = bh_port_irq_enabled();
    board_irq_on();
    host_keeper_wait(core);
    if (!was_on)
        board_irq_off();
}

void board_exit(int status)
{
    host_exit(status == 0 ? 0 : 1);
}
