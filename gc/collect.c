/* SPDX-License-Identifier: MIT */
/*
 * A cycle: the phases and their order.
 *
 *   asked for    by an allocation at the goal (gc.c), by one that found no memory, on demand
 *   the stop     all other cores stand still; this one has interrupts off          (stop.c)
 *     1. sweep termination   what the last cycle left is swept: mark bits are clear (alloc/)
 *     2. mark                from the roots, everything that can be reached   (roots.c, mark.c)
 *     3. mark termination    unmarked is free; the next goal                   (alloc/, pace.c)
 *   the release  all go on
 *     4. sweep               span by span, when a core needs one, with each piece of memory that is
 *                            taken (gc.c), by idle cores; bh_gc_collect() does it at once
 *
 * Two cores that ask at once [GC-2]: one runs the cycle, the other stands still for it. That cycle
 * serves both: its mark began when the other stood still, so after the other had asked. Hence the
 * loser looks only whether the number of complete cycles has grown since it asked.
 *
 * In the stop nothing is logged and no lock of the kernel is taken, whoever stands still may hold
 * it [GC-3]: the report comes after the release. Of the port are called: bh_port_core,
 * bh_port_core_count, bh_port_now_ns, bh_port_signal_core, bh_port_stack_top,
 * bh_port_for_each_stack; of the allocator only what needs its own locks.
 *
 * Lock: collect_lock (LOCK_GC) protects collect_stats and the start time. In a stop they are
 * written without it: no core stands still with it held. Not here: when to collect (pace.c, gc.c),
 * the trace line (gctrace.c).
 */
#include "gc/collect.h"
#include "alloc/walk.h"
#include "arch/arch.h"
#include "gc/gctrace.h"
#include "gc/pace.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include "kernel-lib/spinlock.h"
#include <bareheap/gc.h>

/* Pages between two chances for an interrupt while a cycle is swept at once. */
#define COLLECT_SWEEP_SLICE_PAGES 64

static struct spinlock collect_lock = SPINLOCK_INIT(LOCK_GC, "gc statistics");
static struct bh_gc_stats collect_stats;
static uint64_t collect_started_ns;

/* ---- the phases ---- */

static void collect_terminate_sweep(struct collect_cycle *cycle)
{
    walk_sweep_all();
    walk_cycle_begin();
    cycle->heap_bytes = collected_bytes();
    cycle->swept_ns = bh_port_now_ns();
}

static void collect_mark(struct collect_cycle *cycle)
{
    mark_all(&cycle->mark);
    cycle->marked_ns = bh_port_now_ns();
}

static void collect_terminate_mark(struct collect_cycle *cycle)
{
    const struct mark_totals *mark = &cycle->mark;
    walk_cycle_end(mark->live_bytes);
    pace_cycle_done(cycle->heap_bytes, mark->live_bytes, mark->root_bytes[ROOTS_STACK],
                    mark->root_bytes[ROOTS_GLOBAL]);
    cycle->finished_ns = bh_port_now_ns();
}

/* ---- counters ---- */

static void collect_count(struct collect_cycle *cycle)
{
    struct bh_gc_stats *stats = &collect_stats;
    uint64_t pause_ns = cycle->finished_ns - cycle->request_ns;
    stats->forced_cycles += cycle->reason == COLLECT_FORCED;
    stats->pause_total_ns += pause_ns;
    stats->pause_last_ns = pause_ns;
    if (pause_ns > stats->pause_max_ns)
        stats->pause_max_ns = pause_ns;
    stats->live_bytes = cycle->mark.live_bytes;
    stats->marked_objects = cycle->mark.live_objects;
    stats->scanned_bytes = cycle->mark.scanned_bytes;
    stats->mark_overflows += cycle->mark.overflows;
    cycle->number = stats->cycles + 1;
    cycle->pauses_ns = stats->pause_total_ns;
    /* Relaxed: read in collect_run() by cores that this stop's release has let go. */
    atomic_store_relaxed(&stats->cycles, cycle->number);
}

