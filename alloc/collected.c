/* SPDX-License-Identifier: MIT */
/* Collected objects: allocating and freeing by hand. See collected.h; sweeping is in sweep.c. */
#include "alloc/collected.h"
#include "alloc/crime.h"
#include "alloc/cursor.h"
#include "alloc/dead.h"
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

#define TINY_CLASS 2

/* Longest run taken at once unless one object is longer: bounds the zeroing with interrupts off. */
#define RUN_BYTES_MAX PAGE_BYTES
static size_t run_bytes_most = RUN_BYTES_MAX;

void walk_set_run_bytes(size_t bytes)
{
    /* Relaxed, and where it is read: a figure. */
    atomic_store_relaxed(&run_bytes_most, bytes < RUN_BYTES_MAX ? bytes : RUN_BYTES_MAX);
}

/* ---- accounting: relaxed, a figure that pacing compares with a goal ---- */

size_t collected_bytes(void)
{
    return room_collected_bytes();
}

void walk_get_totals(uint64_t *allocated_bytes, uint64_t *freed_bytes)
{
    *freed_bytes = atomic_load_relaxed(&room_collected_count.freed_bytes);
    *allocated_bytes = atomic_load_relaxed(&room_collected_count.taken_bytes);
    if (*allocated_bytes < *freed_bytes) /* seen in another order */
        *allocated_bytes = *freed_bytes;
}

void collected_count_set(size_t bytes)
{
    struct room_collected_count *count = &room_collected_count;
    atomic_store_relaxed(&count->freed_bytes, count->taken_bytes - bytes);
}

void collected_count_sub(size_t bytes)
{
    atomic_add_relaxed(&room_collected_count.freed_bytes, bytes);
}

static void count_add(size_t bytes)
{
    atomic_add_relaxed(&room_collected_count.taken_bytes, bytes);
}

/* ---- the fast paths that are not inline ---- */

static struct collected_central *central_plain(enum bh_kind kind, unsigned size_class)
{
    return &collected_centrals[cursor_row(kind)][size_class];
}

/* What a tiny object is aligned to: its size's largest power of two, at most 8. */
static size_t tiny_align(size_t bytes)
{
    return bytes % 8 == 0 ? 8 : bytes % 4 == 0 ? 4 : bytes % 2 == 0 ? 2 : 1;
}

/* Part of the block; its end stays one byte short of the block's, so one past the end is inside.
 * Interrupts off. */
static void *tiny_bump(struct arch_cursor *tiny, size_t bytes)
{
    uintptr_t object = bits_round_up(tiny->next, tiny_align(bytes));
    if (object + bytes >= tiny->end)
        return NULL;
    tiny->next = object + bytes;
    return (void *)object; /* NOLINT: an address becomes memory */
}

/* Makes `block` the one that tiny objects share, with its first one in it; NULL passes. */
static void *tiny_open(struct arch_cursor *tiny, void *block, size_t bytes)
{
    if (block) {
        tiny->next = (uintptr_t)block + bytes;
        tiny->end = (uintptr_t)block + COLLECTED_TINY_BYTES;
    }
    return block;
}

static bool is_tiny(enum bh_kind kind, size_t bytes)
{
    return kind == KIND_NOSCAN && bytes > 0 && bytes < COLLECTED_TINY_BYTES;
}

/* One byte more, so that a pointer one past the end lies inside. */
static unsigned class_of(size_t bytes)
{
    return size_class_for(bytes + 1);
}

/* This core's cursor; NULL when it does not have that row yet. Interrupts off. */
static struct arch_cursor *cursor_here(size_t row, size_t number)
{
    const struct core_cache *cache = per_core_here(core_caches);
    return cache ? cursor_in(&cache->bins, row, cursor_word(number)) : NULL;
}

static __attribute__((noinline)) void *tiny_fast(size_t bytes)
{
    uintptr_t irq = arch_irq_save();
    struct arch_cursor *row = cursor_here(cursor_row(KIND_NOSCAN), 0);
    void *object = row ? tiny_bump(&row[CURSOR_TINY], bytes) : NULL;
    if (row && !object)
        object = tiny_open(&row[CURSOR_TINY], cursor_bump(&row[TINY_CLASS]), bytes);
    arch_irq_restore(irq);
    return collected_hand_out(object, bytes);
}

