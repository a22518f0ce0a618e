/* SPDX-License-Identifier: MIT */
/* Caches that go home. See drain.h. */
#include "alloc/drain.h"
#include "alloc/cache.h"
#include "alloc/page_heap.h"
#include "alloc/room.h"
#include "alloc/walk.h"
#include "kernel-lib/port_defaults.h"
#include <bareheap/alloc.h>

/* How long memory that is out waits for other cores' caches, all of them together. */
#define DRAIN_PATIENCE_NS 10000000ULL

/* The same with a clock that stands still. */
#define DRAIN_PATIENCE_POLLS 100000u

/* 1: the core is to empty its cache. Set by any core, taken down by its own. */
static PER_CORE(uint32_t, drain_wanted);

/* What drain_idle() saw of each core the last time. */
static PER_CORE(uintptr_t, drain_last_look);

static void (*stop_hook)(uintptr_t interrupted_sp);

/* From here on memory that is out asks other cores for their caches. */
static void drain_attach(void)
{
    atomic_store_relaxed(&room_drain_hook, drain_others); /* see there */
}

void walk_attach_stop(void (*stop)(uintptr_t interrupted_sp))
{
    drain_attach();
    /* Release: pairs with bh_handle_signal(). */
    atomic_store_release(&stop_hook, stop);
}

void bh_drain(void)
{
    cache_drain();
    /* Relaxed: see there. No page is swept: the cursors are all that is wanted. */
    const struct room_collected *collected = atomic_load_relaxed(&room_collected);
    if (collected)
        collected->reclaim(0);
    page_heap_hand_over();
}

/* ---- the core that is asked ---- */

/* Interrupts off. */
static void drain_if_wanted(void)
{
    uint32_t *wanted = &per_core_here(drain_wanted);
    /* Acquire: pairs with drain_ask(), so that what the asker freed before is no concern of ours,
     * but costs nothing to see. */
    if (!atomic_load_acquire(wanted) || cache_is_busy())
        return;
    bh_drain();
    /* Release: pairs with drain_others(): the objects are home when the flag is down. */
    atomic_store_release(wanted, 0);
}

void bh_handle_signal(uintptr_t interrupted_sp)
{
    uintptr_t irq = arch_irq_save();
    drain_if_wanted();
    /* Acquire: pairs with walk_attach_stop(), which comes before any stop. */
    void (*stop)(uintptr_t) = atomic_load_acquire(&stop_hook);
    if (stop)
        stop(interrupted_sp);
    arch_irq_restore(irq);
}

/* ---- the core that asks ---- */

/* Interrupts are off between the look at the own number and the signal, which must not go to the
 * caller's own core. */
static void drain_ask(unsigned core)
{
    uintptr_t irq = arch_irq_save();
    if (core == bh_port_core()) {
        bh_drain();
    } else {
        /* Release: pairs with drain_if_wanted(). That the handler sees it is the port's duty. */
        atomic_store_release(&drain_wanted[core], 1);
        bh_port_signal_core(core);
    }
    arch_irq_restore(irq);
}

void bh_drain_core(unsigned core)
{
    drain_attach();
    if (core < bh_port_core_count())
        drain_ask(core);
}

/* Whether the waiting may go on. */
static bool is_patient(uint64_t start_ns, unsigned polls)
{
    return polls < DRAIN_PATIENCE_POLLS && bh_port_now_ns() - start_ns < DRAIN_PATIENCE_NS;
}

BH_COLD void drain_others(void)
{
    unsigned count = bh_port_core_count();
    uint64_t start_ns = bh_port_now_ns();
    if (!port_has_signal_core())
        return;
    for (unsigned core = 0; core < count; core++)
        if (cache_look(core).objs > 0)
            drain_ask(core);
    unsigned polls = 0;
    for (unsigned core = 0; core < count; core++) {
        /* Acquire: pairs with drain_if_wanted(). */
        while (atomic_load_acquire(&drain_wanted[core]) && is_patient(start_ns, polls++))
            arch_pause();
    }
}

/* Whether any cache has something in it. One that was asked counts as well: its core may not
 * answer. */
static BH_COLD bool drain_look(void)
{
    bool any = false;
    for (unsigned core = 0; core < bh_port_core_count(); core++) {
        struct cache_look look = cache_look(core);
        if (look.objs > 0 && look.state == drain_last_look[core])
            drain_ask(core);
        drain_last_look[core] = look.state;
        any |= look.objs > 0;
    }
    return any;
}

BH_COLD uint64_t drain_idle(uint64_t now_ns)
{
    static uint64_t next_ns;
    if (!port_has_signal_core())
        return UINT64_MAX;
    if (now_ns < next_ns)
        return next_ns - now_ns;
    next_ns = now_ns + DRAIN_IDLE_NS;
    return drain_look() ? DRAIN_IDLE_NS : UINT64_MAX;
}
