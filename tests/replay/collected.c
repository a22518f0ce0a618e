/* SPDX-License-Identifier: MIT */
/*
 * Mode "gc": every object is allocated with bh_gc_alloc or bh_gc_alloc_noscan and hung into the
 * graph (graph.h); a free takes it out of the graph, and the collector does the rest.
 *
 * 1. A birth checks that the object is zero, fills it and links it. Until it is linked only this
 *    core's stack and registers know of it.
 * 2. After a birth the core looks whether a collection has run meanwhile, and if so asks for a
 *    rendezvous, where core 0 takes a census (census.c).
 * 3. Collections are forced at equal distances along the trace, besides those that the growth of
 *    the heap brings.
 * 4. At the end two forced collections judge what has been dropped so far; then the rest is
 *    dropped, and two more judge that. No object may escape: that a collection was asked for proves
 *    nothing, so the collector's own count must have grown, and every dropped object must have been
 *    judged in the end.
 *
 * A realloc has no counterpart here: it is a birth and a death. Nor has alignment.
 */
#include "kernel-lib/atomics.h"
#include "tests/replay/census.h"
#include "tests/replay/graph.h"
#include <bareheap/alloc.h>
#include <bareheap/gc.h>

#define COLLECT_TRIES 3

#define JUDGE_COLLECTIONS 2 /* that an object must not survive, once it is dropped */

static uint64_t seen_cycles; /* collections that a census has been taken or asked for after */

static bool collected_start(void)
{
    bh_gc_set_trace(replay.options.gctrace != 0);
    bh_gc_set_pacer_trace(replay.options.gctrace > 1);
    if (graph_start())
        return true;
    report_out_of_memory(sizeof(struct list) * 1024, 0);
    return false;
}

static void check_new(const struct replay_object *object)
{
    uintptr_t align = graph_is_noscan(object_id(object), object->bytes) ? 1 : 8;

    if (((uintptr_t)object->base & ((object->bytes < 16 ? align : 16) - 1)) != 0)
        report_object(object, "is not aligned");
    size_t at = pattern_check_zero(object->base, object->bytes);
    if (at != object->bytes)
        report_byte(object, "fresh from the collector", at, 0);
}

static void fill(const struct replay_object *object)
{
    uint32_t id = object_id(object);
    size_t from, to;

    graph_links(object, &from, &to);
    pattern_fill(object->base, id, 0, from);
    pattern_fill(object->base, id, to, object->bytes);
}

static bool collected_birth(const struct trace_event *event, struct replay_object *object)
{
    bool noscan = graph_is_noscan(event->id, event->bytes);
    void *base = noscan ? bh_gc_alloc_noscan(event->bytes) : bh_gc_alloc(event->bytes);

    if (base == NULL)
        return false;
    object->base = base;
    check_new(object);
    fill(object);
    bool linked = graph_insert(object);
    /* The copy in the table is no reference; until it is linked the object has no other but this.
     */
    bh_gc_keep_alive(base);
    if (linked)
        report_live(object->bytes, 0);
    return linked;
}

static uint64_t completed_cycles(void)
{
    struct bh_gc_stats stats;

    bh_gc_get_stats(&stats);
    return stats.cycles;
}

/* Whether this death is one that the option `leak` asks to forget. */
static bool is_leaked(const struct replay_object *object)
{
    return replay.options.leak != 0 && object_id(object) % replay.options.leak == 0;
}

static void collected_death(struct replay_object *object)
{
    census_check_object(object, "when dropped");
    if (!is_leaked(object))
        graph_remove(object);
    /* Read after the removal: every collection counted later has begun without the reference. */
    object->drop_cycle = (uint32_t)completed_cycles();
    atomic_store_relaxed(&object->state, OBJECT_DEAD); /* relaxed: a rendezvous orders it */
    atomic_add_relaxed(&replay.counts.drops, 1);       /* relaxed: a sum, read when all is over */
    report_live(0, object->bytes);
}

static bool collected_resize(const struct trace_event *event, struct replay_object *old,
                             struct replay_object *object)
{
    if (!collected_birth(event, object))
        return false;
    collected_death(old);
    return true;
}

static void ask_after_collection(void)
{
    uint64_t cycles = completed_cycles();

    /* Relaxed: two cores that both see the same collection ask for the same rendezvous. */
    if (cycles == atomic_load_relaxed(&seen_cycles))
        return;
    atomic_store_relaxed(&seen_cycles, cycles); /* relaxed: see above */
    lockstep_ask();
}

static void collect(void)
{
    for (int i = 0; i < COLLECT_TRIES; i++)
        if (replay.options.idle != 0 || bh_gc_collect())
            return;
    report_error("bh_gc_collect() could not collect in %d tries: a core did not stop",
                 COLLECT_TRIES);
}

/* Of the collections that are forced along the trace the last one: the heap is at work then, while
 * at the end most programs have freed nearly all. */
static void dump_after_last(void)
{
    static uint64_t forced;

    /* Relaxed: only the count itself matters, and each core gets another. */
    uint64_t number = atomic_add_relaxed(&forced, 1) + 1;
    if (replay.options.dump == 0 || number != replay.options.collects)
        return;
    if (!bh_gc_dump(NULL, NULL))
        report_error(
            "bh_gc_dump() failed: a core did not stop, or there is no memory for the text");
}

static void collected_collect(void)
{
    collect();
    dump_after_last();
    ask_after_collection();
}

/* What was dropped before is judged: two whole collections pass over it. */
static void collect_and_judge(void)
{
    uint64_t before = completed_cycles();

    for (int i = 0; i < JUDGE_COLLECTIONS; i++)
        collect();
    uint64_t ran = completed_cycles() - before;
    if (ran < JUDGE_COLLECTIONS)
        report_error("%d collections were asked for, but the collector's statistics count %llu",
                     JUDGE_COLLECTIONS, (unsigned long long)ran);
    census_take();
    census_check_given_back();
}

static void check_all_judged(void)
{
    const struct replay_counts *counts = &replay.counts;

    if (counts->drops == replay.trace.births && counts->settled == counts->drops)
        return;
    report_error("of %u objects %llu were dropped, and two collections have passed over %llu",
                 replay.trace.births, (unsigned long long)counts->drops,
                 (unsigned long long)counts->settled);
}

/* As if the collector had lost the memory of objects that are gone. */
static void hold_memory(size_t bytes)
{
    if (bytes != 0 && bh_malloc(bytes) == NULL)
        report_out_of_memory(bytes, replay.trace.events);
}

static void collected_finish(void)
{
    hold_memory((size_t)replay.options.hold * 1024);
    collect_and_judge();
    for (uint32_t id = 0; id < replay.trace.births; id++)
        if (replay.objects[id].state == OBJECT_LIVE)
            collected_death(&replay.objects[id]);
    collect_and_judge();
    check_all_judged();
    bh_heap_verify();
}

const struct replay_mode collected_mode = {
    .name = "gc",
    .start = collected_start,
    .birth = collected_birth,
    .resize = collected_resize,
    .death = collected_death,
    .after_birth = ask_after_collection,
    .collect = collected_collect,
    .rendezvous = census_take,
    .finish = collected_finish,
};
