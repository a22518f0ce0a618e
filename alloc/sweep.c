/* SPDX-License-Identifier: MIT */
/*
 * Sweeping, and the two ends of a collection cycle as far as spans are concerned.
 *
 * 1. walk_cycle_begin(), all cores stopped: cursors give back what they reserved, so that every
 *    collected span is in a list and a set bit in `bits` is an allocated object.
 * 2. The collector sets mark bits.
 * 3. walk_cycle_end(), still stopped: all lists become unswept, in one splice per class, and the
 *    cycle's number goes up. Nothing is freed yet.
 * 4. sweep_one(), from any core that needs a span or is idle: the two bitmaps of a span change
 *    places. That is all: objects are not touched, and are zeroed when a run is taken.
 * 5. Before the next cycle every span must be swept (walk_sweep_all() in the stop).
 *
 * Locks: as in collected.h.
 */
#include "alloc/collected.h"
#include "alloc/harden.h"
#include "alloc/page_heap.h"
#include "alloc/poison.h"
#include "alloc/span.h"
#include "alloc/walk.h"
#include "arch/arch.h"
#include "kernel-lib/memory.h"

#define KINDS (KIND_COUNT - KIND_FIRST_COLLECTED)

#define CENTRAL_INIT(row, class)                                                              \
    [class] = {                                                                               \
        .lock = SPINLOCK_INIT(LOCK_CENTRAL, "collected central"),                             \
        .partial = {&collected_centrals[row][class].partial,                                  \
                    &collected_centrals[row][class].partial},                                 \
        .full = {&collected_centrals[row][class].full, &collected_centrals[row][class].full}, \
        .unswept = {&collected_centrals[row][class].unswept,                                  \
                    &collected_centrals[row][class].unswept}},
#define NOSCAN_ROW(class, ...) CENTRAL_INIT(0, class)
#define SCAN_ROW(class, ...)   CENTRAL_INIT(1, class)
#define SIZE_CLASS_ROW         NOSCAN_ROW
struct collected_central collected_centrals[KINDS][SIZE_CLASS_COUNT] = {
    {CENTRAL_INIT(0, 0) SIZE_CLASS_TABLE},
#undef SIZE_CLASS_ROW
#define SIZE_CLASS_ROW SCAN_ROW
    {CENTRAL_INIT(1, 0) SIZE_CLASS_TABLE},
};
#undef SIZE_CLASS_ROW
BH_STATIC_ASSERT(KINDS == 2, "a row of centrals per collected kind");

uint8_t sweep_cycle;
size_t sweep_left;

static void each_central(void (*visit)(struct collected_central *central))
{
    for (size_t kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; i < SIZE_CLASS_COUNT; i++)
            visit(&collected_centrals[kind][i]);
}

/* ---- one span ---- */

static void recount(struct bh_span *span)
{
    span->free_objs = (uint16_t)(span->objs - bitmap_count(span->bits, span->objs));
}

/* What was not reached is for a sanitizer to watch. Costs nothing in other builds. */
static void close_unreached(const struct bh_span *span)
{
    size_t idx = BH_SANITIZE ? 0 : span->objs;
    while ((idx = bitmap_next_clear(span->bits, span->objs, idx)) < span->objs)
        poison_lay(span_object(span, (uint32_t)idx++), span->object_bytes);
}

/* Under the central's lock, which keeps collected_free() from reading either map meanwhile. */
static void exchange_bitmaps(struct bh_span *span)
{
    uint64_t *old_bits = span->bits;
    span->bits = span_mark_bits(span);
    memset(old_bits, 0, bitmap_words(span->objs) * sizeof(uint64_t));
    span->sweep_cycle = sweep_cycle;
    close_unreached(span);
    recount(span);
}

struct bh_span *sweep_one(struct collected_central *central)
{
    struct bh_span *span = NULL;
    uintptr_t irq = spinlock_acquire(&central->lock);
    if (!list_is_empty(&central->unswept)) {
        span = container_of(central->unswept.next, struct bh_span, link);
        harden_check_record(span);
        list_remove(&span->link);
        exchange_bitmaps(span);
        span->next_idx = 0;
        span->flags &= (uint8_t)~RUN_ZEROED;
        span_set_state(span, SPAN_IN_USE);
        /* Relaxed, both: the counts say where and when to stop looking; the lists are true. */
        atomic_store_relaxed(&central->unswept_count, central->unswept_count - 1);
        atomic_sub_relaxed(&sweep_left, 1);
    }
    spinlock_release(&central->lock, irq);
    return span;
}

