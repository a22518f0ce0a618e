/* SPDX-License-Identifier: MIT */
/* Interrupts of this board: two SGIs between cores, and each core's timer. */
#ifndef BOARDS_QEMU_AARCH64_INTERRUPTS_H
#define BOARDS_QEMU_AARCH64_INTERRUPTS_H

#include "boards/qemu-aarch64/hardware.h"
#include <stdint.h>

/* Core 0, once. */
void interrupts_init(const struct hardware *hardware);

/* Every core, core 0 after interrupts_init(): from then on it takes them when it unmasks them. */
void interrupts_init_core(void);

/* How the frame of an interrupt begins. vectors.S has the rest. */
struct interrupt_frame {
    uint64_t x29;
    uintptr_t pc;
    uint64_t x30;
    uint64_t pstate;
};

/* vectors.S calls these with interrupts masked, on the interrupted stack. */
void interrupt_dispatch(struct interrupt_frame *frame, uintptr_t interrupted_sp);
void step_dispatch(struct interrupt_frame *frame, uintptr_t interrupted_sp);

#endif
