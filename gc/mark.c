/* SPDX-License-Identifier: MIT */
/*
 * Marking: over everything that can be reached, by all cores that stand still.
 *
 * 1. The roots become pieces of work of the initiator, the core that collects.
 * 2. It works as a marker (marker.c), and so does any other core that stands still and comes by
 *    (mark_help), stealing from one another (work.c). The initiator waits for none of them to come.
 *    Without others, marks are set without atomic operations.
 * 3. The others' markers lie in pages of the page heap, for the time of a mark; if there are none
 *    the initiator marks alone [GC-6].
 * 4. Overflow: when nothing is left, and some spans could not be queued, those that are still
 *    flagged are queued now, while the rest of the queues is as long as it may be; this repeats
 *    until a round passes without. Each round that does not is paid for by at least one newly
 *    marked object, so it ends. Spans that another core missed during a round are in the next.
 *
 * After mark_all() every object that a scanned word points into is marked, and all of every marked
 * object that can hold pointers was scanned; nothing in .bss remembers them.
 *
 * No locks here. Not here: which ranges are roots (roots.c), how objects are marked and scanned
 * (marker.c), how pieces are shared and how the end is found (work.c).
 */
#include "gc/mark.h"
#include "gc/marker.h"
#include "gc/stop.h"
#include "gc/work.h"
#include "kernel-lib/check.h"
#include "kernel-lib/memory.h"
#include "kernel-lib/percore.h"

#define MARK_QUEUE_SHARE 256 /* of the heap's pages, each of which may be a span: 16 bytes */
#define MARK_WIPED_WORDS 128

static struct marker mark_initiator;
static struct marker *mark_helpers; /* by core; NULL when the initiator is alone */
static size_t mark_queue_pages = SIZE_MAX;
static unsigned mark_cores = UINT32_MAX;
static PER_CORE(struct mark_counts, mark_counts);

void mark_set_queue_pages(size_t pages)
{
    atomic_store_relaxed(&mark_queue_pages, pages); /* a figure */
}

void mark_set_cores(unsigned cores)
{
    BH_CHECK(cores >= 1, "mark_set_cores(%u): one core marks at least", cores);
    atomic_store_relaxed(&mark_cores, cores); /* a figure */
}

void mark_own_state(uintptr_t *lo, uintptr_t *hi)
{
    *lo = (uintptr_t)&mark_initiator;
    *hi = (uintptr_t)(&mark_initiator + 1);
}

/* ---- with others ---- */

/* An active worker, until it is not. */
static void mark_work(struct marker *m)
{
    do
        marker_drain(m);
    while (work_unshelve(&m->work));
    work_retire();
}

/* One that is not, until none is. */
static void mark_work_of_others(struct marker *m)
{
    while (work_steal(&m->work))
        mark_work(m);
}

__attribute__((noinline)) void mark_wipe_stack(void)
{
    uintptr_t words[MARK_WIPED_WORDS];
    memset(words, 0, sizeof(words));
    __asm__ volatile("" : : "r"(words) : "memory"); /* they are read, for all the compiler knows */
}

bool mark_help(void)
{
    if (!work_enter())
        return false;
    mark_work_of_others(&mark_helpers[bh_port_core()]);
    work_leave();
    mark_wipe_stack();
    return true;
}

/* What the initiator does: all there is to do, with whoever helps. */
static void mark_to_the_end(struct marker *m)
{
    mark_work(m);
    mark_work_of_others(m);
}

/* ---- roots ---- */

static void mark_root(enum roots_kind kind, uintptr_t lo, uintptr_t hi, void *arg)
{
    struct marker *m = arg;
    m->totals.root_bytes[kind] += hi - lo;
    marker_push_surely(m, lo, hi - lo, KIND_SCAN);
}

/* ---- overflow ---- */

static void mark_again(struct bh_span *span, void *arg)
{
    if (span->kind >= KIND_SCAN && (atomic_load_relaxed(&span->flags) & RUN_QUEUED)) /* a hint */
        marker_push_missed(arg, span);
}

static void mark_missed(struct marker *m)
{
    work_stop_growing(); /* walk_each_span() wants the heap's runs to stay as they are */
    while (work_take_missed(&m->work)) {
        m->totals.overflows++;
        walk_each_span(mark_again, m);
        mark_to_the_end(m);
    }
}

/* ---- a whole mark ---- */

static size_t mark_most_pages(void)
{
    size_t share = walk_region_bytes() / PAGE_BYTES / MARK_QUEUE_SHARE + bh_port_core_count();
    size_t most = atomic_load_relaxed(&mark_queue_pages); /* a figure */
    return most < share ? most : share;
}

/* How many cores may help: of those that are there, as many as wanted. */
static unsigned mark_most_helpers(void)
{
    unsigned there = stop_still_cores();
    unsigned wanted = atomic_load_relaxed(&mark_cores) - 1; /* a figure */
    return there < wanted ? there : wanted;
}

/* Markers for the others, if there is memory for them. */
static void mark_invite(struct marker *m, unsigned most)
{
    unsigned count = bh_port_core_count();
    if (most == 0)
        return;
    mark_helpers = walk_pages_alloc(count * sizeof(*mark_helpers));
    if (mark_helpers == NULL)
        return;
    memset(mark_helpers, 0, count * sizeof(*mark_helpers));
    for (unsigned core = 0; core < count; core++)
        work_add(&m->work, &mark_helpers[core].work);
    m->alone = false;
    work_open(most);
}

/* Adds up what one core did, and lets go of what its marker holds. */
static void mark_end_one(struct marker *m, unsigned core, struct mark_totals *totals)
{
    mark_counts[core].objects += m->totals.live_objects;
    mark_counts[core].scanned_bytes += m->totals.scanned_bytes;
    mark_counts[core].steals += m->work.steals;
    totals->live_bytes += m->totals.live_bytes;
    totals->live_objects += m->totals.live_objects;
    totals->scanned_bytes += m->totals.scanned_bytes;
    totals->overflows += m->totals.overflows;
    totals->steals += m->work.steals;
    for (unsigned kind = 0; kind < ROOTS_KINDS; kind++)
        totals->root_bytes[kind] += m->totals.root_bytes[kind];
    work_end(&m->work);
}

static void mark_end(struct marker *m, struct mark_totals *totals)
{
    unsigned count = bh_port_core_count();
    *totals = (struct mark_totals){0};
    for (unsigned core = 0; core < count; core++)
        mark_counts[core] = (struct mark_counts){0};
    for (unsigned core = 0; mark_helpers != NULL && core < count; core++)
        mark_end_one(&mark_helpers[core], core, totals);
    mark_end_one(m, bh_port_core(), totals);
    if (mark_helpers != NULL)
        walk_pages_free(mark_helpers);
    mark_helpers = NULL;
    memset(m, 0, sizeof(*m)); /* as roots, old edges would keep garbage alive */
}

void mark_all(struct mark_totals *totals)
{
    struct marker *m = &mark_initiator;
    m->alone = true;
    work_begin(&m->work, mark_most_pages());
    mark_invite(m, mark_most_helpers());
    roots_each(mark_root, m);
    mark_to_the_end(m);
    mark_missed(m);
    if (!m->alone)
        work_close();
    mark_end(m, totals);
}

struct mark_counts mark_counts_of(unsigned core)
{
    return mark_counts[core];
}
