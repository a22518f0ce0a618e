/* SPDX-License-Identifier: MIT */
/*
 * The end of the line: bh_panic() and the backtrace.
 *
 * 1. Interrupts go off for good: nothing of ours runs on this core behind the panic's back.
 * 2. The message is formatted into the caller's stack: no heap, no shared buffer.
 * 3. The core takes its turn: of several cores that panic at once each prints whole lines, one
 *    core after the other. The turn is waited for with a bound: a core that dies while it
 *    prints must not silence the others.
 * 4. Message, then the call chain by frame pointers; then the turn passes on, and
 *    bh_port_panic() ends the kernel.
 * 5. A panic inside a panic of the same core prints its message alone, without a turn and
 *    without a backtrace, since one of the two may be what failed; a third says nothing
 *    and waits for ever. So there is an end whatever the hooks do.
 *
 * The backtrace never faults: it reads only frames inside the stack it was given, each above
 * the one before. Code built without frame pointers ends it early, or adds a line that is wrong.
 * Invariants: panic_depth[c] is written by core c alone; panic_turn is 0 or the index of the core
 * that prints, plus 1. No locks but the turn. Not here: exceptions (the board's own reports).
 */
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include "kernel-lib/percore.h"
#include "kernel-lib/port_defaults.h"
#include "kernel-lib/print.h"
#include <stdarg.h>

#define PANIC_MESSAGE_BYTES 384

/* How many looks at the turn before a core takes it unasked: over a second on any CPU. */
#define PANIC_TURN_POLLS 100000000u

#define BACKTRACE_MAX_FRAMES 24

/* What the frame record of both CPUs takes: the caller's frame pointer and the return address. */
#define BACKTRACE_RECORD_BYTES (2 * sizeof(uintptr_t))

/* No MMU page is smaller: where one byte of it can be read, all of it can. */
#define BACKTRACE_PAGE_BYTES 4096u

static PER_CORE(uint8_t, panic_depth);
static uint32_t panic_turn;

__attribute__((weak)) const char *bh_symbol_name(uintptr_t address, size_t *offset)
{
    (void)address;
    *offset = 0;
    return NULL;
}

static BH_COLD void backtrace_log_line(unsigned index, uintptr_t address)
{
    size_t offset = 0;
    /* The return address may be the first of the next function: the call is before it. */
    const char *name = bh_symbol_name(address - 1, &offset);
    if (name != NULL)
        print_log("  #%-2u %p %s+0x%zx\n", index, (void *)address, name, offset + 1);
    else
        print_log("  #%-2u %p\n", index, (void *)address);
}

static BH_COLD bool backtrace_can_read(uintptr_t frame, uintptr_t floor, uintptr_t stack_top)
{
    return frame % sizeof(uintptr_t) == 0 && frame >= floor && frame < stack_top &&
           stack_top - frame >= BACKTRACE_RECORD_BYTES;
}

BH_COLD void backtrace_log(uintptr_t frame, uintptr_t stack_top)
{
    uintptr_t floor = frame;
    for (unsigned i = 0; i < BACKTRACE_MAX_FRAMES; i++) {
        uintptr_t caller = 0;
        uintptr_t caller_frame = 0;
        if (!backtrace_can_read(frame, floor, stack_top))
            return;
        arch_frame_step(frame, &caller, &caller_frame);
        if (caller == 0)
            return;
        backtrace_log_line(i, caller);
        floor = frame + BACKTRACE_RECORD_BYTES; /* callers lie higher: no loop, no way back */
        frame = caller_frame;
    }
}

/* The stack's end, or the end of the page that `frame` is in when the kernel does not tell. */
static BH_COLD uintptr_t panic_stack_top(uintptr_t frame)
{
    if (port_has_stack_top())
        return bh_port_stack_top(frame);
    return (frame & ~(uintptr_t)(BACKTRACE_PAGE_BYTES - 1)) + BACKTRACE_PAGE_BYTES;
}

/* Panics before or beside the kernel's core numbering share the last slot. */
static BH_COLD unsigned panic_core(void)
{
    unsigned core = bh_port_core();
    return core < BH_MAX_CORES ? core : BH_MAX_CORES - 1;
}

static BH_COLD void panic_take_turn(unsigned core)
{
    uint32_t nobody = 0;
    /* Acquire: pairs with panic_pass_turn(), so that the log's state is the other core's last. */
    for (unsigned i = 0; i < PANIC_TURN_POLLS; i++) {
        nobody = 0;
        if (atomic_cas_acquire(&panic_turn, &nobody, core + 1))
            return;
        arch_pause();
    }
}

static BH_COLD void panic_pass_turn(void)
{
    atomic_store_release(&panic_turn, 0); /* pairs with panic_take_turn() */
}

static BH_COLD void panic_report(unsigned core, const char *message, uintptr_t frame)
{
    panic_take_turn(core);
    print_log("bareheap: panic: %s\n", message);
    print_log("backtrace of core %u:\n", core);
    backtrace_log(frame, panic_stack_top(frame));
    panic_pass_turn();
}

/* The hooks have failed twice: nothing is left to call. */
static _Noreturn void panic_stay(void)
{
    for (;;)
        arch_pause();
}

void bh_panic(const char *format, ...)
{
    char message[PANIC_MESSAGE_BYTES];
    va_list args;
    (void)arch_irq_save();
    va_start(args, format);
    print_format_va(message, sizeof(message), format, args);
    va_end(args);

    unsigned core = panic_core();
    uint8_t depth = panic_depth[core];
    if (depth < 2)
        panic_depth[core] = (uint8_t)(depth + 1);
    if (depth == 0)
        panic_report(core, message, (uintptr_t)__builtin_frame_address(0));
    else if (depth == 1)
        print_log("bareheap: panic inside a panic: %s\n", message);
    else
        panic_stay();
    bh_port_panic(message);
}
