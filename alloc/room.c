/* SPDX-License-Identifier: MIT */
/* The way to NULL. See room.h. */
#include "alloc/room.h"
#include "alloc/cache.h"
#include "alloc/central.h"
#include "alloc/walk.h"

bool (*walk_collect_hook)(void);
void (*room_sweep_hook)(void);
size_t room_collected_bytes;
static uint64_t failures;

static void room_collect(void)
{
    /* Acquire: pairs with the release in collect_attach(). */
    bool (*hook)(void) = atomic_load_acquire(&walk_collect_hook);
    if (hook && arch_irq_enabled())
        hook();
}

void room_reclaim(void)
{
    cache_drain();
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++)
        central_drain(i);
    void (*sweep)(void) = atomic_load_relaxed(&room_sweep_hook); /* as where it is set */
    if (sweep)
        sweep();
}

static void room_ask_port(size_t bytes)
{
    if (arch_irq_enabled())
        bh_port_pages_wanted(bytes);
}

bool room_make(size_t bytes, unsigned attempt)
{
    /* Another try after each step, even one that had nothing to do: a try is cheap here, and other
     * cores free memory meanwhile. */
    switch (attempt) {
    case 0:
        room_collect();
        return true;
    case 1:
        room_reclaim();
        return true;
    case 2:
        room_ask_port(bytes);
        return true;
    default:
        return false;
    }
}

bool walk_make_room(size_t bytes, unsigned attempt)
{
    return room_make(bytes, attempt + 1); /* the collector has collected */
}

void *room_failed(void)
{
    atomic_add_relaxed(&failures, 1); /* a statistic */
    return NULL;
}

uint64_t room_failures(void)
{
    return atomic_load_relaxed(&failures); /* a statistic */
}
