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
 * 5. walk_reclaim(), for a request that wants pages: spans of which nothing was reached go back to
 *    the page heap before their turn. Only mark bits are looked at, those of a span once in a
 *    cycle: spans that were seen go to the end of their list, and unseen_count tells where they
 *    begin.
 * 6. Before the next cycle every span must be swept (walk_sweep_all() in the stop).
 *
 * Locks: as in collected.h.
 */
#include "alloc/collected.h"
#include "alloc/cursor.h"
#include "alloc/dead.h"
#include "alloc/harden.h"
#include "alloc/page_heap.h"
#include "alloc/poison.h"
#include "alloc/span.h"
#include "alloc/walk.h"
#include "arch/arch.h"
#include "kernel-lib/memory.h"

/* Spans that walk_reclaim() looks at with a lock held. */
#define RECLAIM_LOOKS 16

#define CENTRAL_INIT(number, class)                                      \
    [class] = {.kind = KIND_FIRST_COLLECTED + (number),                  \
               .size_class = (class),                                    \
               .row = (number),                                          \
               .word = (class) * CURSOR_WORDS,                           \
               .lock = SPINLOCK_INIT(LOCK_CENTRAL, "collected central"), \
               .partial = {&collected_centrals[number][class].partial,   \
                           &collected_centrals[number][class].partial},  \
               .full = {&collected_centrals[number][class].full,         \
                        &collected_centrals[number][class].full},        \
               .unswept = {&collected_centrals[number][class].unswept,   \
                           &collected_centrals[number][class].unswept}},
#define NOSCAN_ROW(class, ...) CENTRAL_INIT(0, class)
#define SCAN_ROW(class, ...)   CENTRAL_INIT(1, class)
#define SIZE_CLASS_ROW         NOSCAN_ROW
struct collected_central collected_centrals[KIND_PLAIN_COUNT][SIZE_CLASS_COUNT] = {
    {CENTRAL_INIT(0, 0) SIZE_CLASS_TABLE},
#undef SIZE_CLASS_ROW
#define SIZE_CLASS_ROW SCAN_ROW
    {CENTRAL_INIT(1, 0) SIZE_CLASS_TABLE},
};
#undef SIZE_CLASS_ROW
BH_STATIC_ASSERT(KIND_PLAIN_COUNT == 2, "a row of centrals per collected kind");

uint8_t sweep_cycle;
size_t sweep_left;

