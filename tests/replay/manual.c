/* SPDX-License-Identifier: MIT */
/*
 * Mode "alloc": events become bh_malloc, bh_calloc, bh_aligned_alloc, bh_realloc and bh_free.
 *
 * 1. A birth checks the address's alignment, the usable size and, for calloc, that all is zero;
 *    then the whole object is filled with its pattern.
 * 2. A realloc checks what the old object loses before the call and what it keeps after it,
 *    then fills the new object, which has an id and so a pattern of its own.
 * 3. A free checks the whole object. Every other one goes through bh_free_sized().
 * 4. At the end what the program had not freed is checked and freed; nothing may be left then.
 *
 * Not here: waiting for births, counting peaks (lockstep.c, report.c).
 */
#include "kernel-lib/atomics.h"
#include "kernel-lib/bits.h"
#include "tests/replay/replay.h"
#include <bareheap/alloc.h>

static void count_check(void)
{
    atomic_add_relaxed(&replay.counts.checked, 1); /* relaxed: a sum, read when all is over */
}

static void check_pattern(const struct replay_object *object, const void *base, size_t from,
                          size_t to, const char *when)
{
    uint32_t id = object_id(object);
    size_t at = pattern_check(base, id, from, to);

    count_check();
    if (at != to)
        report_byte(object, when, at, pattern_byte(id, at));
}

static void check_new(const struct trace_event *event, const struct replay_object *object)
{
    uint64_t align = event->op == TRACE_ALIGNED ? event->align : object->bytes < 16 ? 8 : 16;
    size_t usable = bh_usable_size(object->base);

    if (((uintptr_t)object->base & (align - 1)) != 0)
        report_object(object, "is not aligned to %llu", (unsigned long long)align);
    if (usable < object->bytes)
        report_object(object, "has a usable size of only %zu", usable);
    if (event->op != TRACE_CALLOC)
        return;
    size_t at = pattern_check_zero(object->base, object->bytes);
    if (at != object->bytes)
        report_byte(object, "fresh from calloc", at, 0);
}

static void *allocate(const struct trace_event *event)
{
    if (event->op == TRACE_CALLOC)
        return bh_calloc(1, event->bytes);
    if (event->op == TRACE_ALIGNED)
        return bh_aligned_alloc(event->align, event->bytes);
    return bh_malloc(event->bytes);
}

static bool manual_start(void)
{
    return true;
}

static bool manual_birth(const struct trace_event *event, struct replay_object *object)
{
    object->base = allocate(event);
    if (object->base == NULL)
        return false;
    check_new(event, object);
    pattern_fill(object->base, event->id, 0, object->bytes);
    report_live(object->bytes, 0);
    return true;
}

static bool manual_resize(const struct trace_event *event, struct replay_object *old,
                          struct replay_object *object)
{
    size_t kept = old->bytes < object->bytes ? old->bytes : object->bytes;

    check_pattern(old, old->base, bits_round_down(kept, 8), old->bytes, "before realloc");
    object->base = bh_realloc(old->base, object->bytes);
    if (object->base == NULL)
        return false;
    old->base = object->base; /* where a wrong byte is to be reported */
    check_pattern(old, old->base, 0, kept, "kept by realloc");
    atomic_store_relaxed(&old->state, OBJECT_DEAD); /* relaxed: nobody asks for it again */
    check_new(event, object);
    pattern_fill(object->base, event->id, 0, object->bytes);
    report_live(object->bytes, old->bytes);
    return true;
}

static void manual_death(struct replay_object *object)
{
    check_pattern(object, object->base, 0, object->bytes, "at free");
    atomic_store_relaxed(&object->state, OBJECT_DEAD); /* relaxed: nobody asks for it again */
    report_live(0, object->bytes);
    if (object_id(object) % 2 == 0)
        bh_free(object->base);
    else
        bh_free_sized(object->base, object->bytes);
}

static void nothing(void)
{
}

static void manual_finish(void)
{
    struct bh_stats stats;

    for (uint32_t id = 0; id < replay.trace.births; id++)
        if (replay.objects[id].state == OBJECT_LIVE)
            manual_death(&replay.objects[id]);
    bh_get_stats(&stats);
    if (stats.manual_objects != 0 || stats.manual_bytes != 0)
        report_error("all objects are freed, but the heap counts %zu objects with %zu bytes in use",
                     stats.manual_objects, stats.manual_bytes);
    bh_heap_verify();
}

const struct replay_mode manual_mode = {
    .name = "alloc",
    .start = manual_start,
    .birth = manual_birth,
    .resize = manual_resize,
    .death = manual_death,
    .after_birth = nothing,
    .collect = nothing,
    .rendezvous = nothing,
    .finish = manual_finish,
};
