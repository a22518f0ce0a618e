/* SPDX-License-Identifier: MIT */
/*
 * A cycle: the phases and their order.
 *
 *   asked for    by an allocation at the goal, or long after the last cycle (gc.c), by one that
 *                would pass the limit, by one that found no memory, on demand
 *   the stop     all other cores stand still; this one has interrupts off          (stop.c)
 *     1. sweep termination   what the last cycle left is swept: mark bits are clear (alloc/)
 *     2. mark                from the roots, everything that can be reached   (roots.c, mark.c);
 *                            then weak references and finalizers of what was not  (services.h)
 *     3. mark termination    unmarked is free; the next goal                   (alloc/, pace.c)
 *   the release  all go on
 *     4. sweep               span by span, when a core needs one, with each piece of memory that is
 *                            taken (gc.c), by idle cores; bh_gc_collect() does it at once
 *
 * Two cores that ask at once [GC-2]: one runs the cycle, the other stands still for it. That cycle
 * serves both: its mark began when the other stood still, so after the other had asked. Hence the
 * loser looks only whether the number of complete cycles has grown since it asked. If it has not,
 * the stop was for a look at the heap (inspect.c), and the loser asks again.
 *
 * In the stop nothing is logged and no lock of the kernel is taken, whoever stands still may hold
 * it [GC-3]: the report comes after the release. Of the port are called: bh_port_core,
 * bh_port_core_count, bh_port_now_ns, bh_port_signal_core, bh_port_stack_top,
 * bh_port_for_each_stack; of the allocator only what needs its own locks.
 *
 * Lock: collect_lock (LOCK_GC) protects the hooks and the start time. Not here: when to collect
 * (pace.c, gc.c), the counters (counters.c), the trace lines (gctrace.c).
 */
#include "gc/collect.h"
#include "alloc/walk.h"
#include "arch/arch.h"
#include "gc/counters.h"
#include "gc/gctrace.h"
#include "gc/pace.h"
#include "gc/services.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include "kernel-lib/spinlock.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>

/* Pages between two chances for an interrupt while a cycle is swept at once. */
#define COLLECT_SWEEP_SLICE_PAGES 64

static struct spinlock collect_lock = SPINLOCK_INIT(LOCK_GC, "gc start");
static uint64_t collect_started_ns;
void (*collect_mark_hook)(bool marked);

/* ---- the phases ---- */

static void collect_terminate_sweep(struct collect_cycle *cycle)
{
    walk_sweep_all();
    walk_cycle_begin();
    cycle->heap_bytes = collected_bytes();
    cycle->swept_ns = bh_port_now_ns();
}

static void collect_call_mark_hook(bool marked)
{
    void (*hook)(bool marked) = atomic_load_relaxed(&collect_mark_hook); /* set before the stop */
    if (BH_UNLIKELY(hook != NULL))
        hook(marked);
}

static void collect_mark(struct collect_cycle *cycle)
{
    collect_call_mark_hook(false);
    mark_all(&cycle->mark);
    collect_call_mark_hook(true); /* before: what finalizers keep is reached from no root */
    services_after_mark(&cycle->mark);
    mark_wipe_stack();
    cycle->marked_ns = bh_port_now_ns();
}

static void collect_terminate_mark(struct collect_cycle *cycle)
{
    const struct mark_totals *mark = &cycle->mark;
    walk_cycle_end(mark->live_bytes);
    cycle->finished_ns = bh_port_now_ns();
    struct pace_cycle done = {
        .start_ns = cycle->request_ns,
        .end_ns = cycle->finished_ns,
        .heap_bytes = cycle->heap_bytes,
        .live_bytes = mark->live_bytes,
        .extra_bytes = mark->root_bytes[ROOTS_STACK] + mark->root_bytes[ROOTS_GLOBAL],
        .scanned_bytes = mark->scanned_bytes,
    };
    pace_cycle_done(&done);
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
    cycle->result = STOP_LOST;
    if (cycle->still_due != NULL && !cycle->still_due())
        return; /* another core's cycle came between the look and here: it served this one */
    cycle->result = stop_world(sp, &cycle->missing_core);
    cycle->stopped_ns = bh_port_now_ns();
    cycle->finished_ns = cycle->stopped_ns;
    if (cycle->result != STOP_WON)
        return;
    stop_call_idle(pace_helpers()); /* they are on their way while this core sweeps */
    collect_terminate_sweep(cycle);
    collect_mark(cycle);
    collect_terminate_mark(cycle);
    counters_add(cycle);
    stop_release();
}

