/* SPDX-License-Identifier: MIT */
/*
 * board_interrupt_at(): an interrupt behind one certain instruction, for tests that try all of
 * them.
 *
 * 1. Software step (Arm ARM, D2.12): with MDSCR_EL1.{SS,KDE} set and PSTATE.D clear, an ERET that
 *    sets PSTATE.SS lets the core execute one instruction and then take an exception, interrupts on
 *    or off. Exceptions set PSTATE.D, so handlers are not stepped.
 * 2. The exception counts. Behind instruction `n`, and if interrupts are on there,
 *    it is the interrupt: entry_fixup() first, then the handler, then no more steps.
 * 3. All earlier ones return at once, without the fixup: they touch nothing that a restartable
 *    sequence looks at, and to move the program counter back each time would be no progress.
 *
 * An exception in between makes a store-exclusive fail: a loop of LDXR and STXR that is stepped
 * through never ends. So `n` must not reach into one: the allocator's fast paths have none, its
 * locks do.
 */
#include "boards/board.h"
#include "boards/entry.h"
#include "boards/qemu-aarch64/cores.h"
#include "boards/qemu-aarch64/interrupts.h"
#include "boards/qemu-aarch64/sysreg.h"
#include "kernel-lib/check.h"

#define MDSCR_STEP   (UINT64_C(1) << 0)
#define MDSCR_KERNEL (UINT64_C(1) << 13)

#define PSTATE_EL1T UINT64_C(0x4)
#define PSTATE_F    UINT64_C(0x40)
#define PSTATE_I    UINT64_C(0x80)
#define PSTATE_D    UINT64_C(0x200)
#define PSTATE_STEP UINT64_C(0x200000)

/* Instructions between ERET and fn's first: BLR. */
#define STEP_CALL_INSTRUCTIONS 1

struct step_state {
    uint64_t left; /* instructions until it is due */
    void (*handler)(void);
    enum board_interrupted outcome;
};

static void stepping_set(bool on)
{
    sysreg_write("mdscr_el1", on ? MDSCR_STEP | MDSCR_KERNEL : 0);
    barrier_isb(); /* takes effect before the next instruction counts */
}

void step_dispatch(struct interrupt_frame *frame, uintptr_t interrupted_sp)
{
    struct step_state *step = core_base_here()->step;
    (void)interrupted_sp;
    BH_CHECK(step, "board: a software step nobody asked for, at %p", (void *)frame->pc);
    if (--step->left > 0) {
        frame->pstate |= PSTATE_STEP;
        return;
    }
    stepping_set(false);
    frame->pstate |= PSTATE_D;
    step->outcome = BOARD_MASKED;
    if (frame->pstate & PSTATE_I)
        return;
    step->outcome = BOARD_TAKEN;
    entry_fixup(&frame->pc);
    step->handler();
}

/* Calls fn(arg) by an ERET that sets PSTATE.SS and clears D. In assembly from end to end: no code
 * of the compiler's is stepped through, and interrupts are off while ELR is in use. */
__attribute__((noinline)) static void step_call(void (*fn)(void *arg), void *arg)
{
    register void *x0 __asm__("x0") = arg;
    register void (*x9)(void *) __asm__("x9") = fn;
    __asm__ volatile("msr daifset, #2\n\t"
                     "adr x11, 1f\n\t"
                     "msr elr_el1, x11\n\t"
                     "msr spsr_el1, %[state]\n\t"
                     "eret\n"
                     "1:  blr x9\n\t"
                     "msr daifset, #8"
                     : "+r"(x0), "+r"(x9)
                     : [state] "r"(PSTATE_EL1T | PSTATE_F | PSTATE_STEP)
                     : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x10", "x11", "x12", "x13",
                       "x14", "x15", "x16", "x17", "x18", "x30", "v0", "v1", "v2", "v3", "v4", "v5",
                       "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
                       "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc", "memory");
}

enum board_stepping board_stepping(void)
{
    return BOARD_STEPS_OUTSIDE_LOCKS;
}

enum board_interrupted board_interrupt_at(uint64_t n, void (*handler)(void), void (*fn)(void *arg),
                                          void *arg)
{
    struct step_state step = {n + STEP_CALL_INSTRUCTIONS, handler, BOARD_RETURNED};
    sysreg_write("oslar_el1", 0); /* the OS lock is on after a reset and holds steps back */
    core_base_here()->step = &step;
    stepping_set(true);
    step_call(fn, arg);
    stepping_set(false);
    core_base_here()->step = NULL;
    return step.outcome;
}
