/* SPDX-License-Identifier: MIT */
/* The way to NULL. See room.h. */
#include "alloc/room.h"
#include "alloc/cache.h"
#include "alloc/central.h"
#include "alloc/guard.h"
#include "alloc/walk.h"

/* Pages that a request with interrupts off sweeps at most. */
#define SWEEP_MASKED_PAGES 16

bool (*walk_collect_hook)(void);
const struct room_collected *room_collected;
struct room_collected_count room_collected_count __attribute__((aligned(ARCH_CACHE_LINE)));
void (*walk_pressure_hook)(size_t bytes);
size_t room_limit_bytes = SIZE_MAX;
void (*room_drain_hook)(void);
static uint64_t failures;

/* Freed is read first, or it might be of what was taken since; in spite of that a core may see
 * them in another order. */
size_t room_collected_bytes(void)
{
    uint64_t freed_bytes = atomic_load_relaxed(&room_collected_count.freed_bytes);
    uint64_t taken_bytes = atomic_load_relaxed(&room_collected_count.taken_bytes);
    return taken_bytes > freed_bytes ? taken_bytes - freed_bytes : 0;
}

BH_COLD void room_press(size_t bytes)
{
    /* Acquire: pairs with the release in collect_attach(). */
    void (*hook)(size_t bytes) = atomic_load_acquire(&walk_pressure_hook);
    if (hook && arch_irq_enabled())
        hook(bytes);
}

void walk_set_pressure(size_t bytes)
{
    atomic_store_relaxed(&room_limit_bytes, bytes); /* a figure */
}

static void room_collect(void)
{
    /* Acquire: pairs with the release in collect_attach(). */
    bool (*hook)(void) = atomic_load_acquire(&walk_collect_hook);
    if (hook && arch_irq_enabled())
        hook();
}

/* Sweeps up to `pages` pages and lets this core's cursors go. */
static void room_sweep(size_t pages)
{
    const struct room_collected *collected = atomic_load_relaxed(&room_collected); /* see there */
    if (collected)
        collected->reclaim(pages);
}

BH_COLD void room_reclaim(void)
{
    if (BH_HARDEN)
        guard_drain();
    if (!arch_irq_enabled()) {
        room_sweep(SWEEP_MASKED_PAGES);
        return;
    }
    cache_drain();
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++)
        central_drain(i);
    room_sweep(SIZE_MAX);
}

static void room_ask_port(size_t bytes)
{
    if (arch_irq_enabled())
        bh_port_pages_wanted(bytes);
}

static void room_drain_others(void)
{
    void (*hook)(void) = atomic_load_relaxed(&room_drain_hook); /* see there */
    if (hook && arch_irq_enabled())
        hook();
}

enum room_step { ROOM_COLLECT, ROOM_RECLAIM, ROOM_DRAIN_OTHERS, ROOM_ASK_PORT, ROOM_GIVE_UP };

/* Another try after each step, even one that had nothing to do: a try is cheap here, and other
 * cores free memory meanwhile. */
static BH_COLD bool room_take_step(size_t bytes, unsigned step)
{
    if (step == ROOM_COLLECT)
        room_collect();
    else if (step == ROOM_RECLAIM)
        room_reclaim();
    else if (step == ROOM_DRAIN_OTHERS)
        room_drain_others();
    else if (step == ROOM_ASK_PORT)
        room_ask_port(bytes);
    return step < ROOM_GIVE_UP;
}

/* What no collection can make room for is a matter for the port alone. */
static unsigned first_step(size_t bytes, unsigned usual)
{
    return bytes > walk_region_bytes() ? ROOM_ASK_PORT : usual;
}

BH_COLD bool room_make(size_t bytes, unsigned attempt)
{
    return room_take_step(bytes, first_step(bytes, ROOM_COLLECT) + attempt);
}

bool walk_make_room(size_t bytes, unsigned attempt)
{
    return room_take_step(bytes, first_step(bytes, ROOM_RECLAIM) + attempt);
}

void walk_count_failure(void)
{
    room_failed();
}

BH_COLD void *room_failed(void)
{
    atomic_add_relaxed(&failures, 1); /* a statistic */
    bh_port_out_of_memory();
    return NULL;
}

uint64_t room_failures(void)
{
    return atomic_load_relaxed(&failures); /* a statistic */
}
