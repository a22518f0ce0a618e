/* SPDX-License-Identifier: MIT */
/*
 * The gate: what a thread passes on its way into the library, and how all are kept out for a
 * moment.
 *
 * 1. A thread that goes in writes `inside` of its slot, then reads gate_closed. Who closes the gate
 *    writes gate_closed, then reads `inside` of all slots. With a full fence between the two on
 *    both sides, at least one sees the other: the thread steps back, or the closer waits for it.
 * 2. Threads go in at every miss and the gate is closed once in a long while, so the closer pays
 * for both fences: membarrier() makes every running thread of the process go through one before it
 *    returns (membarrier(2)). Where the system does not have it, threads have one of their own.
 * 3. Threads of the shared slot go in by its lock, which the closer takes.
 * 4. While a process has one thread, it takes the library's locks without atomic read-modify-writes
 *    (bh_port_alone). The second thread closes the gate once to end that.
 *
 * When the gate is closed and nobody inside, no lock of the library is held, every cache is whole,
 * as the fast paths commit by one store, and what threads wrote inside is seen by who closed it.
 *
 * Locks: close_lock, taken outside; shared_lock.
 */
#ifndef BOARDS_PRELOAD_GATE_H
#define BOARDS_PRELOAD_GATE_H

#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include <bareheap/config.h>
#include <stdbool.h>
#include <stdint.h>

struct gate_slot {
    uint32_t inside; /* written by the slot's thread alone */
} __attribute__((aligned(ARCH_CACHE_LINE)));

struct gate {
    uint32_t closed;
    bool needs_fence; /* no membarrier(); written before there is a second thread */
    bool alone;       /* one thread has ever come; changed with the gate closed */
};

extern struct gate gate __attribute__((visibility("hidden")));
extern struct gate_slot gate_slots[BH_MAX_CORES] __attribute__((visibility("hidden")));

/* Tries to come in; false: the gate is closed, and the thread is outside. */
static inline bool gate_try_enter(struct gate_slot *slot)
{
    /* Relaxed, and a barrier for the compiler: see above. */
    atomic_store_relaxed(&slot->inside, 1);
    compiler_barrier();
    if (BH_UNLIKELY(gate.needs_fence))
        atomic_fence_seq_cst();
    /* Acquire: pairs with gate_open(). */
    if (BH_LIKELY(!atomic_load_acquire(&gate.closed)))
        return true;
    atomic_store_relaxed(&slot->inside, 0); /* nothing was done inside */
    return false;
}

/* Waits for the gate to open. */
void gate_enter_slow(struct gate_slot *slot);

static inline void gate_enter(uint32_t slot)
{
    if (BH_UNLIKELY(!gate_try_enter(&gate_slots[slot])))
        gate_enter_slow(&gate_slots[slot]);
}

static inline void gate_leave(uint32_t slot)
{
    /* Release: pairs with gate_close(): it sees everything that was done inside. */
    atomic_store_release(&gate_slots[slot].inside, 0);
}

/* The way in of threads of the shared slot. */
void gate_enter_shared(void);
void gate_leave_shared(void);

/* Before the first thread goes in, as long as there is only one. */
void gate_init(void);

/*
 * Returns with the gate closed and nobody but the caller inside. The caller holds slot `own`, is
 * inside and stays so; has called gate_close_begin() before it went in. After `rounds` rounds of
 * bh_port_wait() it waits no longer: a thread that was interrupted inside, by the signal whose
 * handler is this caller, never comes out. UINT_MAX: for days.
 */
void gate_close_begin(void);
void gate_close(uint32_t own, unsigned rounds);
void gate_open(void);

/* The same in the child of a fork: who was inside is gone. */
void gate_open_alone(uint32_t own);

#endif