CACHE_FAST void *collected_alloc_other(enum bh_kind kind, size_t bytes)
{
    if (is_tiny(kind, bytes))
        return tiny_fast(bytes);
    if (bytes >= SIZE_CLASS_MAX)
        return NULL;
    void *object = cursor_pop(cursor_row(kind), cursor_word(class_of(bytes)));
    return collected_hand_out(object, bytes);
}

/* ---- runs and spans, interrupts off, on this core ---- */

/* Off in the last object of its run. */
struct bh_span *cursor_span(const struct arch_cursor *cursor)
{
    return cursor->end ? pagemap_span(cursor->end - 1) : NULL;
}

/* This core's cursors of that row, made if need be; NULL when there is no memory for them. */
static struct arch_cursor *row_own(size_t row)
{
    struct core_cache *cache = cache_own_must();
    if (!cache)
        return NULL;
    if (BH_UNLIKELY(!cache->bins.rows[row])) /* read by others only while all are stopped */
        cache->bins.rows[row] = meta_alloc(ARCH_CURSORS * sizeof(struct arch_cursor));
    return cache->bins.rows[row];
}

static struct arch_cursor *cursor_own(const struct collected_central *central)
{
    struct arch_cursor *row = row_own(central->row);
    return row ? row + central->word / CURSOR_WORDS : NULL;
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
    size_t most = atomic_load_relaxed(&run_bytes_most) / span->object_bytes;
    if (most == 0)
        most = 1;
    return to - from < most ? to : from + most;
}

static void clear_run(const struct arch_cursor *cursor)
{
    size_t bytes = cursor->end - cursor->next;
    poison_lift(cursor->next, bytes);
    memset((void *)cursor->next, 0, bytes); /* NOLINT: an address becomes memory */
    poison_lay(cursor->next, bytes);
}

