/* SPDX-License-Identifier: MIT */
/*
 * Threads as cores.
 *
 * 1. A thread becomes a core by host_core_enter() and stops being it by host_core_leave().
 * 2. Each core has a keeper, a thread that enters it first, sleeps on a semaphore with interrupts
 *    on and runs the jobs it is handed. (In a board image core 0 has none: there it is the thread
 *    of board_main().) In a program that has its own main(), it is parked while it sleeps, as the
 *    idle loop of a kernel would be: a collection need not wake it. In a board image it is not,
 *    because handlers on an idle core do there what they like.
 *
 * A core may change hands: a job leaves it, another thread enters it (attach.c). No stop gets lost
 * meanwhile. The collector writes its request, then reads the core's thread (bh_port_signal_core);
 * who enters writes itself as the core's thread, then looks for a request (host_core_enter).
 * Both touch `thread` by a read-modify-write, and those of one word have an order: if the
 * collector's comes second, it finds the new thread and signals it; if it comes first, the new
 * thread's acquires from it, and sees the request. A signal that still reaches the thread that left
 * finds it masked for good.
 *
 * Invariants: cores[c].thread is the kernel's id of the one thread with host_self.core == c, or 0.
 * No locks. A semaphore hands over everything written before it is posted.
 * Not here: signals (irq.c), lending a core to a program's thread (attach.c), board.h's face
 * of jobs (board.c).
 */
#define _GNU_SOURCE
#include "arch/arch.h"
#include "boards/host/internal.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

struct host_core {
    uint32_t thread;
    uint32_t busy; /* 1 from host_keeper_start() until the job has returned */
    void (*fn)(void *arg);
    void *arg;
    sem_t job;  /* posted: fn and arg are there */
    sem_t done; /* posted: the job has returned */
} __attribute__((aligned(2 * ARCH_CACHE_LINE)));

__thread struct host_self host_self
    __attribute__((tls_model("initial-exec"))) = {.core = HOST_NO_CORE, .masked = 1};

/*
 * The slot of a thread that is no core: bins that are empty and full, so that both fast paths go on
 * to code that asks for the core, and bh_port_core() says what is wrong. Nothing writes to them.
 */
static void *no_object;
static const struct arch_bins no_bins = {
    .top = {[0 ... ARCH_BINS - 1] = &no_object},
    .end = {[0 ... ARCH_BINS - 1] = &no_object},
};
#define NO_CORE_SLOT ((void *)&no_bins)

__thread void *bh_core_slot __attribute__((tls_model("initial-exec"))) = NO_CORE_SLOT;

static struct host_core cores[BH_MAX_CORES];
static unsigned cores_count;
static uint32_t cores_idle_parked; /* keepers park; set once */

/* NULL in a program without the collector. */
void bh_gc_park_idle(void) __attribute__((weak));
void bh_gc_unpark(void) __attribute__((weak));

/* --- Who is which core -------------------------------------------------------------------- */

/* Not bh_panic(), which asks for the core. */
static _Noreturn void host_no_core(void)
{
    static const char message[] =
        "this thread is no core: call bh_host_attach_thread() before using the heap";
    print_log("bareheap: panic: %s\n", message);
    bh_port_panic(message);
}

unsigned bh_port_core(void)
{
    if (BH_UNLIKELY(host_self.core == HOST_NO_CORE))
        host_no_core();
    return host_self.core;
}

unsigned bh_port_core_count(void)
{
    return cores_count;
}

unsigned host_cores_count(void)
{
    return cores_count;
}

