/* SPDX-License-Identifier: MIT */
/*
 * A clock in the tests' hands, for what takes minutes or is exact to the nanosecond: what
 * bh_port_now_ns() tells on all cores. For cases that run alone.
 */
#ifndef TESTS_UNIT_CLOCK_H
#define TESTS_UNIT_CLOCK_H

#include <stdint.h>

/* From now on time stands still, but for clock_advance(). */
void clock_stop(void);
void clock_advance(uint64_t ns);

/* The board's clock again. */
void clock_resume(void);

#endif
