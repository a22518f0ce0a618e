/* SPDX-License-Identifier: MIT */
/*
 * Single steps on x86-64: what the boards for that CPU share of board_interrupt_at().
 *
 * POPFQ sets the trap flag; from the instruction after it on each one ends in a debug exception
 * (Intel SDM volume 3, 17.3.1.4), interrupts on or off. Not here: how the exception comes, which
 * counts, calls the handler and ends it all. That is in each board's step.c.
 */
#ifndef BOARDS_COMMON_STEP_X86_64_H
#define BOARDS_COMMON_STEP_X86_64_H

#include "boards/board.h"

/* RFLAGS.TF. */
#define STEP_TRAP 0x100

/* Instructions between POPFQ and fn's first: CALL. */
#define STEP_CALL_INSTRUCTIONS 1

struct step_state {
    uint64_t left; /* instructions until it is due */
    void (*handler)(void);
    enum board_interrupted outcome;
};

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
                     : "i"(STEP_TRAP), "i"(~STEP_TRAP));
}

/* board_interrupt_at(). `here` is where the core's exception finds what it is to do: NULL before
 * and after. */
static inline enum board_interrupted step_through(struct step_state **here, uint64_t n,
                                                  void (*handler)(void), void (*fn)(void *arg),
                                                  void *arg)
{
    struct step_state step = {n + STEP_CALL_INSTRUCTIONS, handler, BOARD_RETURNED};
    *here = &step;
    step_call(fn, arg);
    *here = NULL;
    return step.outcome;
}

#endif
