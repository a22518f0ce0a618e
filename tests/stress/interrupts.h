/* SPDX-License-Identifier: MIT */
/* What the tests that allocate in interrupts share: a hold on the fixup of restartable sequences.
 */
#ifndef TESTS_STRESS_INTERRUPTS_H
#define TESTS_STRESS_INTERRUPTS_H

#include "tests/harness/harness.h"
#include <bareheap/config.h>

/* What one core has seen, since boot. */
struct interrupts_count {
    uint64_t taken;
    uint64_t restarts; /* of which were inside a sequence, that was moved back to its start */
};

struct interrupts_count interrupts_count(unsigned core);

/* From now on bh_restart_fixup() is called no more: what a kernel does that forgets it. */
void interrupts_leave_out_fixup(void);

#endif
