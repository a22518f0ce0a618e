/* SPDX-License-Identifier: MIT */
/*
 * The barrier of a TEST_ALL_CORES case, which cores may also leave for good.
 *
 * One word says everything, so that a core that comes and a core that leaves never see one another
 * half done: bits 0-15 the members, 16-31 those that wait, 32-63 the generation.
 *
 * 1. Who comes last (waiting + 1 == members) starts the next generation with nobody waiting.
 * 2. The others wait until the generation is another one.
 * 3. Who leaves (the case returned on this core, perhaps early by REQUIRE) is no member any more;
 * if all that remain wait already, leaving starts the next generation for them.
 *
 * Invariant: waiting < members, or both are 0.
 */
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "tests/harness/internal.h"

#define MEMBER     ((uint64_t)1)
#define WAITER     ((uint64_t)1 << 16)
#define GENERATION ((uint64_t)1 << 32)
#define COUNT_MASK ((uint64_t)0xffff)

static uint64_t barrier;

/* Right for a machine; where threads play the cores the board has a better one. */
__attribute__((weak)) void board_yield(void)
{
    arch_pause();
}

static uint64_t members(uint64_t word)
{
    return word & COUNT_MASK;
}

static uint64_t waiting(uint64_t word)
{
    return word / WAITER & COUNT_MASK;
}

static uint64_t generation(uint64_t word)
{
    return word / GENERATION;
}

/* Starts the next generation when everybody in `word` waits. */
static uint64_t turned_if_full(uint64_t word)
{
    if (waiting(word) == 0 || waiting(word) < members(word))
        return word;
    return (generation(word) + 1) * GENERATION + members(word) * MEMBER;
}

void harness_barrier_init(unsigned cores)
{
    /* Relaxed: board_start() orders it for the other cores. */
    atomic_store_relaxed(&barrier, cores * MEMBER);
}

void harness_barrier_leave(void)
{
    /* Relaxed: the exchange below compares with what is really there. */
    uint64_t old = atomic_load_relaxed(&barrier);
    while (members(old) != 0 && !atomic_cas_acq_rel(&barrier, &old, turned_if_full(old - MEMBER)))
        arch_pause();
}

void harness_barrier(void)
{
    /* Relaxed: as above. */
    uint64_t old = atomic_load_relaxed(&barrier);
    if (members(old) < 2)
        return;
    /* Acquire-release: pairs with the exchanges of the cores that come before and the loads
     * below: what each did before the barrier is seen by all behind it. */
    while (!atomic_cas_acq_rel(&barrier, &old, turned_if_full(old + WAITER)))
        arch_pause();
    /* The generation turns by a release store of the last core, which this acquire pairs with. */
    while (generation(atomic_load_acquire(&barrier)) == generation(old))
        board_yield();
}
