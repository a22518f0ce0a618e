/* SPDX-License-Identifier: MIT */
/*
 * A program's own threads as cores (host.h).
 *
 * 1. A core is always answered for: when a thread attaches, the core's keeper leaves it and the
 *    thread enters; when the thread detaches or ends, the keeper enters again. So the collector can
 *    stop all cores at any time, whoever is attached. The keeper parks, which empties the core's
 *    cache, before the detaching thread goes on.
 * 2. Lending a core is a job of its keeper like any other: leave, tell, wait for the return, enter.
 *
 * Invariant: a slot is taken from attach_claim() until its thread has left the core.
 * Lock: attach_lock guards the `taken` of all slots, and is held for nothing else.
 */
#define _GNU_SOURCE
#include "boards/board.h"
#include "boards/host/host.h"
#include "boards/host/internal.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

struct attach_slot {
    unsigned core;
    bool taken;
    sem_t lent;     /* posted: the keeper has left the core */
    sem_t returned; /* posted: the thread has */
};

static struct attach_slot slots[BH_MAX_CORES];
static unsigned slots_count; /* 0 in a board image, whose cores are not for lending */
static pthread_mutex_t attach_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t detach_at_exit;

/* The job by which a keeper lends its core. */
static void attach_lend(void *arg)
{
    struct attach_slot *slot = arg;
    host_core_leave();
    sem_post(&slot->lent);
    host_sem_wait(&slot->returned);
    host_core_enter(slot->core);
}

/* A core nobody has, now the caller's; NULL when there is none. */
static struct attach_slot *attach_claim(void)
{
    struct attach_slot *claimed = NULL;
    (void)pthread_mutex_lock(&attach_lock);
    for (unsigned i = 0; i < slots_count && claimed == NULL; i++) {
        if (!slots[i].taken)
            claimed = &slots[i];
    }
    if (claimed != NULL)
        claimed->taken = true;
    (void)pthread_mutex_unlock(&attach_lock);
    return claimed;
}

static void attach_unclaim(struct attach_slot *slot)
{
    (void)pthread_mutex_lock(&attach_lock);
    slot->taken = false;
    (void)pthread_mutex_unlock(&attach_lock);
}

bool bh_host_attach_thread(void)
{
    if (host_self.core != HOST_NO_CORE)
        return true;
    struct attach_slot *slot = attach_claim();
    if (slot == NULL)
        return false;
    host_keeper_start(slot->core, attach_lend, slot);
    host_sem_wait(&slot->lent);
    host_core_enter(slot->core);
    (void)pthread_setspecific(detach_at_exit, slot);
    return true;
}

void bh_host_detach_thread(void)
{
    if (host_self.core == HOST_NO_CORE || slots_count == 0)
        return;
    struct attach_slot *slot = &slots[host_self.core];
    (void)pthread_setspecific(detach_at_exit, NULL);
    host_core_leave();
    sem_post(&slot->returned);
    host_keeper_wait(slot->core);
    attach_unclaim(slot);
}

static void attach_on_thread_exit(void *slot)
{
    (void)slot;
    bh_host_detach_thread();
}

static void attach_init(unsigned cores)
{
    slots_count = cores;
    (void)pthread_key_create(&detach_at_exit, attach_on_thread_exit);
    for (unsigned i = 0; i < cores; i++) {
        slots[i].core = i;
        (void)sem_init(&slots[i].lent, 0, 0);
        (void)sem_init(&slots[i].returned, 0, 0);
    }
}

enum bh_status bh_host_init(size_t bytes, unsigned cores)
{
    size_t count = 0;
    if (host_cores_count() != 0)
        return BH_TWICE;
    if (cores == 0 || cores > BH_MAX_CORES)
        return BH_TOO_MANY_CORES;
    host_irq_init();
    attach_init(cores);
    if (!host_ram_map(bytes) || !host_cores_start(0, cores))
        return BH_TOO_SMALL;
    (void)bh_host_attach_thread();
    host_register_roots();
    const struct bh_region *regions = board_ram(&count);
    enum bh_status status = bh_init(regions, count);
    if (status == BH_OK)
        host_cores_park_idle();
    return status;
}
