/* SPDX-License-Identifier: MIT */
/* The clock behind bh_port_now_ns(). */
#ifndef BOARDS_QEMU_X86_64_CLOCK_H
#define BOARDS_QEMU_X86_64_CLOCK_H

#include <bareheap/port.h>
#include <stdint.h>

/* Measures the time stamp counter; bh_port_now_ns() counts from here and is 0 before. Core 0. */
void clock_init(void);

/* The middle one of several results of `measure`: a measurement that the host interrupted by
 * running something else comes out wrong, and most are not interrupted. */
uint64_t clock_median(uint64_t (*measure)(void));

/* Waits, without sleeping. */
void clock_delay_ns(uint64_t ns);

#endif
