/* SPDX-License-Identifier: MIT */
/* Collected objects: allocating and freeing by hand. See collected.h; sweeping is in sweep.c. */
#include "alloc/collected.h"
#include "alloc/crime.h"
#include "alloc/harden.h"
#include "alloc/meta.h"
#include "alloc/page_heap.h"
#include "alloc/poison.h"
#include "alloc/room.h"
#include "alloc/span.h"
#include "alloc/walk.h"
#include "arch/arch.h"
#include "kernel-lib/memory.h"

/* Full spans that one request sweeps before it makes a new one: bounds the time with interrupts
 * off. Pacing sweeps the rest, and whoever finds memory out sweeps all. */
#define TAKE_SWEEPS 16

#define TINY_BYTES 16
#define TINY_CLASS 2

/* Longest run taken at once unless one object is longer: bounds the zeroing with interrupts off. */
#define RUN_BYTES_MAX PAGE_BYTES

/* A core's cache before it has one: every cursor is used up, so nothing is ever written to it. In
 * .bss and not constant, because it is three kilobytes of zeros. */
static struct collected_cache collected_none;

PER_CORE(struct collected_cache *, collected_caches) = PER_CORE_INIT(&collected_none);

BH_STATIC_ASSERT(sizeof(struct collected_cache) <= META_CELL_MAX, "a cache fits a cell");

/* ---- accounting: relaxed, a figure that pacing compares with a goal ---- */

size_t collected_bytes(void)
{
    return atomic_load_relaxed(&room_collected_bytes);
}

void collected_count_set(size_t bytes)
{
    atomic_store_relaxed(&room_collected_bytes, bytes);
}

void collected_count_sub(size_t bytes)
{
    atomic_sub_relaxed(&room_collected_bytes, bytes);
}

static void count_add(size_t bytes)
{
    atomic_add_relaxed(&room_collected_bytes, bytes);
}

/* ---- the fast path ---- */

static struct collected_cache *cache_here(void)
{
    return per_core_here(collected_caches);
}

/* Interrupts off. */
static void *cursor_bump(struct cursor *cursor, size_t object_bytes)
{
    uintptr_t object = cursor->next;
    if (object == cursor->end)
        return NULL;
    cursor->next = object + object_bytes;
    return (void *)object; /* NOLINT: an address becomes memory */
}

/* What a tiny object is aligned to: its size's largest power of two, at most 8. */
static size_t tiny_align(size_t bytes)
{
    return bytes % 8 == 0 ? 8 : bytes % 4 == 0 ? 4 : bytes % 2 == 0 ? 2 : 1;
}

/* Part of the block; its end stays one byte short of the block's, so one past the end is inside. */
static void *tiny_bump(struct collected_cache *cache, size_t bytes)
{
    uintptr_t object = bits_round_up(cache->tiny_next, tiny_align(bytes));
    if (object + bytes >= cache->tiny_end)
        return NULL;
    cache->tiny_next = object + bytes;
    return (void *)object; /* NOLINT: an address becomes memory */
}

/* Makes `block` the one that tiny objects share, with its first one in it; NULL passes. */
static void *tiny_open(struct collected_cache *cache, void *block, size_t bytes)
{
    if (block) {
        cache->tiny_next = (uintptr_t)block + bytes;
        cache->tiny_end = (uintptr_t)block + TINY_BYTES;
    }
    return block;
}

static bool is_tiny(enum bh_kind kind, size_t bytes)
{
    return kind == KIND_NOSCAN && bytes > 0 && bytes < TINY_BYTES;
}

/* One byte more, so that a pointer one past the end lies inside. */
static unsigned class_of(size_t bytes)
{
    return size_class_for(bytes + 1);
}

static struct cursor *cursor_for(struct collected_cache *cache, enum bh_kind kind,
                                 unsigned size_class)
{
    return &cache->cursors[kind - KIND_FIRST_COLLECTED][size_class];
}