/* When all cores run again: the log may take as long and as many locks as it likes. */
static void collect_report(const struct collect_cycle *cycle)
{
    if (cycle->result == STOP_WON)
        gctrace_cycle(cycle);
}

static void collect_abandoned(const struct collect_cycle *cycle)
{
    char line[STOP_LINE_BYTES];
    uint64_t waited_ns = cycle->finished_ns - cycle->request_ns;
    counters_add_abandoned(waited_ns);
    pace_cycle_abandoned(cycle->finished_ns);
    stop_describe_late(line, cycle->missing_core, waited_ns, "cycle abandoned");
    print_log("%s", line);
}

static void collect_try(struct collect_cycle *cycle)
{
    uintptr_t irq = arch_irq_save();
    arch_call_with_saved_registers(collect_stopped, cycle);
    arch_irq_restore(irq);
}

static bool collect_run_if(enum collect_reason reason, bool (*still_due)(void))
{
    struct collect_cycle cycle = {
        .reason = reason, .still_due = still_due, .goal_bytes = pace_goal()};
    uint64_t before = counters_cycles();
    BH_CHECK(!stop_is_parked(), "core %u asks for a collection while it is parked", bh_port_core());
    do
        collect_try(&cycle);
    while (cycle.result == STOP_LOST && counters_cycles() == before &&
           (still_due == NULL || still_due()));
    if (cycle.result == STOP_TIMED_OUT)
        collect_abandoned(&cycle);
    collect_report(&cycle);
    if (cycle.result == STOP_WON && services_are_due())
        bh_port_finalizers_due();
    return counters_cycles() != before;
}

bool collect_run(enum collect_reason reason)
{
    return collect_run_if(reason, NULL);
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

/* Whether this core may start one that nobody asked for by name. */
static bool collect_may_start(void)
{
    return collect_is_possible() && !stop_is_parked() && !pace_is_backing_off(bh_port_now_ns());
}

bool collect_for_memory(void)
{
    if (!collect_may_start() || !collect_run(COLLECT_MEMORY))
        return false;
    collect_sweep();
    return true;
}

static bool collect_run_due(enum pace_due due)
{
    if (due == PACE_GROWTH)
        return collect_run_if(COLLECT_GROWTH, pace_is_due);
    if (due == PACE_PERIOD)
        return collect_run_if(COLLECT_PERIOD, pace_is_overdue);
    bool done = collect_run(COLLECT_LIMIT);
    collect_sweep(); /* what is unswept still counts as used */
    return done;
}

bool collect_when_due(size_t bytes)
{
    if (pace_is_over_limit(bytes))
        collect_sweep(); /* what is free already need not be collected */
    enum pace_due due = pace_due(bytes);
    if (due == PACE_NOT_DUE || pace_is_backing_off(bh_port_now_ns()))
        return false;
    return collect_run_due(due);
}

/* The hook of manual allocations that would pass the limit. */
static void collect_for_pressure(size_t bytes)
{
    if (collect_is_possible() && !stop_is_parked())
        collect_when_due(bytes);
}

bool collect_when_overdue(void)
{
    /* Acquire: pairs with collect_attach(); before that there is nothing to collect. */
    if (atomic_load_acquire(&walk_collect_hook) == NULL || !pace_is_overdue())
        return false;
    return collect_may_start() && collect_run_due(PACE_PERIOD);
}

void collect_attach(void)
{
    /* Acquire: pairs with the release below; the start time has been written. */
    if (BH_LIKELY(atomic_load_acquire(&walk_collect_hook) != NULL))
        return;
    uint64_t now_ns = bh_port_now_ns();
    uintptr_t irq = spinlock_acquire(&collect_lock);
    if (walk_collect_hook == NULL) {
        collect_started_ns = now_ns;
        pace_begin(now_ns);
    }
    /* Release: each pairs with the acquire of the floor that calls it. */
    atomic_store_release(&spinlock_wait_hook, stop_poll);
    walk_attach_stop(stop_handle);
    atomic_store_release(&walk_pressure_hook, collect_for_pressure);
    atomic_store_release(&walk_collect_hook, collect_for_memory);
    spinlock_release(&collect_lock, irq);
}