/* The cursor gets the next free run of the span; false when the span is used up. */
static bool cursor_take_run(struct arch_cursor *cursor, struct bh_span *span)
{
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
    cursor->step = span->object_bytes;
    count_add(cursor->end - cursor->next); /* before the clearing: x86-64 would wait for it here */
    if (!(atomic_load_relaxed(&span->flags) & RUN_ZEROED)) /* relaxed: see forget_zeroed() */
        clear_run(cursor);
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
static struct bh_span *take_new(struct collected_central *central)
{
    struct bh_span *span =
        span_new_small(central->size_class, (enum bh_kind)central->kind, count_spans(central, 1));
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
static struct bh_span *take_span(struct collected_central *central)
{
    struct bh_span *span = take_partial(central);
    if (!span)
        span = take_swept(central);
    return span ? span : take_new(central);
}

/* Ends the use of the span that the cursor stands in, if any. */
static void cursor_retire(struct arch_cursor *cursor, struct collected_central *central)
{
    struct bh_span *span = cursor_span(cursor);
    *cursor = (struct arch_cursor){0, 0, 0};
    if (span)
        collected_shelve(central, span);
}

/* An object, of the next run of the span that the cursor stands in if it is used up. */
static void *next_masked(struct arch_cursor *cursor)
{
    void *object = cursor_bump(cursor);
    struct bh_span *span = object ? NULL : cursor_span(cursor);
    return span && cursor_take_run(cursor, span) ? cursor_bump(cursor) : object;
}

static void *small_slow_masked(struct collected_central *central)
{
    struct arch_cursor *cursor = cursor_own(central);
    void *object = cursor ? next_masked(cursor) : NULL;
    while (cursor && !object) {
        cursor_retire(cursor, central);
        struct bh_span *span = take_span(central);
        if (!span)
            return NULL;
        if (cursor_take_run(cursor, span))
            object = cursor_bump(cursor);
        else
            collected_shelve(central, span);
    }
    return object;
}

/* ---- slow paths ---- */

/* A plain request for a noscan object that shares a block, which is what `object` is then. */
static void *open_if_tiny(const struct walk_request *request, void *object)
{
    bool tiny = request->room > request->bytes &&
                is_tiny((enum bh_kind)request->central->kind, request->bytes);
    if (tiny && object)
        tiny_open(cursor_here(cursor_row(KIND_NOSCAN), CURSOR_TINY), object, request->bytes);
    return object;
}

struct walk_request walk_request_plain(enum bh_kind kind, size_t bytes)
{
    unsigned size_class = bytes >= SIZE_CLASS_MAX ? 0
                          : is_tiny(kind, bytes)  ? TINY_CLASS
                                                  : class_of(bytes);
    return (struct walk_request){
        .central = central_plain(kind, size_class), .bytes = bytes, .room = bytes + 1};
}

bool walk_request_is_large(const struct walk_request *request)
{
    return request->central->size_class == 0;
}

size_t walk_request_pages(const struct walk_request *request)
{
    unsigned size_class = request->central->size_class;
    return size_class ? size_classes[size_class].pages
                      : (request->room + PAGE_BYTES - 1) >> PAGE_SHIFT;
}

void *collected_alloc_next(const struct walk_request *request)
{
    const struct collected_central *central = request->central;
    uintptr_t irq = arch_irq_save();
    struct arch_cursor *row = central->size_class ? cursor_here(central->row, 0) : NULL;
    void *object = row ? next_masked(row + central->word / CURSOR_WORDS) : NULL;
    open_if_tiny(request, object);
    arch_irq_restore(irq);
    return collected_hand_out(object, request->bytes);
}

static void *small_slow(const struct walk_request *request)
{
    uintptr_t irq = arch_irq_save();
    void *object = open_if_tiny(request, small_slow_masked(request->central));
    arch_irq_restore(irq);
    return collected_hand_out(object, request->bytes);
}

/* Opens it, and zeroes it. Nobody knows the span yet, so this may take as long as it likes,
 * interrupts on. */
static void large_prepare(const struct bh_span *span, const struct walk_request *request)
{
    size_t bytes = span_object_bytes(span);
    poison_lift(span->base, bytes);
    if (request->unzeroed)
        dead_fill(span->base, bytes); /* nobody shall rely on what is there */
    else if (!(span->flags & RUN_ZEROED))
        memset((void *)span->base, 0, bytes); /* NOLINT: an address becomes memory */
    poison_open(span->base, request->bytes, bytes);
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

static void *large_slow(const struct walk_request *request)
{
    size_t pages = (request->room + PAGE_BYTES - 1) >> PAGE_SHIFT;
    struct bh_span *span = span_new_large(pages, 1, (enum bh_kind)request->central->kind);
    if (!span)
        return NULL;
    /* Read here, not after large_show(): from its end on a collection may come, and then the only
     * reference to the object is in this variable. The span's record is no root. */
    void *object = (void *)span->base; /* NOLINT: an address becomes memory */
    large_prepare(span, request);
    large_show(span);
    return object;
}

static const struct room_collected room_functions = {collected_reclaim, collected_verify};

void *collected_alloc_slow(const struct walk_request *request)
{
    atomic_store_relaxed(&room_collected, &room_functions); /* see there */
    return request->central->size_class ? small_slow(request) : large_slow(request);
}

/* ---- freeing by hand ---- */

/* Clears the object's bit. Under the central's lock. */
static void free_bit(struct bh_span *span, uint32_t idx)
{
    uint64_t bit = (uint64_t)1 << (idx % 64);
    uint64_t *words = span_is_unswept(span) ? span_mark_bits(span) : span->bits;
    /* Release: pairs with bits_reserve(), which takes the object without this lock. */
    atomic_and_release(&words[idx / 64], ~bit);
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
    return span->kind == KIND_NOSCAN && span->object_bytes == COLLECTED_TINY_BYTES;
}

/* Interrupts stay off until the span is in a list again, or out of the page map: a stop in
 * between would find a span whose bitmaps are gone. */
static void free_in_span(struct bh_span *span, uintptr_t address, uintptr_t caller)
{
    struct collected_central *central = collected_central_of(span);
    size_t object_bytes = span_object_bytes(span);
    uintptr_t irq = spinlock_acquire(&central->lock);
    harden_check_record(span); /* under the lock: a sweep changes where the bitmaps are */
    bool was_allocated = collected_is_allocated(span, address);
    if (was_allocated)
        dead_fill(address, object_bytes);
    poison_lay(address, object_bytes); /* before another core may have it */
    if (was_allocated)
        free_bit(span, span_idx(span, address));
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
