/* SPDX-License-Identifier: MIT */
/* What the tests that allocate in interrupts share: what the fixup of restartable sequences did,
 * and the way to undo it. */
#ifndef TESTS_STRESS_INTERRUPTS_H
#define TESTS_STRESS_INTERRUPTS_H

#include "tests/harness/harness.h"
#include <bareheap/config.h>

/* How many of the interrupts that core `core` has taken since boot were inside a sequence, which
 * the board's fixup then moved back to its start. */
uint64_t interrupts_restarts(unsigned core);

/* From now on what the fixup has done is undone: what becomes of a kernel that forgets it. */
void interrupts_leave_out_fixup(void);

#endif
