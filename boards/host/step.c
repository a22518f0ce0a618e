/* SPDX-License-Identifier: MIT */
/*
 * board_interrupt_at(): an interrupt behind one certain instruction, for tests that try all of
 * them.
 *
 * 1. With the trap flag set (boards/common/step_x86_64.h) each instruction ends in SIGTRAP. The
 *    kernel clears the flag for the handler; the flag in its ucontext decides how it goes on.
 * 2. The signal counts. Behind instruction `n`, and if interrupts are on there, it
 *    is the interrupt: entry_fixup() first, then the handler, then the flag goes off.
 * 3. All earlier ones return at once, without the fixup: they touch nothing that a restartable
 *    sequence looks at, and to move the program counter back each time would be no progress.
 *
 * Only for x86-64: AArch64 leaves single steps to debuggers. Not in sanitized builds, whose
 * runtimes do not expect to be stepped through.
 */
#define _GNU_SOURCE
#include "boards/board.h"
#include "boards/entry.h"
#include "boards/host/internal.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include <ucontext.h>

#if defined(REG_RIP) && !defined(__SANITIZE_THREAD__) && !BH_SANITIZE

#include "boards/common/step_x86_64.h"

static void step_take(void *context, void (*handler)(void))
{
    host_self.masked = 1;
    compiler_barrier();
    entry_fixup(host_saved_pc(context));
    handler();
    host_irq_enable();
}

static void step_on_signal(int signal_number, siginfo_t *info, void *context)
{
    struct step_state *step = host_self.step;
    (void)signal_number;
    (void)info;
    BH_CHECK(step, "host: a SIGTRAP nobody asked for, at %p", (void *)*host_saved_pc(context));
    if (--step->left > 0)
        return;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~STEP_TRAP;
    step->outcome = BOARD_MASKED;
    if (host_self.masked)
        return;
    step->outcome = BOARD_TAKEN;
    step_take(context, step->handler);
}

void host_step_init(void)
{
    struct sigaction action = {.sa_sigaction = step_on_signal, .sa_flags = SA_SIGINFO};
    /* As other interrupts: they do not nest. */
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, HOST_SIGNAL_STOP);
    sigaddset(&action.sa_mask, HOST_SIGNAL_TIMER);
    (void)sigaction(SIGTRAP, &action, NULL);
}

enum board_stepping board_stepping(void)
{
    return BOARD_STEPS_ANYWHERE;
}

enum board_interrupted board_interrupt_at(uint64_t n, void (*handler)(void), void (*fn)(void *arg),
                                          void *arg)
{
    return step_through(&host_self.step, n, handler, fn, arg);
}

#else

void host_step_init(void)
{
}

enum board_stepping board_stepping(void)
{
    return BOARD_STEPS_NOWHERE;
}

enum board_interrupted board_interrupt_at(uint64_t n, void (*handler)(void), void (*fn)(void *arg),
                                          void *arg)
{
    (void)n;
    (void)handler;
    fn(arg);
    return BOARD_RETURNED;
}

#endif
