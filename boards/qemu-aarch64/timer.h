/* SPDX-License-Identifier: MIT */
/* The generic timer: the clock of all cores and each core's own timer interrupt. */
#ifndef BOARDS_QEMU_AARCH64_TIMER_H
#define BOARDS_QEMU_AARCH64_TIMER_H

/* Core 0, before anything asks for the time. */
void timer_init(void);

/* The timer interrupt of this core. */
void timer_interrupt(void);

#endif
