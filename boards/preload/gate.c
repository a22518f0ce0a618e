/* SPDX-License-Identifier: MIT */
/* The gate's slow side. See gate.h. */
#define _GNU_SOURCE
#include "boards/preload/gate.h"
#include "boards/preload/preload.h"
#include <bareheap/port.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rounds of waiting where membarrier() was forbidden meanwhile: a millisecond, far longer than
 * any processor keeps a store to itself. */
#define BLIND_ROUNDS 40

struct gate gate = {.alone = true};
struct gate_slot gate_slots[BH_MAX_CORES];

static uint32_t close_lock;
static uint32_t shared_lock;

/* Under close_lock. */
static uint32_t closer;      /* the slot of who closes */
static unsigned others;      /* slots of others */
static unsigned rounds_done; /* of waiting */
static unsigned rounds_most;
static bool closer_took_shared; /* shared_lock is the closer's */

void gate_enter_slow(struct gate_slot *slot)
{
    unsigned round = 0;
    do
        bh_port_wait(round++);
    while (!gate_try_enter(slot));
}

void gate_enter_shared(void)
{
    preload_lock(&shared_lock);
}

void gate_leave_shared(void)
{
    preload_unlock(&shared_lock);
}

/* errno stays: a filter of system calls may forbid this one, and free() comes here. */
static long membarrier(int command)
{
    int error = errno;
    long result = syscall(SYS_membarrier, command, 0, 0);
    errno = error;
    return result;
}

void gate_init(void)
{
    gate.needs_fence = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0;
}

/* Every thread of the process has gone through a full fence when this returns. */
static BH_COLD void fence_all(void)
{
    if (gate.needs_fence || membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0)
        return;
    (void)membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED); /* the child of a fork */
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0)
        return;
    for (unsigned i = 0; i < BLIND_ROUNDS; i++)
        bh_port_wait(i);
}

static bool wait_a_round(void)
{
    if (rounds_done == rounds_most)
        return false;
    bh_port_wait(rounds_done++);
    return true;
}

static BH_COLD void count_other(uint32_t slot)
{
    others += slot != closer;
}

static BH_COLD void wait_for_slot(uint32_t slot)
{
    /* Acquire: pairs with gate_leave(). */
    while (slot != closer && atomic_load_acquire(&gate_slots[slot].inside) && wait_a_round())
        ;
}

/* The closer's own slot may be the shared one; then it has the lock already. */
static BH_COLD void take_shared_lock(void)
{
    closer_took_shared = false;
    while (!slot_is_shared(closer) && !closer_took_shared) {
        closer_took_shared = preload_try_lock(&shared_lock);
        if (!closer_took_shared && !wait_a_round())
            return;
    }
}

BH_COLD void gate_close_begin(void)
{
    preload_lock(&close_lock);
}

BH_COLD void gate_close(uint32_t own, unsigned rounds)
{
    closer = own;
    others = 0;
    rounds_done = 0;
    rounds_most = rounds;
    atomic_store_relaxed(&gate.closed, 1);
    /* Pairs with the one after slot_take(): a thread that is not counted here finds the gate
     * closed. Those who are counted: see gate.h. */
    atomic_fence_seq_cst();
    slot_each_taken(count_other);
    if (others > 0)
        fence_all();
    slot_each_taken(wait_for_slot);
    take_shared_lock();
}

BH_COLD void gate_open(void)
{
    if (closer_took_shared)
        preload_unlock(&shared_lock);
    /* Release: pairs with gate_try_enter(); who comes in sees what was done meanwhile. */
    atomic_store_release(&gate.closed, 0);
    preload_unlock(&close_lock);
}

BH_COLD void gate_open_alone(uint32_t own)
{
    closer_took_shared = !slot_is_shared(own); /* whoever held it is gone */
    gate.alone = closer_took_shared;
    gate_open();
}
