/* SPDX-License-Identifier: MIT */
/*
 * What each interrupt does, and the ways to send, await and mask them.
 *
 * 1. vectors.S has saved everything; interrupt_dispatch() first moves an interrupted restartable
 *    sequence back to its start (entry_fixup), then takes pending interrupts until none is
 *    left, and calls each one's handler.
 * 2. SGI_WAKE does nothing: arriving is its purpose, it ends machine_sleep().
 * 3. SGI_SIGNAL is bh_port_signal_core(): it calls bh_handle_signal() with the interrupted stack
 *    pointer.
 *
 * Handlers run with interrupts masked. An interrupt that arrives again while its handler runs is
 * kept pending by the controller and taken afterwards.
 */
#include "boards/qemu-aarch64/interrupts.h"

#include "boards/board.h"
#include "boards/common/machine.h"
#include "boards/entry.h"
#include "boards/qemu-aarch64/gic.h"
#include "boards/qemu-aarch64/timer.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include <bareheap/port.h>

#define SGI_WAKE   0u
#define SGI_SIGNAL 1u

static unsigned timer_id;

void interrupts_init(const struct hardware *hardware)
{
    timer_id = hardware->timer_interrupt;
    gic_init(hardware);
}

void interrupts_init_core(void)
{
    gic_init_core(1u << SGI_WAKE | 1u << SGI_SIGNAL | 1u << timer_id);
}

static void handle(unsigned id, uintptr_t interrupted_sp)
{
    if (id == timer_id)
        timer_interrupt();
    else if (id == SGI_SIGNAL)
        bh_handle_signal(interrupted_sp);
    else if (id != SGI_WAKE)
        bh_panic("board: interrupt %u arrived, which nobody has enabled", id);
}

void interrupt_dispatch(struct interrupt_frame *frame, uintptr_t interrupted_sp)
{
    entry_fixup(&frame->pc);
    for (;;) {
        uint32_t acknowledged = gic_acknowledge();
        if (gic_id(acknowledged) >= GIC_ID_FIRST_SPECIAL)
            return;
        handle(gic_id(acknowledged), interrupted_sp);
        gic_end(acknowledged);
    }
}

void machine_wake(unsigned core)
{
    gic_send(core, SGI_WAKE);
}

void bh_port_signal_core(unsigned core)
{
    gic_send(core, SGI_SIGNAL);
}

void machine_sleep(void)
{
    /* WFI ends at a pending interrupt even while it is masked, so one that came since the caller
     * looked is not slept through. The ISB is where it is taken at the latest. DSB: what this core
     * has stored does not wait for the end of its sleep to be seen. */
    __asm__ volatile("dsb sy\n\t"
                     "wfi\n\t"
                     "msr daifclr, #2\n\t"
                     "isb\n\t"
                     "msr daifset, #2"
                     :
                     :
                     : "memory");
}

void board_irq_on(void)
{
    __asm__ volatile("msr daifclr, #2" : : : "memory");
}

void board_irq_off(void)
{
    __asm__ volatile("msr daifset, #2" : : : "memory");
}
