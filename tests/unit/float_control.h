/* SPDX-License-Identifier: MIT */
/* The register that says how this core rounds: MXCSR or FPCR. float_control_*.S. */
#ifndef TESTS_UNIT_FLOAT_CONTROL_H
#define TESTS_UNIT_FLOAT_CONTROL_H

#include <stdint.h>

uint32_t float_control_read(void);
void float_control_write(uint32_t value);

/* The bit that turns rounding to nearest into rounding up. */
extern const uint32_t float_control_up;

#endif
