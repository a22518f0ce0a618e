/* SPDX-License-Identifier: MIT */
/* The console of a QEMU board: one call of bh_port_log() is one uninterrupted text. */
#ifndef BOARDS_COMMON_CONSOLE_H
#define BOARDS_COMMON_CONSOLE_H

#include <stdbool.h>

/*
 * From now on only this core's text is printed, so that a report is not torn apart by the other
 * cores. The first core wins: false when another core has the console already.
 */
bool console_claim(void);

#endif