static uint32_t host_thread_id(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

/* The stack of this thread, as the C library made it: [lowest usable byte, end). */
static struct host_range host_find_stack(void)
{
    pthread_attr_t attributes;
    void *lo = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        bh_panic("host: pthread_getattr_np does not tell where this thread's stack is");
    (void)pthread_attr_getstack(&attributes, &lo, &bytes);
    (void)pthread_attr_destroy(&attributes);
    return (struct host_range){(uintptr_t)lo, (uintptr_t)lo + bytes};
}

void host_core_enter(unsigned core)
{
    sigset_t signals;
    host_self.core = core;
    if (host_self.stack.hi == 0)
        host_self.stack = host_find_stack();
    sigemptyset(&signals);
    sigaddset(&signals, HOST_SIGNAL_STOP);
    sigaddset(&signals, HOST_SIGNAL_TIMER);
    (void)pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    bh_core_init(); /* the slot is this thread's; its core's cache was another's until now */

    /* Pairs with bh_port_signal_core(). */
    (void)atomic_exchange_acq_rel(&cores[core].thread, host_thread_id());
    /* A stop may have been asked for while the core was nobody's: look, as if it had
     * interrupted. Without one, the collector's handler returns at once. */
    atomic_store_relaxed(&host_self.pending, HOST_IRQ_STOP);
    host_irq_enable();
}

void host_core_leave(void)
{
    host_self.masked = 1;
    compiler_barrier(); /* masked before the core is nobody's: no handler runs in between */
    /* Pairs with the exchange of the next to enter; itself one, to hand on what it read. */
    (void)atomic_exchange_acq_rel(&cores[host_self.core].thread, 0);
    bh_core_slot = NO_CORE_SLOT;
    host_self.core = HOST_NO_CORE;
}

void bh_port_signal_core(unsigned core)
{
    /* An addition of nothing: reads and takes its place in the order (see the head of the file).
     * Its release pairs with host_core_enter(). */
    uint32_t thread = atomic_add_acq_rel(&cores[core].thread, 0);
    /* Nobody: who enters next looks. A thread that has just left and ended: the same. */
    if (thread != 0)
        (void)syscall(SYS_tgkill, getpid(), thread, HOST_SIGNAL_STOP);
}

uintptr_t bh_port_stack_top(uintptr_t sp)
{
    if (sp >= host_self.stack.lo && sp < host_self.stack.hi)
        return host_self.stack.hi;
    if (sp >= host_self.fault_stack.lo && sp < host_self.fault_stack.hi)
        return host_self.fault_stack.hi;
    bh_panic("host: %p is on no stack of core %u: stacks that a program makes itself are not known",
             (void *)sp, host_self.core);
}

/* --- Keepers ------------------------------------------------------------------------------ */

void host_sem_wait(sem_t *sem)
{
    while (sem_wait(sem) != 0 && errno == EINTR)
        ;
}

/* After a job: whether the core is parked until the next one. */
static bool keeper_park(void)
{
    /* Relaxed: set before a job was handed over. */
    bool parks = bh_gc_park_idle && atomic_load_relaxed(&cores_idle_parked);
    if (parks)
        bh_gc_park_idle();
    return parks;
}

static void *keeper_main(void *arg)
{
    struct host_core *core = arg;
    bool parked = false;
    host_fault_attach();
    host_core_enter((unsigned)(core - cores));
    sem_post(&core->done); /* for host_cores_start() */
    for (;;) {
        host_sem_wait(&core->job);
        if (parked)
            bh_gc_unpark();
        core->fn(core->arg);
        core->arg = NULL;
        parked = keeper_park(); /* so who waits for the job knows that nobody is in the heap */
        /* Pairs with the load in host_keeper_is_busy(). */
        atomic_store_release(&core->busy, 0);
        sem_post(&core->done);
    }
    return NULL;
}

bool host_thread_create(void *(*fn)(void *arg), void *arg)
{
    pthread_t thread;
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setguardsize(&attributes, HOST_GUARD_BYTES);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &attributes, fn, arg);
    (void)pthread_attr_destroy(&attributes);
    return error == 0;
}

static void host_core_init(struct host_core *core)
{
    (void)sem_init(&core->job, 0, 0);
    (void)sem_init(&core->done, 0, 0);
}

bool host_cores_start(unsigned first, unsigned count)
{
    cores_count = count;
    for (unsigned i = 0; i < count; i++)
        host_core_init(&cores[i]);
    for (unsigned i = first; i < count; i++) {
        if (!host_thread_create(keeper_main, &cores[i]))
            return false;
        host_sem_wait(&cores[i].done);
    }
    return true;
}

bool host_keeper_is_busy(unsigned core)
{
    /* Acquire pairs with the release in keeper_main(): what the job wrote is seen. */
    return atomic_load_acquire(&cores[core].busy) != 0;
}

void host_keeper_start(unsigned core, void (*fn)(void *arg), void *arg)
{
    /* A job that nobody waited for has left its post; take it back. */
    while (sem_trywait(&cores[core].done) == 0)
        ;
    cores[core].fn = fn;
    cores[core].arg = arg;
    /* Relaxed: the semaphore hands it over. */
    atomic_store_relaxed(&cores[core].busy, 1);
    sem_post(&cores[core].job);
}

void host_keeper_wait(unsigned core)
{
    while (host_keeper_is_busy(core))
        host_sem_wait(&cores[core].done);
}

static void keeper_look(void *arg)
{
    (void)arg;
}

void host_cores_park_idle(void)
{
    atomic_store_relaxed(&cores_idle_parked, 1); /* the semaphores hand it over */
    for (unsigned i = 0; i < cores_count; i++) {
        if (host_keeper_is_busy(i))
            continue; /* its core is lent */
        host_keeper_start(i, keeper_look, NULL);
        host_keeper_wait(i);
    }
}
