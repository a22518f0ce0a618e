/* SPDX-License-Identifier: MIT */
/*
 * What the files of the preload board share. Nouns:
 *
 *   slot    a core's number and what goes with it; a thread holds one from its first miss to its
 * end shared  the slot of all threads that have none of their own: they use it under a lock inside
 * a thread is inside while "interrupts are off": in a slow path of the library gate    what a
 * thread passes on its way in; a fork closes it (gate.h)
 */
#ifndef BOARDS_PRELOAD_PRELOAD_H
#define BOARDS_PRELOAD_PRELOAD_H

#include "kernel-lib/check.h"
#include <bareheap/config.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

BH_STATIC_ASSERT(BH_PROTECT == BH_PROTECT_NONE, "its cores are threads");

/* What the dynamic linker shows to programs; all else in the library is hidden. */
#define PRELOAD_EXPORT __attribute__((visibility("default")))

/* --- slots.c -------------------------------------------------------------------------- */

#define SLOT_NONE UINT32_MAX

/* A free slot for one thread alone, the lowest there is; SLOT_NONE when all are taken. */
uint32_t slot_take(void);
void slot_give(uint32_t slot);

/* The shared slot. There is always one: no thread has the last for itself. */
uint32_t slot_shared(void);
bool slot_is_shared(uint32_t slot);

/* Calls visit(slot) for every slot that is taken. */
void slot_each_taken(void (*visit)(uint32_t slot));

/* --- memory.c ------------------------------------------------------------------------- */

/* Lets gradual release do a step, when it is due. The thread is outside. */
void memory_tick(void);

/*
 * Around a fork, before the gate is closed and after it is open: no other thread is in a step, with
 * pages in its hands that the child would lose. Waits for at most so many rounds.
 */
void memory_tick_hold(unsigned rounds);
void memory_tick_release(void);

/* --- port.c --------------------------------------------------------------------------- */

/* A lock for what the board itself shares. To be taken inside only, so that a fork finds it free.
 */
void preload_lock(uint32_t *lock);
bool preload_try_lock(uint32_t *lock);
void preload_unlock(uint32_t *lock);

/* --- options.c ------------------------------------------------------------------------ */

struct preload_options {
    bool read;            /* there was an environment */
    bool stats;           /* BAREHEAP_STATS: the figures at the end */
    size_t reserve_bytes; /* BAREHEAP_RESERVE; 0: by the size of RAM */
};

/* Read from the environment at the first call that finds one. */
const struct preload_options *preload_options(void);

/* Writes the figures of bh_get_stats() to standard error. */
void preload_print_stats(void);

#endif
