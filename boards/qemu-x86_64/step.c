/* SPDX-License-Identifier: MIT */
/*
 * board_interrupt_at(): an interrupt behind one certain instruction, for tests that try all of
 * them.
 *
 * 1. The trap flag is set by POPFQ; from the instruction after it on each one ends in a debug
 *    exception (Intel SDM volume 3, 17.3.1.4), interrupts on or off. Its entry clears the flag,
 *    so handlers are not stepped; IRETQ brings it back.
 * 2. The exception counts. Behind instruction `n`, and if interrupts are on there,
 *    it is the interrupt: board_on_interrupt() first, then the handler, then the flag goes off.
 * 3. All earlier ones return at once, without the fixup: they touch nothing that a restartable
 *    sequence looks at, and to move the program counter back each time would be no progress.
 */
#include "boards/board.h"
#include "boards/qemu-x86_64/core.h"
#include "boards/qemu-x86_64/interrupts.h"

#define RFLAGS_TRAP      0x100
#define RFLAGS_INTERRUPT 0x200u

/* Instructions between POPFQ and fn's first: CALL. */
#define STEP_CALL_INSTRUCTIONS 1

struct step_state {
    uint64_t left; /* instructions until it is due */
    void (*handler)(void);
    enum board_interrupted outcome;
};

static void step_count(struct step_state *step, struct interrupt_frame *frame)
{
    if (--step->left > 0)
        return;
    frame->rflags &= ~(uint64_t)RFLAGS_TRAP;
    step->outcome = BOARD_MASKED;
    if (!(frame->rflags & RFLAGS_INTERRUPT))
        return;
    step->outcome = BOARD_TAKEN;
    board_on_interrupt(&frame->rip);
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

/* Calls fn(arg) with the trap flag set. In assembly from end to end: no code of the compiler's is
 * stepped through. */
__attribute__((naked, noinline)) static void
step_call(__attribute__((unused)) void (*fn)(void *arg), __attribute__((unused)) void *arg)
{
    __asm__ volatile("pushq %%rbp\n\t"
                     "movq %%rsp, %%rbp\n\t"
                     "movq %%rdi, %%rax\n\t" /* fn */
                     "movq %%rsi, %%rdi\n\t" /* arg */
                     "pushfq\n\t"
                     "orl %0, (%%rsp)\n\t"
                     "popfq\n\t"
                     "call *%%rax\n\t"
                     "pushfq\n\t"
                     "andl %1, (%%rsp)\n\t"
                     "popfq\n\t"
                     "popq %%rbp\n\t"
                     "ret"
                     :
                     : "i"(RFLAGS_TRAP), "i"(~RFLAGS_TRAP));
}

enum board_stepping board_stepping(void)
{
    return BOARD_STEPS_ANYWHERE;
}

enum board_interrupted board_interrupt_at(uint64_t n, void (*handler)(void), void (*fn)(void *arg),
                                          void *arg)
{
    struct step_state step = {n + STEP_CALL_INSTRUCTIONS, handler, BOARD_RETURNED};
    core_here()->step = &step;
    step_call(fn, arg);
    core_here()->step = NULL;
    return step.outcome;
}
