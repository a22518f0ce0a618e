/* SPDX-License-Identifier: MIT */
/*
 * The virtual counter as clock, the virtual timer as periodic interrupt.
 *
 * 1. Time is count * 10^9 / frequency, as a multiplication: scale is nanoseconds per count with 32
 *    fraction bits, and the product has 128 bits, so it wraps after centuries.
 * 2. The timer compares the count with CVAL: the interrupt line is up while count >= CVAL, so the
 *    handler sets the next CVAL before anything else. A period that has been missed is left out.
 *
 * Invariant: timers[c] is read and written by core c alone.
 */
#include "boards/qemu-aarch64/timer.h"

#include "arch/arch.h"
#include "boards/board.h"
#include "boards/qemu-aarch64/sysreg.h"
#include "kernel-lib/check.h"
#include <bareheap/port.h>

#define NS_PER_S     1000000000u
#define SCALE_SHIFT  32
#define TIMER_ENABLE 1u

struct timer {
    void (*handler)(void); /* NULL: stopped */
    uint64_t period;       /* in counts */
    uint64_t next;
} __attribute__((aligned(ARCH_CACHE_LINE)));

static struct timer timers[BOARD_MAX_CORES];
static uint64_t frequency_hz;
static uint64_t scale;

void timer_init(void)
{
    frequency_hz = sysreg_read("cntfrq_el0");
    BH_CHECK(frequency_hz != 0 && frequency_hz >> 32 == 0,
             "board: CNTFRQ_EL0 says the counter runs at %llu Hz; firmware must set it",
             (unsigned long long)frequency_hz);
    scale = ((uint64_t)NS_PER_S << SCALE_SHIFT) / frequency_hz;
}

static uint64_t count_now(void)
{
    /* Without it the count may be read early, out of program order: time would go backwards. */
    barrier_isb();
    return arch_cycles();
}

uint64_t bh_port_now_ns(void)
{
    return board_on_clock((uint64_t)((unsigned __int128)count_now() * scale >> SCALE_SHIFT));
}

static uint64_t ns_to_counts(uint64_t ns)
{
    /* Seconds and the rest apart: neither product leaves 64 bits for any period under 136 years. */
    uint64_t counts = ns / NS_PER_S * frequency_hz + ns % NS_PER_S * frequency_hz / NS_PER_S;
    return counts ? counts : 1;
}

void board_timer_start(uint64_t period_ns, void (*handler)(void))
{
    uintptr_t irq_state = arch_irq_save();
    struct timer *timer = &timers[bh_port_core()];
    timer->period = ns_to_counts(period_ns);
    timer->next = count_now() + timer->period;
    timer->handler = handler;
    sysreg_write("cntv_cval_el0", timer->next);
    sysreg_write("cntv_ctl_el0", TIMER_ENABLE);
    barrier_isb(); /* the timer runs on return */
    arch_irq_restore(irq_state);
}

void board_timer_stop(void)
{
    uintptr_t irq_state = arch_irq_save();
    timers[bh_port_core()].handler = NULL;
    sysreg_write("cntv_ctl_el0", 0);
    barrier_isb(); /* the line is down before interrupts go on: no tick after this function */
    arch_irq_restore(irq_state);
}

void timer_interrupt(void)
{
    struct timer *timer = &timers[bh_port_core()];
    uint64_t now = count_now();
    timer->next += timer->period;
    if (timer->next <= now)
        timer->next = now + timer->period;
    sysreg_write("cntv_cval_el0", timer->next);
    barrier_isb(); /* the line is down before the interrupt ends: it would come again at once */
    if (timer->handler)
        timer->handler();
}