static void *tiny_fast(struct collected_cache *cache, size_t bytes)
{
    void *object = tiny_bump(cache, bytes);
    if (object)
        return object;
    struct cursor *cursor = cursor_for(cache, KIND_NOSCAN, TINY_CLASS);
    return tiny_open(cache, cursor_bump(cursor, TINY_BYTES), bytes);
}

static void *small_fast(struct collected_cache *cache, enum bh_kind kind, size_t bytes)
{
    unsigned size_class = class_of(bytes);
    return cursor_bump(cursor_for(cache, kind, size_class), size_classes[size_class].object_bytes);
}

/* What a run has in it is closed until it is handed out. NULL passes. */
static void *hand_out(void *object, size_t bytes)
{
    if (object)
        poison_lift((uintptr_t)object, bytes);
    return object;
}

void *collected_alloc_fast(enum bh_kind kind, size_t bytes)
{
    if (bytes >= SIZE_CLASS_MAX)
        return NULL;
    uintptr_t irq = arch_irq_save();
    struct collected_cache *cache = cache_here();
    void *object = is_tiny(kind, bytes) ? tiny_fast(cache, bytes) : small_fast(cache, kind, bytes);
    arch_irq_restore(irq);
    return hand_out(object, bytes);
}

/* ---- runs and spans, interrupts off, on this core ---- */

bool collected_cache_exists(unsigned core)
{
    return collected_caches[core] != &collected_none;
}

static struct collected_cache *cache_own(void)
{
    unsigned core = bh_port_core();
    if (collected_caches[core] != &collected_none)
        return collected_caches[core];
    struct collected_cache *cache = meta_alloc(sizeof(*cache));
    if (cache)
        collected_caches[core] = cache; /* read by others only while all are stopped */
    return cache;
}

/* Sets the bits [from, to) against free_bit(), which clears others in the same words. */
static void bits_reserve(struct bh_span *span, size_t from, size_t to)
{
    while (from < to) {
        size_t in_word = 64 - from % 64;
        size_t n = to - from < in_word ? to - from : in_word;
        uint64_t ones = n == 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
        /* Acquire: pairs with free_bit(). What the one who freed an object wrote into it comes
         * before we clear it. Nobody else takes from a cached span. */
        atomic_or_acquire(&span->bits[from / 64], ones << (from % 64));
        from += n;
    }
}

/* Objects from `from` on that are free and in one piece, no more than may be taken at once. */
static size_t run_end(const struct bh_span *span, size_t from)
{
    size_t to = bitmap_next_set(span->bits, span->objs, from);
    size_t most = RUN_BYTES_MAX / span->object_bytes;
    if (most == 0)
        most = 1;
    return to - from < most ? to : from + most;
}

static void clear_run(const struct cursor *cursor)
{
    size_t bytes = cursor->end - cursor->next;
    poison_lift(cursor->next, bytes);
    memset((void *)cursor->next, 0, bytes); /* NOLINT: an address becomes memory */
    poison_lay(cursor->next, bytes);
}

/* The cursor gets the next free run of its span; false when the span is used up. */
static bool cursor_next_run(struct cursor *cursor)
{
    struct bh_span *span = cursor->span;
    size_t from = bitmap_next_clear(span->bits, span->objs, span->next_idx);
    if (from == span->objs) {
        span->next_idx = span->objs;
        return false;
    }
    size_t to = run_end(span, from);
    bits_reserve(span, from, to);
    span->next_idx = (uint16_t)to;
    cursor->next = span_object(span, (uint32_t)from);
    cursor->end = span_object(span, (uint32_t)to);
    if (!(span->flags & RUN_ZEROED))
        clear_run(cursor);
    count_add(cursor->end - cursor->next);
    return true;
}

static struct bh_span *take_partial(struct collected_central *central)
{
    struct bh_span *span = NULL;
    uintptr_t irq = spinlock_acquire(&central->lock);
    if (!list_is_empty(&central->partial)) {
        span = container_of(central->partial.next, struct bh_span, link);
        list_remove(&span->link);
        span_set_state(span, SPAN_CACHED);
    }
    spinlock_release(&central->lock, irq);
    return span;
}

