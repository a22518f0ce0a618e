/* SPDX-License-Identifier: MIT */
/*
 * board_interrupt_at(): an interrupt behind one certain instruction, for tests that try all of
 * them.
 *
 * 1. With the trap flag set (boards/common/step_x86_64.h) each instruction ends in a debug
 *    exception. Its entry clears the flag, so handlers are not stepped; IRETQ brings it back.
 * 2. The exception counts. Behind instruction `n`, and if interrupts are on there,
 *    it is the interrupt: entry_fixup() first, then the handler, then the flag goes off.
 * 3. All earlier ones return at once, without the fixup: they touch nothing that a restartable
 *    sequence looks at, and to move the program counter back each time would be no progress.
 */
#include "boards/board.h"
#include "boards/common/step_x86_64.h"
#include "boards/entry.h"
#include "boards/qemu-x86_64/core.h"
#include "boards/qemu-x86_64/interrupts.h"

#define RFLAGS_INTERRUPT 0x200u

static void step_count(struct step_state *step, struct interrupt_frame *frame)
{
    if (--step->left > 0)
        return;
    frame->rflags &= ~(uint64_t)STEP_TRAP;
    step->outcome = BOARD_MASKED;
    if (!(frame->rflags & RFLAGS_INTERRUPT))
        return;
    step->outcome = BOARD_TAKEN;
    entry_fixup(&frame->rip);
    step->handler();
}

void step_on_debug(struct interrupt_frame *frame)
{
    struct step_state *step = core_here()->step;
    if (step)
        step_count(step, frame);
    else
        exception_report(frame);
}

enum board_stepping board_stepping(void)
{
    return BOARD_STEPS_ANYWHERE;
}

enum board_interrupted board_interrupt_at(uint64_t n, void (*handler)(void), void (*fn)(void *arg),
                                          void *arg)
{
    return step_through(&core_here()->step, n, handler, fn, arg);
}
