/* SPDX-License-Identifier: MIT */
/*
 * Faults of a board image in words: what, where, which core, the call chain; then a failing exit.
 *
 * 1. The handler runs on a stack of its own, since the one in use may be what has overflowed.
 * 2. A fault in the guard below the core's stack, or just under the stack pointer's page, is
 *    called by its name.
 * 3. The first core to fault reports; another one waits for the end. A fault inside a report ends
 *    the process at once.
 *
 * Sanitizers would take these signals for themselves; sanitizers.c tells them not to, so
 * reports are the same in every build. Programs that use the library through host.h keep their
 * own handlers: nothing here is installed then.
 */
#define _GNU_SOURCE
#include "arch/arch.h"
#include "boards/board.h"
#include "boards/host/internal.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include <bareheap/port.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

/* What the interrupted code was doing. */
struct fault_place {
    uintptr_t address;
    uintptr_t pc;
    uintptr_t sp;
    uintptr_t frame;
};

static bool fault_reports;      /* this is a board image */
static uint32_t fault_reporter; /* the core that reports, plus 1 */

__attribute__((weak)) void board_on_exception(const char *what, uintptr_t address)
{
    (void)what;
    (void)address;
}

#ifdef REG_RIP /* as <ucontext.h> of x86-64 spells it; other CPUs have fields */
static void fault_read_registers(const ucontext_t *context, struct fault_place *place)
{
    place->pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    place->sp = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
    place->frame = (uintptr_t)context->uc_mcontext.gregs[REG_RBP];
}
#else
static void fault_read_registers(const ucontext_t *context, struct fault_place *place)
{
    place->pc = (uintptr_t)context->uc_mcontext.pc;
    place->sp = (uintptr_t)context->uc_mcontext.sp;
    place->frame = (uintptr_t)context->uc_mcontext.regs[29];
}
#endif

static bool fault_is_overflow(const struct fault_place *place)
{
    uintptr_t lo = host_self.stack.lo;
    return place->address < lo && place->address >= lo - HOST_GUARD_BYTES;
}

static const char *fault_name(int signal_number, const struct fault_place *place)
{
    static const struct {
        int signal_number;
        const char *name;
    } names[] = {
        {SIGSEGV, "page fault"},
        {SIGBUS, "bus error"},
        {SIGILL, "invalid instruction"},
        {SIGFPE, "arithmetic fault"},
    };
    if (signal_number == SIGSEGV && fault_is_overflow(place))
        return "stack overflow";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].signal_number == signal_number)
            return names[i].name;
    }
    return "signal";
}

/* Claims the report for this core, or does not return. */
static void fault_claim(void)
{
    uint32_t nobody = 0;
    uint32_t me = host_self.core + 1;
    if (atomic_cas_acquire(&fault_reporter, &nobody, me))
        return;
    if (nobody == me) {
        print_log("host: a second fault inside the report of the first\n");
        _exit(1);
    }
    for (;;)
        pause();
}

static void fault_on_signal(int signal_number, siginfo_t *info, void *context)
{
    struct fault_place place = {.address = (uintptr_t)info->si_addr};
    host_self.masked = 1;
    host_self.in_fault = true;
    fault_claim();
    fault_read_registers(context, &place);
    const char *what = fault_name(signal_number, &place);
    board_on_exception(what, signal_number == SIGSEGV ? place.address : 0);
    print_log("exception: %s on core %u\n", what, host_self.core);
    print_log("  address %p  pc %p  sp %p\n", (void *)place.address, (void *)place.pc,
              (void *)place.sp);
    if (place.frame >= host_self.stack.lo && place.frame < host_self.stack.hi)
        backtrace_log(place.frame, host_self.stack.hi);
    bh_port_panic(what);
}

void host_fault_init(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action = {.sa_sigaction = fault_on_signal,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)sigaction(signals[i], &action, NULL);
    fault_reports = true;
}

void host_fault_attach(void)
{
    if (!fault_reports)
        return;
    void *memory = mmap(NULL, HOST_FAULT_STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    BH_CHECK(memory != MAP_FAILED, "host: no memory for the stack of fault reports");
    stack_t stack = {.ss_sp = memory, .ss_size = HOST_FAULT_STACK_BYTES};
    (void)sigaltstack(&stack, NULL);
    host_self.fault_stack.lo = (uintptr_t)memory;
    host_self.fault_stack.hi = (uintptr_t)memory + HOST_FAULT_STACK_BYTES;
}