/* Counts `change` spans more; returns how many there were. */
static size_t count_spans(struct collected_central *central, int change)
{
    uintptr_t irq = spinlock_acquire(&central->lock);
    size_t before = central->span_count;
    central->span_count += (size_t)change;
    spinlock_release(&central->lock, irq);
    return before;
}

/* Interrupts stay off from the count to the span: no stop sees one without the other. */
static struct bh_span *take_new(struct collected_central *central, enum bh_kind kind,
                                unsigned size_class)
{
    struct bh_span *span = span_new_small(size_class, kind, count_spans(central, 1));
    if (!span) {
        count_spans(central, -1);
        return NULL;
    }
    span->sweep_cycle = sweep_cycle;
    span_set_state(span, SPAN_CACHED);
    page_heap_publish(span);
    return span;
}

/* An unswept span of the class that has room once swept, after at most TAKE_SWEEPS tries. */
static struct bh_span *take_swept(struct collected_central *central)
{
    struct bh_span *span;
    for (unsigned i = 0; i < TAKE_SWEEPS && (span = sweep_one(central)) != NULL; i++) {
        if (span->free_objs > 0) {
            span_set_state(span, SPAN_CACHED);
            return span;
        }
        collected_shelve(central, span);
    }
    return NULL;
}

/* A span with room: partial, or swept just now, or new. NULL: memory is out. */
static struct bh_span *take_span(struct collected_central *central, enum bh_kind kind,
                                 unsigned size_class)
{
    struct bh_span *span = take_partial(central);
    if (!span)
        span = take_swept(central);
    return span ? span : take_new(central, kind, size_class);
}

/* The span is used up: out of the cursor, into the list. */
static void cursor_retire(struct cursor *cursor, struct collected_central *central)
{
    struct bh_span *span = cursor->span;
    *cursor = (struct cursor){0, 0, NULL};
    if (span)
        collected_shelve(central, span);
}

static void *small_slow_masked(enum bh_kind kind, unsigned size_class)
{
    struct collected_cache *cache = cache_own();
    if (!cache)
        return NULL;
    struct collected_central *central =
        &collected_centrals[kind - KIND_FIRST_COLLECTED][size_class];
    struct cursor *cursor = cursor_for(cache, kind, size_class);
    void *object = cursor_bump(cursor, size_classes[size_class].object_bytes);
    while (!object) {
        if (!cursor->span || !cursor_next_run(cursor)) {
            cursor_retire(cursor, central);
            cursor->span = take_span(central, kind, size_class);
            if (!cursor->span)
                return NULL;
            continue;
        }
        object = cursor_bump(cursor, cursor->span->object_bytes);
    }
    return object;
}

/* ---- slow paths ---- */

static void *small_slow(enum bh_kind kind, size_t bytes)
{
    uintptr_t irq = arch_irq_save();
    bool tiny = is_tiny(kind, bytes);
    void *object = small_slow_masked(kind, tiny ? TINY_CLASS : class_of(bytes));
    if (tiny)
        tiny_open(cache_here(), object, bytes);
    arch_irq_restore(irq);
    return hand_out(object, bytes);
}

/* In the page map and in the list at once, as far as this core can be stopped. */
static void large_show(struct bh_span *span)
{
    struct collected_central *central = collected_central_of(span);
    uintptr_t irq = arch_irq_save();
    span->sweep_cycle = sweep_cycle;
    span_set_state(span, SPAN_LISTED);
    bitmap_set(span->bits, 0);
    page_heap_publish(span);
    uintptr_t lock_irq = spinlock_acquire(&central->lock);
    list_push(&central->full, &span->link);
    central->span_count++;
    spinlock_release(&central->lock, lock_irq);
    count_add(span_object_bytes(span));
    arch_irq_restore(irq);
}