static void collect_count_abandoned(const struct collect_cycle *cycle)
{
    uintptr_t irq = spinlock_acquire(&collect_lock);
    collect_stats.abandoned_cycles++;
    spinlock_release(&collect_lock, irq);
    pace_cycle_abandoned(cycle->finished_ns);
}

static uint64_t collect_cycles(void)
{
    return atomic_load_relaxed(&collect_stats.cycles); /* relaxed: see collect_count() */
}

void bh_gc_get_stats(struct bh_gc_stats *stats)
{
    uintptr_t irq = spinlock_acquire(&collect_lock);
    *stats = collect_stats;
    spinlock_release(&collect_lock, irq);
    stats->heap_bytes = collected_bytes();
    stats->goal_bytes = walk_region_bytes() == 0 ? 0 : pace_goal();
}

uint64_t collect_start_ns(void)
{
    return collect_started_ns;
}

/* ---- a cycle ---- */

/* On the initiator, its registers on its stack, interrupts off. */
static void collect_stopped(void *arg, uintptr_t sp)
{
    struct collect_cycle *cycle = arg;
    cycle->request_ns = bh_port_now_ns();
    cycle->result = stop_world(sp, &cycle->missing_core);
    cycle->stopped_ns = bh_port_now_ns();
    cycle->finished_ns = cycle->stopped_ns;
    if (cycle->result != STOP_WON)
        return;
    collect_terminate_sweep(cycle);
    collect_mark(cycle);
    collect_terminate_mark(cycle);
    collect_count(cycle);
    stop_release();
}

/* When all cores run again: the log may take as long and as many locks as it likes. */
static void collect_report(const struct collect_cycle *cycle)
{
    if (cycle->result == STOP_WON)
        gctrace_cycle(cycle);
    if (cycle->result == STOP_TIMED_OUT)
        print_log("bareheap: gc: core %u did not stop within %llu ms: cycle abandoned\n",
                  cycle->missing_core, (unsigned long long)(stop_timeout_ns() / 1000000));
}

bool collect_run(enum collect_reason reason)
{
    struct collect_cycle cycle = {.reason = reason, .goal_bytes = pace_goal()};
    uint64_t before = collect_cycles();
    BH_CHECK(!stop_is_parked(), "core %u asks for a collection while it is parked", bh_port_core());
    uintptr_t irq = arch_irq_save();
    arch_call_with_registers(collect_stopped, &cycle);
    arch_irq_restore(irq);
    if (cycle.result == STOP_TIMED_OUT)
        collect_count_abandoned(&cycle);
    collect_report(&cycle);
    return collect_cycles() != before;
}

/* ---- asking for one ---- */

static void collect_sweep(void)
{
    while (walk_sweep(COLLECT_SWEEP_SLICE_PAGES))
        continue; /* interrupts are taken between two slices */
}

bool collect_is_possible(void)
{
    return arch_irq_enabled() && walk_region_bytes() != 0;
}

bool bh_gc_collect(void)
{
    if (!collect_is_possible())
        return false;
    collect_attach();
    if (!collect_run(COLLECT_FORCED))
        return false;
    collect_sweep();
    return true;
}

bool collect_for_memory(void)
{
    if (!collect_is_possible() || stop_is_parked() || pace_is_backing_off(bh_port_now_ns()))
        return false;
    if (!collect_run(COLLECT_MEMORY))
        return false;
    collect_sweep();
    return true;
}

void collect_attach(void)
{
    /* Acquire: pairs with the release below; the start time has been written. */
    if (BH_LIKELY(atomic_load_acquire(&walk_collect_hook) != NULL))
        return;
    uint64_t now_ns = bh_port_now_ns();
    uintptr_t irq = spinlock_acquire(&collect_lock);
    if (walk_collect_hook == NULL)
        collect_started_ns = now_ns;
    /* Release: each pairs with the acquire of the floor that calls it. */
    atomic_store_release(&spinlock_wait_hook, stop_poll);
    walk_attach_stop(stop_handle);
    atomic_store_release(&walk_collect_hook, collect_for_memory);
    spinlock_release(&collect_lock, irq);
}
