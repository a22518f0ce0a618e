/* SPDX-License-Identifier: MIT */
/*
 * Signals as interrupts: that of bh_port_signal_core(), and the timer.
 *
 * A core's interrupt flag is a variable of its thread, host_self.masked, not the thread's signal
 * mask: masking is two stores instead of two system calls.
 *
 * 1. A signal that arrives while masked == 0 is taken at once: its handler masks, does the
 *    interrupt's work, unmasks.
 * 2. One that arrives while masked == 1 sets its bit in host_self.pending and returns.
 * 3. Unmasking clears masked, then looks at pending, and takes what is there.
 *
 * Why none is lost: only one thread and the signal handlers on top of it touch these two, so
 * there is a single program order, in which a handler is a block between two instructions. It
 * runs either before masked is cleared, and the look at pending in step 3, which comes after,
 * finds its bit; or after, and it is taken at once by step 1. The compiler must keep the order of
 * the two accesses (barriers, volatile); the CPU keeps it by itself for one thread. Bits are
 * taken by an exchange, because a handler may set one between a read and a write.
 *
 * What the collector finds on the stack: the handler runs on the interrupted stack (no
 * SA_ONSTACK), as the collector reads from here to the stack's end. The kernel put the frame of the
 * signal there with all registers of the interrupted code: the general ones in the ucontext, the
 * vector ones in the XSAVE image beside it, on AArch64 in the records of sigcontext.__reserved. It
 * left x86-64's red zone (128 bytes under the interrupted stack pointer, in use without being
 * reserved) out, so that lies between the frame and the stack proper, and is read as well.
 *
 * Restartable sequences: a signal that is taken at once first moves the program counter in its
 * ucontext out of an interrupted sequence (entry_fixup). One that is put off needs no fixup
 * when it is taken: then it is a call from host_irq_enable(), and in a sequence nothing is called.
 *
 * ThreadSanitizer puts off a handler until the thread's next atomic access or blocking call, and
 * calls it from there. Every waiting loop here has an atomic access, and unmasking does one (the
 * look at pending), so interrupts come late but come. A loop that computes and does neither is not
 * interrupted under TSan. Such a late call has a stale ucontext, in which a program counter that is
 * moved moves nothing: builds for TSan have BH_PROTECT_MASK (mk/config.mk).
 *
 * It also keeps one place per thread for the signal mask that it restores after a late call. A
 * handler that waits, and so has it make a late call inside the late call, leaves the thread with
 * all signals blocked for good: a core that never stops again (seen with gcc 12 in one of ten
 * replays). So under TSan the two signals are let in again where a thread rests, and now and then
 * where it unmasks.
 */
#define _GNU_SOURCE
#include "arch/arch.h"
#include "boards/board.h"
#include "boards/entry.h"
#include "boards/host/internal.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include <bareheap/port.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Unmaskings from one look after the signal mask to the next: it is a system call. */
#define REOPEN_EVERY 255

/* Does the work of the interrupts in `bits`, masked. */
static void irq_dispatch(uint32_t bits)
{
    if (bits & HOST_IRQ_STOP)
        bh_handle_signal((uintptr_t)__builtin_frame_address(0));
    if ((bits & HOST_IRQ_TIMER) && host_self.timer_handler != NULL)
        host_self.timer_handler();
}

/* Takes `bits` and then all that is pending. Unmasked before and after. */
static void irq_take(uint32_t bits)
{
    while (bits != 0) {
        host_self.masked = 1;
        compiler_barrier();
        irq_dispatch(bits);
        compiler_barrier();
        host_self.masked = 0;
        compiler_barrier();
        /* Relaxed: this thread and its own handlers only. */
        bits = atomic_load_relaxed(&host_self.pending);
        if (bits != 0)
            bits = atomic_exchange_acquire(&host_self.pending, 0);
    }
}

