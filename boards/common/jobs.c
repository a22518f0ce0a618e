/* SPDX-License-Identifier: MIT */
/*
 * Jobs for the other cores: a slot per core, filled by core 0, emptied by its core.
 *
 * 1. board_start() fills the slot, sets `busy` and wakes the core.
 * 2. The core runs the job with interrupts on, clears the slot and wakes core 0.
 * 3. Both wait with interrupts off between looking at `busy` and sleeping: a wake-up that comes in
 *    between stays pending and ends the sleep at once, so none is lost.
 *
 * Invariant: a slot's fn and arg belong to core 0 while busy == 0, to the slot's core while 1.
 */
#include "boards/common/jobs.h"

#include "arch/arch.h"
#include "boards/board.h"
#include "boards/common/machine.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"

struct job {
    void (*fn)(void *arg);
    void *arg;
    uint32_t busy;
} __attribute__((aligned(ARCH_CACHE_LINE)));

static struct job jobs[BOARD_MAX_CORES];

static struct job *job_of(unsigned core)
{
    BH_CHECK(core < board_cores(), "board: no core %u: this machine has %u", core, board_cores());
    return &jobs[core];
}

void board_start(unsigned core, void (*fn)(void *arg), void *arg)
{
    struct job *job = job_of(core);
    if (core == bh_port_core()) {
        fn(arg);
        return;
    }
    /* Acquire pairs with the release in job_run(): the core is through with fn and arg. */
    BH_CHECK(!atomic_load_acquire(&job->busy),
             "board_start: core %u has not finished its job; call board_wait(%u) first", core,
             core);
    job->fn = fn;
    job->arg = arg;
    /* Pairs with the acquire load in jobs_idle(). */
    atomic_store_release(&job->busy, 1);
    machine_wake(core);
}

void board_wait(unsigned core)
{
    struct job *job = job_of(core);
    uintptr_t irq_state = arch_irq_save();
    /* Acquire pairs with the release in job_run(): what the job wrote is seen from here on. */
    while (atomic_load_acquire(&job->busy))
        machine_sleep();
    arch_irq_restore(irq_state);
}

void board_rest(void)
{
    uintptr_t irq_state = arch_irq_save();
    machine_sleep();
    arch_irq_restore(irq_state);
}

static void job_run(struct job *job)
{
    job->fn(job->arg);
    /* Nothing that the job held stays reachable through this slot. */
    job->fn = NULL;
    job->arg = NULL;
    /* Pairs with the acquire loads in board_wait() and board_start(). */
    atomic_store_release(&job->busy, 0);
    machine_wake(0);
}

_Noreturn void jobs_idle(void)
{
    struct job *job = job_of(bh_port_core());
    for (;;) {
        board_irq_off();
        /* Pairs with the release in board_start(). */
        while (!atomic_load_acquire(&job->busy))
            machine_sleep();
        board_irq_on();
        job_run(job);
    }
}