struct collected_central *collected_next(const struct collected_central *central)
{
    const struct collected_central *last =
        &collected_centrals[KIND_PLAIN_COUNT - 1][SIZE_CLASS_COUNT - 1];
    if (central->kind >= KIND_TYPED)
        return central->next;
    /* Acquire: pairs with central_enter() in layout.c; the rest of the list was there before. */
    return central == last ? atomic_load_acquire(&collected_typed)
                           : (struct collected_central *)(uintptr_t)(central + 1);
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

/* What was allocated and is so no more, in debug builds: dead.h. */
static void fill_unreached(const struct bh_span *span, const uint64_t *old_bits)
{
    size_t idx = DEAD_FILL ? 0 : span->objs;
    for (; (idx = bitmap_next_set(old_bits, span->objs, idx)) < span->objs; idx++)
        if (!bitmap_test(span->bits, idx))
            dead_fill(span_object(span, (uint32_t)idx), span_object_bytes(span));
}

/* Under the central's lock, which keeps collected_free() from reading either map meanwhile. */
static void exchange_bitmaps(struct bh_span *span)
{
    uint64_t *old_bits = span->bits;
    span->bits = span_mark_bits(span);
    fill_unreached(span, old_bits);
    memset(old_bits, 0, bitmap_words(span->objs) * sizeof(uint64_t));
    span->sweep_cycle = sweep_cycle;
    close_unreached(span);
    recount(span);
}

/* Its free objects will have been used. Atomic: other cores may set RUN_SPECIAL meanwhile; relaxed:
 * the flag is read by who has the span after us, under the central's lock or in a cursor. */
static void forget_zeroed(struct bh_span *span)
{
    if (atomic_load_relaxed(&span->flags) & RUN_ZEROED)
        atomic_and_relaxed(&span->flags, (uint8_t)~RUN_ZEROED);
}

/* Takes the first unswept span off the list and sweeps it. Under the central's lock. */
static struct bh_span *sweep_first(struct collected_central *central)
{
    struct bh_span *span = container_of(central->unswept.next, struct bh_span, link);
    harden_check_record(span);
    list_remove(&span->link);
    exchange_bitmaps(span);
    span->next_idx = 0;
    forget_zeroed(span);
    span_set_state(span, SPAN_IN_USE);
    /* Relaxed, all: the counts say where and when to stop looking; the lists are true. */
    atomic_store_relaxed(&central->unswept_count, central->unswept_count - 1);
    if (central->unseen_count > 0)
        atomic_store_relaxed(&central->unseen_count, central->unseen_count - 1);
    atomic_sub_relaxed(&sweep_left, 1);
    return span;
}

struct bh_span *sweep_one(struct collected_central *central)
{
    uintptr_t irq = spinlock_acquire(&central->lock);
    struct bh_span *span = list_is_empty(&central->unswept) ? NULL : sweep_first(central);
    spinlock_release(&central->lock, irq);
    return span;
}

void collected_shelve(struct collected_central *central, struct bh_span *span)
{
    uintptr_t irq = spinlock_acquire(&central->lock);
    recount(span); /* collected_free() may have been here while the span was a cursor's */
    bool whole = span->free_objs == span->objs;
    span->next_idx = 0;
    forget_zeroed(span);
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
    size_t swept = 0;
    struct collected_central *central = &collected_centrals[0][0];
    while (walk_is_unswept() && central && swept < pages) {
        size_t step = sweep_step(central);
        page_heap_hand_over();
        swept += step;
        if (step == 0)
            central = collected_next(central);
    }
    return walk_is_unswept();
}

void walk_sweep_all(void)
{
    walk_sweep(SIZE_MAX);
}

/* ---- whole spans ---- */

static bool is_unmarked(const struct bh_span *span)
{
    return bitmap_next_set(span_mark_bits(span), span->objs, 0) == span->objs;
}

/* Looks at the next few spans that nobody has looked at: sweeps and returns the first of which
 * nothing was reached. The others go to the end of the list. */
static struct bh_span *find_whole(struct collected_central *central)
{
    struct bh_span *whole = NULL;
    uintptr_t irq = spinlock_acquire(&central->lock);
    for (size_t i = 0; i < RECLAIM_LOOKS && central->unseen_count > 0 && !whole; i++) {
        struct bh_span *span = container_of(central->unswept.next, struct bh_span, link);
        if (is_unmarked(span)) {
            whole = sweep_first(central);
            continue;
        }
        list_remove(&span->link);
        list_push_back(&central->unswept, &span->link);
        atomic_store_relaxed(&central->unseen_count, central->unseen_count - 1); /* as above */
    }
    spinlock_release(&central->lock, irq);
    return whole;
}

/* Gives a whole span of the central back, if one is soon found; returns its pages. */
static size_t reclaim_step(struct collected_central *central)
{
    uintptr_t irq = arch_irq_save(); /* as in sweep_step() */
    struct bh_span *span = find_whole(central);
    size_t pages = span ? span->pages : 0;
    if (span)
        collected_shelve(central, span);
    arch_irq_restore(irq);
    return pages;
}

bool walk_reclaim(size_t pages)
{
    size_t reclaimed = 0;
    if (!walk_is_unswept())
        return false;
    for_each_central(central)
        /* Relaxed: a core that sees an old count looks in vain, or leaves some to the sweep. */
        while (reclaimed < pages && atomic_load_relaxed(&central->unseen_count) > 0)
    {
        reclaimed += reclaim_step(central);
        page_heap_hand_over();
    }
    return reclaimed > 0;
}

/* ---- cursors ---- */

/* Atomic against collected_free() of other objects, when not all cores are stopped. Release: the
 * next core to reserve an object comes after this one's clearing of it; pairs with bits_reserve().
 */
static void bits_unreserve(struct bh_span *span, const struct arch_cursor *cursor)
{
    for (uintptr_t at = cursor->next; at != cursor->end; at += span->object_bytes) {
        uint32_t idx = span_idx(span, at);
        atomic_and_release(&span->bits[idx / 64], ~((uint64_t)1 << (idx % 64)));
    }
}

static void cursor_empty(struct arch_cursor *cursor)
{
    struct bh_span *span = cursor_span(cursor);
    if (!span)
        return;
    bits_unreserve(span, cursor);
    collected_count_sub(cursor->end - cursor->next);
    *cursor = (struct arch_cursor){0, 0, 0};
    collected_shelve(collected_central_of(span), span);
}

/* The tiny block is an object that was handed out: just forgotten. */
static void row_empty(struct arch_cursor *row)
{
    for (size_t i = 1; i < CURSOR_TINY; i++)
        cursor_empty(&row[i]);
    row[CURSOR_TINY] = (struct arch_cursor){0, 0, 0};
}

static void core_empty(unsigned core)
{
    const struct core_cache *cache = core_caches[core];
    for (size_t row = 0; cache && row < ARCH_ROWS; row++)
        if (cache->bins.rows[row])
            row_empty(cache->bins.rows[row]);
}

void collected_reclaim(size_t pages)
{
    uintptr_t irq = arch_irq_save();
    core_empty(bh_port_core());
    arch_irq_restore(irq);
    walk_sweep(pages);
}

/* ---- the ends of a cycle, all cores stopped ---- */

void walk_cycle_begin(void)
{
    for (unsigned core = 0; core < bh_port_core_count(); core++)
        core_empty(core);
    if (BH_DEBUG >= 3)
        bh_heap_verify();
}

static void unsweep(struct collected_central *central)
{
    list_splice(&central->unswept, &central->partial);
    list_splice(&central->unswept, &central->full);
    atomic_store_relaxed(&central->unswept_count, central->span_count); /* as in sweep_one() */
    atomic_store_relaxed(&central->unseen_count, central->span_count);  /* " */
    atomic_add_relaxed(&sweep_left, central->span_count);
}

void walk_cycle_end(size_t live_bytes)
{
    BH_CHECK(!walk_is_unswept(), "[ALLOC-9] a cycle ends with %zu spans of the last one unswept",
             sweep_left);
    for_each_central(central) unsweep(central);
    sweep_cycle++;
    collected_count_set(live_bytes);
    if (BH_DEBUG >= 3)
        bh_heap_verify();
}

static const struct arch_cursor *cursor_of(unsigned core, const struct collected_central *central)
{
    const struct core_cache *cache = core_caches[core];
    return cache && central->size_class ? cursor_in(&cache->bins, central->row, central->word)
                                        : NULL;
}

void collected_reserved(const struct bh_span *span, uint32_t *from, uint32_t *to)
{
    const struct collected_central *central = collected_central_of(span);
    *from = *to = 0;
    for (unsigned core = 0; core < bh_port_core_count(); core++) {
        const struct arch_cursor *cursor = cursor_of(core, central);
        if (!cursor || cursor_span(cursor) != span)
            continue;
        *from = span_idx(span, cursor->next);
        *to = cursor->next == cursor->end ? *from : span_idx(span, cursor->end - 1) + 1;
    }
}

/* ---- one object ---- */

bool collected_is_allocated(const struct bh_span *span, uintptr_t address)
{
    const struct arch_cursor *cursor = cursor_of(bh_port_core(), collected_central_of(span));
    if (cursor && address >= cursor->next && address < cursor->end)
        return false;
    const uint64_t *bits = span_is_unswept(span) ? span_mark_bits(span) : span->bits;
    uint32_t idx = span_idx(span, address);
    /* Relaxed: who asks has the object, and its bit with it. Cursors set others of the word. */
    return atomic_load_relaxed(&bits[idx / 64]) >> (idx % 64) & 1;
}

bool walk_is_allocated(uintptr_t address)
{
    const struct bh_span *span = pagemap_span(address);
    struct collected_central *central = collected_central_of(span);
    uintptr_t irq = spinlock_acquire(&central->lock);
    bool allocated = collected_is_allocated(span, address);
    spinlock_release(&central->lock, irq);
    return allocated;
}