void collected_shelve(struct collected_central *central, struct bh_span *span)
{
    uintptr_t irq = spinlock_acquire(&central->lock);
    recount(span); /* collected_free() may have been here while the span was a cursor's */
    bool whole = span->free_objs == span->objs;
    span->next_idx = 0;
    span->flags &= (uint8_t)~RUN_ZEROED;
    if (whole) {
        central->span_count--;
    } else {
        span_set_state(span, SPAN_LISTED);
        list_push(span->free_objs ? &central->partial : &central->full, &span->link);
    }
    spinlock_release(&central->lock, irq);
    if (whole)
        span_free(span);
}

/* ---- many spans ---- */

bool walk_is_unswept(void)
{
    return atomic_load_relaxed(&sweep_left) > 0; /* racy, as promised */
}

/* Sweeps one span of the class; returns its pages, 0 when there was none. */
static size_t sweep_step(struct collected_central *central)
{
    if (atomic_load_relaxed(&central->unswept_count) == 0) /* as in sweep_one() */
        return 0;
    uintptr_t irq = arch_irq_save(); /* a stop finds every span in a list or a cursor */
    struct bh_span *span = sweep_one(central);
    size_t pages = span ? span->pages : 0;
    if (span)
        collected_shelve(central, span);
    arch_irq_restore(irq);
    return pages;
}

bool walk_sweep(size_t pages)
{
    struct collected_central *central = &collected_centrals[0][0];
    struct collected_central *end = central + KINDS * SIZE_CLASS_COUNT;
    size_t swept = 0;
    while (walk_is_unswept() && central < end && swept < pages) {
        size_t step = sweep_step(central);
        page_heap_hand_over();
        swept += step;
        central += step == 0;
    }
    return walk_is_unswept();
}

void walk_sweep_all(void)
{
    walk_sweep(SIZE_MAX);
}

/* ---- cursors ---- */

/* Atomic against collected_free() of other objects, when not all cores are stopped. Release: the
 * next core to reserve an object comes after this one's clearing of it; pairs with bits_reserve().
 */
static void bits_unreserve(struct bh_span *span, const struct cursor *cursor)
{
    for (uintptr_t at = cursor->next; at != cursor->end; at += span->object_bytes) {
        uint32_t idx = span_idx(span, at);
        atomic_and_release(&span->bits[idx / 64], ~((uint64_t)1 << (idx % 64)));
    }
}

static void cursor_empty(struct cursor *cursor)
{
    struct bh_span *span = cursor->span;
    if (!span)
        return;
    bits_unreserve(span, cursor);
    collected_count_sub(cursor->end - cursor->next);
    *cursor = (struct cursor){0, 0, NULL};
    collected_shelve(collected_central_of(span), span);
}

static void core_empty(struct collected_cache *cache)
{
    for (size_t kind = 0; kind < KINDS; kind++)
        for (size_t i = 1; i < SIZE_CLASS_COUNT; i++)
            cursor_empty(&cache->cursors[kind][i]);
    cache->tiny_next = 0;
    cache->tiny_end = 0;
}

void collected_reclaim(size_t pages)
{
    uintptr_t irq = arch_irq_save();
    if (collected_cache_exists(bh_port_core()))
        core_empty(collected_caches[bh_port_core()]);
    arch_irq_restore(irq);
    walk_sweep(pages);
}

/* ---- the ends of a cycle, all cores stopped ---- */

void walk_cycle_begin(void)
{
    for (unsigned core = 0; core < bh_port_core_count(); core++)
        if (collected_cache_exists(core))
            core_empty(collected_caches[core]);
    if (BH_DEBUG >= 3)
        bh_heap_verify();
}

static void unsweep(struct collected_central *central)
{
    list_splice(&central->unswept, &central->partial);
    list_splice(&central->unswept, &central->full);
    atomic_store_relaxed(&central->unswept_count, central->span_count); /* as in sweep_one() */
    atomic_add_relaxed(&sweep_left, central->span_count);
}

void walk_cycle_end(size_t live_bytes)
{
    BH_CHECK(!walk_is_unswept(), "[ALLOC-9] a cycle ends with %zu spans of the last one unswept",
             sweep_left);
    each_central(unsweep);
    sweep_cycle++;
    collected_count_set(live_bytes);
    if (BH_DEBUG >= 3)
        bh_heap_verify();
}

void collected_reserved(const struct bh_span *span, uint32_t *from, uint32_t *to)
{
    *from = *to = 0;
    for (unsigned core = 0; core < bh_port_core_count(); core++) {
        const struct cursor *cursor =
            &collected_caches[core]->cursors[span->kind - KIND_FIRST_COLLECTED][span->size_class];
        if (cursor->span != span)
            continue;
        *from = span_idx(span, cursor->next);
        *to = cursor->next == cursor->end ? *from : span_idx(span, cursor->end - 1) + 1;
    }
}
