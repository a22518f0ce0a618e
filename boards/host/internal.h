/* SPDX-License-Identifier: MIT */
/*
 * What the files of the host board share. Nouns:
 *
 *   core    a slot 0 .. count - 1, always held by one thread, but for moments of changing hands
 *   keeper  the board's own thread for a core: runs its jobs, and holds it while nobody else does
 *   self    what a thread knows of itself; its signal handlers read and write it too
 */
#ifndef BOARDS_HOST_INTERNAL_H
#define BOARDS_HOST_INTERNAL_H

#include <bareheap/config.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Ignored by default and used by no library, so a stray one does no harm; debuggers pass
 * both on without a word. */
#define HOST_SIGNAL_STOP  SIGURG
#define HOST_SIGNAL_TIMER SIGVTALRM

/* The bits of self.pending. */
#define HOST_IRQ_STOP  1u
#define HOST_IRQ_TIMER 2u

#define HOST_NO_CORE UINT32_MAX

/* Bytes under a core's stack that fault. More than a page, so that one large frame cannot jump
 * over it unseen. */
#define HOST_GUARD_BYTES ((size_t)64 << 10)

/* The stack for reports of faults: the kernel's frame (12 KiB with all vector state) and ours. */
#define HOST_FAULT_STACK_BYTES ((size_t)64 << 10)

/* irq.c, the end of its head. */
#if defined(__SANITIZE_THREAD__)
#define HOST_LOSES_SIGNALS 1
#else
#define HOST_LOSES_SIGNALS 0
#endif

/* A stretch of addresses: a stack. */
struct host_range {
    uintptr_t lo;
    uintptr_t hi;
};

/*
 * Initial-exec TLS: a fixed offset from the thread pointer, so reading it takes one instruction and
 * never allocates, which makes it right in signal handlers.
 *
 * `masked` and `pending` are the core's interrupt flag and interrupt controller; irq.c explains
 * the order in which they are accessed. A thread without a core is masked, for good.
 */
struct host_self {
    uint32_t core;
    volatile sig_atomic_t masked;
    uint32_t pending;
    bool in_fault; /* reporting one: libc may be in any state */
    struct host_range stack;
    struct host_range fault_stack; /* empty where faults are not ours to report */
    void (*timer_handler)(void);   /* NULL: no timer runs */
    timer_t timer;
    struct step_state *step; /* board_interrupt_at() is under way */
    uint32_t reopen_in;      /* unmaskings to go (HOST_LOSES_SIGNALS) */
};

/* The allocator's slot of the core whose thread this is (mk/config.mk: BH_CORE_SLOT). */
extern __thread void *bh_core_slot __attribute__((tls_model("initial-exec")));

extern __thread struct host_self host_self __attribute__((tls_model("initial-exec")));

/* --- cores.c ------------------------------------------------------------------------------ */

/* The number of cores, 0 before host_cores_start(). */
unsigned host_cores_count(void);

/*
 * Starts keepers for the cores `first` to `count` - 1; each is its core when this returns. False
 * when the system gives no more threads.
 */
bool host_cores_start(unsigned first, unsigned count);

/* Keepers without a job park from now on. Once, when there is a heap; nobody else hands out jobs.
 */
void host_cores_park_idle(void);

/* The calling thread, which has none, becomes core `core`; and stops being it. */
void host_core_enter(unsigned core);
void host_core_leave(void);

/* Hands fn(arg) to a keeper that has no job; waits until it has none. */
void host_keeper_start(unsigned core, void (*fn)(void *arg), void *arg);
void host_keeper_wait(unsigned core);
bool host_keeper_is_busy(unsigned core);

/* sem_wait() that signals do not end. */
void host_sem_wait(sem_t *sem);

/* A thread with a guarded stack. False when there is none to be had. */
bool host_thread_create(void *(*fn)(void *arg), void *arg);

/* --- irq.c -------------------------------------------------------------------------------- */

/* Installs the handlers of both signals. Once. */
void host_irq_init(void);

/* Unmasks interrupts of this core and takes those that came meanwhile. */
void host_irq_enable(void);

/* For where a core rests or waits: lets signals in again that ThreadSanitizer shut out. */
void host_irq_reopen(void);

/* The program counter of interrupted code, in the frame that a signal handler gets. */
uintptr_t *host_saved_pc(void *context);

/* --- step.c ------------------------------------------------------------------------------- */

/* Lets SIGTRAP count instructions, for board_interrupt_at(). Once, in a board image. */
void host_step_init(void);

/* --- fault.c ------------------------------------------------------------------------------ */

/* Reports of SIGSEGV and its like from now on, and for this thread. */
void host_fault_init(void);
void host_fault_attach(void);

/* --- ram.c -------------------------------------------------------------------------------- */

/* Maps the board's RAM. False when the system refuses. */
bool host_ram_map(size_t bytes);

/* --- port.c ------------------------------------------------------------------------------- */

/* Registers .data and .bss with the collector, where it is linked. */
void host_register_roots(void);

/* From now on this process is a board image: it logs to standard output instead of standard
 * error, and a panic is exit status 1 instead of abort(). */
void host_become_board(void);

/* Ends the process. Cores that come second stay in here. */
_Noreturn void host_exit(int status);

#endif
