/* SPDX-License-Identifier: MIT */
/* The local APIC of each core: interrupts between cores, and the timer. */
#ifndef BOARDS_QEMU_X86_64_APIC_H
#define BOARDS_QEMU_X86_64_APIC_H

#include <stdint.h>

/* Finds the registers and masks the old interrupt controller. Core 0, once. */
void apic_init(void);

/* The registers' address, to be mapped as a device. */
uintptr_t apic_address(void);

/* Switches this core's APIC on, with its timer silent. */
void apic_enable(void);

/* This core's own id. */
uint32_t apic_id(void);

void apic_end_of_interrupt(void);

/* Interrupts the core with that id at `vector`. Returns when the APIC has taken the order. */
void apic_send(uint32_t id, uint8_t vector);

/* The start-up sequence of another core: reset, and begin at a page under 1 MiB. */
void apic_send_init(uint32_t id);
void apic_send_startup(uint32_t id, uintptr_t address);

/* Measures the timer against the clock (clock.h). Core 0, once. */
void apic_timer_calibrate(void);

/* Interrupts this core at VECTOR_TIMER every period_ns, and stops doing so. */
void apic_timer_start(uint64_t period_ns);
void apic_timer_stop(void);

#endif