#ifdef REG_RIP /* as <ucontext.h> of x86-64 spells it; other CPUs have fields */
uintptr_t *host_saved_pc(void *context)
{
    return (uintptr_t *)&((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
}
#else
uintptr_t *host_saved_pc(void *context)
{
    return (uintptr_t *)&((ucontext_t *)context)->uc_mcontext.pc;
}
#endif

__attribute__((weak)) void board_on_interrupt(uintptr_t *pc, uintptr_t interrupted)
{
    (void)pc;
    (void)interrupted;
}

static void irq_on_signal(int signal_number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    uint32_t bit = signal_number == HOST_SIGNAL_STOP ? HOST_IRQ_STOP : HOST_IRQ_TIMER;
    (void)info;
    if (host_self.masked) {
        (void)atomic_or_relaxed(&host_self.pending, bit); /* relaxed: see irq_take() */
    } else {
        entry_fixup(host_saved_pc(context));
        irq_take(bit);
    }
    errno = saved_errno;
}

void host_irq_init(void)
{
    struct sigaction action = {.sa_sigaction = irq_on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    /* While one is handled the other waits in the kernel: handlers do not nest. */
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, HOST_SIGNAL_STOP);
    sigaddset(&action.sa_mask, HOST_SIGNAL_TIMER);
    (void)sigaction(HOST_SIGNAL_STOP, &action, NULL);
    (void)sigaction(HOST_SIGNAL_TIMER, &action, NULL);
}

/* Lets the two signals in again, if this thread may take them. */
void host_irq_reopen(void)
{
    sigset_t both;
    if (!HOST_LOSES_SIGNALS || host_self.masked)
        return;
    sigemptyset(&both);
    sigaddset(&both, HOST_SIGNAL_STOP);
    sigaddset(&both, HOST_SIGNAL_TIMER);
    (void)pthread_sigmask(SIG_UNBLOCK, &both, NULL);
}

void host_irq_enable(void)
{
    compiler_barrier();
    host_self.masked = 0;
    compiler_barrier();
    if (HOST_LOSES_SIGNALS && host_self.reopen_in-- == 0) {
        host_self.reopen_in = REOPEN_EVERY;
        host_irq_reopen();
    }
    /* Relaxed: see irq_take(). */
    if (BH_UNLIKELY(atomic_load_relaxed(&host_self.pending) != 0))
        irq_take(atomic_exchange_acquire(&host_self.pending, 0));
}

uintptr_t bh_port_irq_save(void)
{
    uintptr_t was_masked = (uintptr_t)host_self.masked;
    host_self.masked = 1;
    compiler_barrier();
    return was_masked;
}

void bh_port_irq_restore(uintptr_t was_masked)
{
    if (!was_masked)
        host_irq_enable();
}

bool bh_port_irq_enabled(void)
{
    return !host_self.masked;
}

void board_irq_on(void)
{
    host_irq_enable();
}

void board_irq_off(void)
{
    (void)bh_port_irq_save();
}

/* --- The timer ---------------------------------------------------------------------------- */

/* Older headers do not have the public name of this field. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

void board_timer_start(uint64_t period_ns, void (*handler)(void))
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = HOST_SIGNAL_TIMER};
    struct timespec period = {(time_t)(period_ns / 1000000000), (long)(period_ns % 1000000000)};
    struct itimerspec both = {period, period};
    board_timer_stop();
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    BH_CHECK(timer_create(CLOCK_MONOTONIC, &event, &host_self.timer) == 0,
             "host: no timer for core %u (error %d): is the limit of pending signals reached?",
             bh_port_core(), errno);
    host_self.timer_handler = handler;
    (void)timer_settime(host_self.timer, 0, &both, NULL);
}

void board_timer_stop(void)
{
    if (host_self.timer_handler == NULL)
        return;
    (void)timer_delete(host_self.timer);
    host_self.timer_handler = NULL; /* a signal still on its way finds this */
}