static void *large_slow(enum bh_kind kind, size_t bytes)
{
    size_t pages = (bytes >> PAGE_SHIFT) + 1; /* one byte more at least */
    struct bh_span *span = span_new_large(pages, 1, kind);
    if (!span)
        return NULL;
    /* Read here, not after large_show(): from its end on a collection may come, and then the only
     * reference to the object is in this variable. The span's record is no root. */
    void *object = (void *)span->base; /* NOLINT: an address becomes memory */
    /* Nobody knows the span yet, so this may take as long as it likes, interrupts on. */
    poison_lift(span->base, span_object_bytes(span));
    if (!(span->flags & RUN_ZEROED))
        memset(object, 0, span_object_bytes(span));
    poison_open(span->base, bytes, span_object_bytes(span));
    large_show(span);
    return object;
}

static const struct room_collected room_functions = {collected_reclaim, collected_verify};

void *collected_alloc_slow(enum bh_kind kind, size_t bytes)
{
    atomic_store_relaxed(&room_collected, &room_functions); /* see there */
    return bytes < SIZE_CLASS_MAX ? small_slow(kind, bytes) : large_slow(kind, bytes);
}

/* ---- freeing by hand ---- */

/* Clears the object's bit; false when it was clear. Under the central's lock. */
static bool free_bit(struct bh_span *span, uint32_t idx)
{
    uint64_t bit = (uint64_t)1 << (idx % 64);
    uint64_t *words = span_is_unswept(span) ? span_mark_bits(span) : span->bits;
    /* Release: pairs with bits_reserve(), which takes the object without this lock. */
    return atomic_and_release(&words[idx / 64], ~bit) & bit;
}

/* Whether the object is one that this core's cursor holds but has not handed out: freed before,
 * then. (Another core's cursor cannot be looked at; its reserved objects go unnoticed.) */
static bool is_reserved_here(const struct bh_span *span, uintptr_t address)
{
    const struct cursor *cursor =
        cursor_for(cache_here(), (enum bh_kind)span->kind, span->size_class);
    return cursor->span == span && address >= cursor->next && address < cursor->end;
}

/* A swept, listed span has one more free object. True when the span is whole and out of its list.
 */
static bool relist(struct collected_central *central, struct bh_span *span)
{
    if (span->state != SPAN_LISTED || span_is_unswept(span))
        return false;
    span->free_objs++;
    span->next_idx = 0;
    list_remove(&span->link);
    if (span->free_objs == span->objs) {
        central->span_count--;
        return true;
    }
    list_push(&central->partial, &span->link);
    return false;
}

/* Whether its objects are blocks of tiny ones: no other noscan request comes down to that class. */
static bool is_tiny_block(const struct bh_span *span)
{
    return span->kind == KIND_NOSCAN && span->object_bytes == TINY_BYTES;
}

/* Interrupts stay off until the span is in a list again, or out of the page map: a stop in
 * between would find a span whose bitmaps are gone. */
static void free_in_span(struct bh_span *span, uintptr_t address, uintptr_t caller)
{
    struct collected_central *central = collected_central_of(span);
    size_t object_bytes = span_object_bytes(span);
    uintptr_t irq = spinlock_acquire(&central->lock);
    harden_check_record(span);         /* under the lock: a sweep changes where the bitmaps are */
    poison_lay(address, object_bytes); /* before another core may have it */
    bool was_allocated =
        !is_reserved_here(span, address) && free_bit(span, span_idx(span, address));
    bool whole = was_allocated && relist(central, span);
    spinlock_release_irqs_off(&central->lock);
    if (whole)
        span_free(span);
    arch_irq_restore(irq);
    if (!was_allocated)
        crime_panic("bh_gc_free", address, "freed twice", caller);
    collected_count_sub(object_bytes);
}

void collected_free(void *object, uintptr_t caller)
{
    uintptr_t address = (uintptr_t)object;
    if (pagemap_class(address) != PAGE_COLLECTED)
        crime_panic("bh_gc_free", address, "not a collected object", caller);
    struct bh_span *span = pagemap_span(address);
    if (is_tiny_block(span))
        return;
    if (!span_is_object(span, address))
        crime_panic("bh_gc_free", address, "inside an object", caller);
    free_in_span(span, address, caller);
    page_heap_hand_over();
}
