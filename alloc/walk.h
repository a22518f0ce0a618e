/* SPDX-License-Identifier: MIT */
/*
 * The allocator as the collector sees it: the only header of this floor that floors above include.
 *
 * 1. Allocating: collected_alloc_fast() bumps a core's cursor; the slow path finds the next free
 *    run in a span's bitmap, sweeping spans as it goes.
 * 2. Finding: walk_find() turns any word into the object it points into, or says no.
 * 3. A cycle, all cores stopped: walk_sweep_all(), walk_cycle_begin(), then walk_mark_word() for
 *    all that is reached, then walk_cycle_end(); from there spans are swept one by one.
 * 4. Sweeping: a swept span's `bits` are its mark bits; objects are not touched.
 *
 * Stopped means: every other core is in the collector's stop or park and so inside no
 * function of this floor (they mask interrupts while they hold anything).
 */
#ifndef ALLOC_WALK_H
#define ALLOC_WALK_H

#include "alloc/crime.h"
#include "alloc/cursor.h"
#include "alloc/poison.h"
#include "alloc/redzone.h"
#include "alloc/types.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/bitmap.h"
#include <bareheap/alloc.h>
#include <bareheap/gc.h>

struct collected_central;

/* Noscan objects of fewer bytes share a block of so many. */
#define COLLECTED_TINY_BYTES 16

/* An object as walk_find() found it. */
struct walk_object {
    struct bh_span *span;
    uintptr_t base; /* address of its first byte */
    uint32_t idx;   /* its number in the span */
};

/* Whether `word` is an address between the first region's beginning and the last one's end. */
static inline bool walk_is_near(uintptr_t word)
{
    const struct pagemap *map = pagemap_current;
    return (word >> PAGE_SHIFT) - map->first_page < map->pages;
}

/* Whether `word` points into a page of a collected span; and then, which. Any word is legal. To be
 * called while all cores are stopped. */
static inline bool walk_is_collected(uintptr_t word)
{
    const struct pagemap *map = pagemap_current;
    uintptr_t page = (word >> PAGE_SHIFT) - map->first_page;
    /* Acquire: pairs with page_heap_publish(), which writes the record and span_of before the
     * class. */
    return page < map->pages && atomic_load_acquire(&map->class_of[page]) == PAGE_COLLECTED;
}

static inline struct bh_span *walk_span_at(uintptr_t word)
{
    const struct pagemap *map = pagemap_current;
    return map->span_of[(word >> PAGE_SHIFT) - map->first_page];
}

/* Both: NULL when it does not. */
static inline struct bh_span *walk_span_of(uintptr_t word)
{
    return walk_is_collected(word) ? walk_span_at(word) : NULL;
}

/* The number of the object at `word`, which points into the span: span->objs or more in the tail
 * behind the last one. It may be a free slot. */
static inline uint32_t walk_index(const struct bh_span *span, uintptr_t word)
{
    return (uint32_t)(((word - span->base) * span->reciprocal) >> 32);
}

/* Whether an object of a swept span is allocated. Black ones, while marking, are only marked; one
 * that another core makes black meanwhile may seem to be none, and is in good hands. */
static inline bool walk_is_object(const struct bh_span *span, uint32_t idx)
{
    return bitmap_test(span->bits, idx) || bitmap_test(span_mark_bits(span), idx);
}

/*
 * Whether `word` points into an allocated collected object, and which. Any word is legal. To be
 * called while all cores are stopped.
 */
static inline bool walk_find(uintptr_t word, struct walk_object *found)
{
    struct bh_span *span = walk_span_of(word);
    if (span == NULL)
        return false;
    uint32_t idx = walk_index(span, word);
    if (idx >= span->objs || !walk_is_object(span, idx))
        return false; /* the tail behind the last object, or a free slot */
    found->span = span;
    found->idx = idx;
    found->base = span->base + (uintptr_t)idx * span->object_bytes;
    return true;
}

/* Which words of a typed span's objects may be pointers: a bitmap of `words` words, for one
 * element. */
struct walk_layout {
    const uint64_t *pointers;
    const struct bh_gc_type *type; /* one that has it: the first */
    size_t words;
    bool repeats; /* the object is a row of elements; else there are no pointers behind the first */
};

/* By number, KIND_TYPED + n being the kind of its spans. Each has a walk_layout at its beginning.
 * An entry is set before the first span of that kind can be found, and is never changed. */
extern struct walk_layout *walk_layouts[LAYOUT_MOST];

/* The layout of a span whose kind is KIND_TYPED or more. */
static inline const struct walk_layout *walk_layout_of(const struct bh_span *span)
{
    return walk_layouts[span->kind - KIND_TYPED];
}

/*
 * Marking. While it lasts the two bits of an object mean, `bits` first:
 *   0 0 free   1 0 white: not reached   1 1 grey: reached, or a noscan one   0 1 black: scanned
 * So what is black needs no bit of its own, and the sweep, which makes `bits` of the marks, needs
 * not know about it. Free is who has neither bit, then, and garbage who is still white.
 * The words of both maps are changed by any marker at any time: with atomic operations, unless one
 * marks alone.
 */

/* Whites of a word of the span's marks become grey; of `bits`, which may be free slots and others
 * too, returns those that became so by this call. */
static inline uint64_t walk_mark_word(struct bh_span *span, uint64_t *marks, uint64_t bits,
                                      bool alone)
{
    bits &= atomic_load_relaxed(span_bits_beside(span, marks)); /* what goes there is marked */
    if (bits == 0)
        return 0;
    /* Sequentially consistent: comes before walk_queue() in the one order of both and
     * walk_unqueue() and walk_claim_word(). */
    if (!alone)
        return bits & ~atomic_or_seq_cst(marks, bits);
    uint64_t old = *marks;
    *marks = old | bits;
    return bits & ~old;
}

/* Greys of word w become black; returns those that did by this call, which the caller scans. */
static inline uint64_t walk_claim_word(struct bh_span *span, size_t w, bool alone)
{
    /* Sequentially consistent: comes after walk_unqueue(). */
    uint64_t grey = atomic_load_seq_cst(&span_mark_bits(span)[w]) & bitmap_word(span->bits, w);
    if (grey == 0)
        return 0;
    /* Relaxed: each bit is taken away once, and nothing goes with it: contents do not change. */
    if (!alone)
        return grey & atomic_and_relaxed(&span->bits[w], ~grey);
    span->bits[w] &= ~grey;
    return grey;
}

/* Whether whoever takes a span out of its queue will look at all of its words. Sequentially
 * consistent: see walk_queue(). */
static inline bool walk_is_queued_whole(const struct bh_span *span)
{
    const uint8_t both = RUN_QUEUED | RUN_MANY;
    return (atomic_load_seq_cst(&span->flags) & both) == both;
}

/*
 * Notes that a span has got grey objects, in one word of its marks; true for a caller who is to put
 * it into a queue: it was in none. Whoever takes it out of there looks at the word by which it came
 * in, and at all if there were `many`.
 *
 * Nothing is lost: of the mark and the look at the flag here, and of taking the flag away and the
 * look at the marks there, all sequentially consistent, one core's first comes before the other's
 * second: so either that core sees the mark or this one sees that the span is in no queue.
 * (Dekker's argument; models/spans.pml.)
 */
static inline bool walk_queue(struct bh_span *span, bool alone)
{
    const uint8_t both = RUN_QUEUED | RUN_MANY;
    uint8_t flags = atomic_load_seq_cst(&span->flags);
    uint8_t wanted = flags & RUN_QUEUED ? both : RUN_QUEUED;
    if ((flags & both) == both)
        return false;
    if (alone) {
        atomic_store_relaxed(&span->flags, flags | wanted); /* in a stop nobody else writes it */
        return !(flags & RUN_QUEUED);
    }
    flags = atomic_or_seq_cst(&span->flags, wanted);
    if ((flags & RUN_QUEUED) && wanted != both) /* somebody was faster, for another word perhaps */
        flags = atomic_or_seq_cst(&span->flags, both);
    return !(flags & RUN_QUEUED);
}

/* Flags a span that should be in a queue and is in none, or perhaps in one too many: whoever takes
 * it out looks at all of its words. */
static inline void walk_queue_whole(struct bh_span *span)
{
    (void)atomic_or_seq_cst(&span->flags, (uint8_t)(RUN_QUEUED | RUN_MANY));
}

/* The span has left its queue, before its words are looked at; returns whether there are many. */
static inline bool walk_unqueue(struct bh_span *span, bool alone)
{
    const uint8_t both = RUN_QUEUED | RUN_MANY;
    uint8_t flags = atomic_load_relaxed(&span->flags); /* as it is if nobody else marks */
    if (alone)
        atomic_store_relaxed(&span->flags, (uint8_t)(flags & ~both));
    else
        flags = atomic_and_seq_cst(&span->flags, (uint8_t)~both);
    return flags & RUN_MANY;
}

/* Marks an object without its being scanned; false when it was marked. No other core marks. */
static inline bool walk_mark(const struct walk_object *object)
{
    bool marked = bitmap_test(span_mark_bits(object->span), object->idx);
    bitmap_set(span_mark_bits(object->span), object->idx);
    return !marked;
}

/* Fetches the record of a span, which may lie across two cache lines. */
static inline void walk_prefetch_span(const struct bh_span *span)
{
    __builtin_prefetch(&span->base);
    __builtin_prefetch(&span->bits);
}

/* Fetches what walk_mark_word() looks at: the same place in both halves of a cell, which for most
 * classes is one cache line. Marks as to be written: every other time they are. */
static inline void walk_prefetch_words(const struct bh_span *span, const uint64_t *marks)
{
    arch_prefetch_write(marks);
    __builtin_prefetch(span_bits_beside(span, marks));
}

static inline bool walk_is_marked(const struct walk_object *object)
{
    return bitmap_test(span_mark_bits(object->span), object->idx);
}

/*
 * What the slow paths are asked for: an object for `bytes` bytes of a central's kind and class,
 * with room for `room`. A plain kind (KIND_NOSCAN, KIND_SCAN) has at least one byte more than it is
 * asked for, so that a pointer one past the end lies inside; typed objects have no padding.
 */
struct walk_request {
    struct collected_central *central;
    size_t bytes;
    size_t room;
    bool unzeroed; /* a large object need not be zeroed */
};

/* The request for so many bytes of a plain kind; for an object of a type. The other two are false
 * when the size overflows. */
struct walk_request walk_request_plain(enum bh_kind kind, size_t bytes);
struct walk_request walk_request_typed(struct bh_gc_type *type);
bool walk_request_array(struct bh_gc_type *type, size_t count, struct walk_request *request);
bool walk_request_tail(struct bh_gc_type *type, size_t tail_bytes, struct walk_request *request);

/* Pages that collected_alloc_slow() will take objects from; whether they are one object. */
size_t walk_request_pages(const struct walk_request *request);
bool walk_request_is_large(const struct walk_request *request);

/*
 * A zeroed object (but see `unzeroed`), or NULL. Any context. The fast ones (for usual requests;
 * tiny ones and those of over a kilobyte are the other's) never leave this core's cursor; the next
 * one, the span that it stands in, of which it takes the next run. The slow one finds a span, or
 * pages, and answers NULL when memory is out (it runs no collection and calls no hook: the
 * collector does, between tries). Functions that use the inline ones are CACHE_FAST.
 */
BH_INLINE bool collected_is_usual(enum bh_kind kind, size_t bytes);
BH_INLINE void *collected_alloc_fast(enum bh_kind kind, size_t bytes);
void *collected_alloc_other(enum bh_kind kind, size_t bytes);
BH_INLINE void *collected_alloc_typed_fast(const struct bh_gc_type *type);
void *collected_alloc_next(const struct walk_request *request);
void *collected_alloc_slow(const struct walk_request *request);

/* Cursors take runs of at most `bytes` bytes (one object at least) from now on; SIZE_MAX: as at the
 * start, a page. For stress: with 0 every small object is a slow path, once the cursors are empty.
 */
void walk_set_run_bytes(size_t bytes);

/*
 * Gives back an allocated collected object. Panics on what is none ("bh_gc_free(0x...): ...").
 * `caller` is for the message. Any context but a stop.
 */
void collected_free(void *object, uintptr_t caller);

/*
 * Whether the collected object at `address`, which is in a page of a collected span, is allocated:
 * neither free nor still to be handed out by this core's cursor (another core's is not looked at).
 * Objects that share a block are as the block is. Any context but a stop: while marking, the bits
 * mean something else.
 */
bool walk_is_allocated(uintptr_t address);

/* Bytes of collected objects and cursors' runs: grows as runs are taken, is set by
 * walk_cycle_end() and shrinks by collected_free(). What pacing compares with the goal. */
size_t collected_bytes(void);

/* The same as two sums that only grow, since bh_init(): what is taken, and what is free again. */
void walk_get_totals(uint64_t *allocated_bytes, uint64_t *freed_bytes);

/* Bytes in use, spans of any kind and the cells of their metadata; of which collected spans, with
 * their free objects. Racy looks. */
size_t walk_used_bytes(void);
size_t walk_collected_span_bytes(void);

/* All cores stopped, everything swept: empties every core's cursor, clears nothing else. Mark bits
 * are all zero after it. */
void walk_cycle_begin(void);

/*
 * All cores stopped: what is not marked is garbage from here on, all spans are unswept, and
 * collected_bytes() is `live_bytes`, what the marker counted (whole objects).
 */
void walk_cycle_end(size_t live_bytes);

/*
 * Sweeps spans until `pages` pages were looked at; false when none are left unswept. Any
 * context; several cores may sweep at once. A span with nothing left goes back to the page heap.
 */
bool walk_sweep(size_t pages);

/*
 * Gives whole spans of garbage back to the page heap, before their turn to be swept, until `pages`
 * pages are; true when there was any. Any context; in all a look at every span's mark bits in a
 * cycle, and no sweep of those that are still in use.
 */
bool walk_reclaim(size_t pages);

/* Whether a span is left to sweep. A racy look: false may be old news by the time it is used. */
bool walk_is_unswept(void);

/* Sweeps all that is left. Any context; in a stop when it must be complete. */
void walk_sweep_all(void);

/*
 * Calls visit for each allocated collected object, in address order. The heap must not change:
 * all cores stopped, or only this one allocates and `visit` does not. Unswept spans are shown
 * as the last mark left them.
 */
void walk_each_object(void (*visit)(const struct walk_object *object, void *arg), void *arg);

/* The same for spans of any kind (state other than free). */
void walk_each_span(void (*visit)(struct bh_span *span, void *arg), void *arg);

/* The same as walk_each_object() for one span. */
void walk_each_object_of(struct bh_span *span,
                         void (*visit)(const struct walk_object *object, void *arg), void *arg);

/* What a stretch of a region's pages is used for. */
struct walk_run {
    struct bh_span *span; /* NULL: none, but free or the library's own pages */
    bool is_free;
    uintptr_t base;
    size_t pages;
    size_t unbacked_pages; /* free: of which without memory: handed back, or never touched */
    uintptr_t region_base; /* the region it lies in, with its metadata */
    size_t region_bytes;
};

/* Calls visit for every page of every region once, run by run, in address order within a region.
 * All cores stopped. */
void walk_each_run(void (*visit)(const struct walk_run *run, void *arg), void *arg);

/*
 * Manual objects, all cores stopped. One that is free but in a cache (a core's, or the transfer
 * cache of its class) is found like one that is handed out; walk_each_cached() tells which.
 */

/* Whether `word` points into a manual object, and which. Of a large one only the first page is
 * known. Any word is legal. */
bool walk_find_manual(uintptr_t word, struct walk_object *found);

/* Calls visit for each manual object, in address order within a region. */
void walk_each_manual(void (*visit)(const struct walk_object *object, void *arg), void *arg);

/* Calls visit for each object of a class (1 and up) that is in a cache. */
void walk_each_cached(unsigned size_class,
                      void (*visit)(void *object, unsigned size_class, void *arg), void *arg);

/* Whether a manual object begins at `address` that is handed out, as far as this build can tell: in
 * a plain one, those in caches seem to be. */
bool walk_is_manual(uintptr_t address);

/* Panics in the name of `call` unless it is one. Any context. */
void walk_check_manual(const char *call, void *object, uintptr_t caller);

/* The bytes that were asked for, as far as they are known, else the object's room; and who asked:
 * return addresses, innermost first, zeros behind the last. */
#define WALK_CALLS REDZONE_CALLS
size_t walk_manual_origin(const struct walk_object *object, uintptr_t *calls);

/* A collected request is answered with NULL: for the statistics. */
void walk_count_failure(void);

/* Memory for the collector itself (mark queue, tables): whole pages, not zeroed, NULL when out. */
void *walk_pages_alloc(size_t bytes);
void walk_pages_free(void *pages);

/*
 * Where an address is, in words: "byte 4 of object 3 (0x1230, 64 bytes) of the scan span
 * 0x1000, class 5". Returns the length as print_format() does.
 */
size_t walk_describe(uintptr_t address, char *buffer, size_t bytes);

/* The allocator's state that has addresses of pages in it, whole words: no root, though it lies in
 * the image's data. */
void walk_own_state(uintptr_t *lo, uintptr_t *hi);

/* The i-th region, its metadata included; false when there are no more. All cores stopped. */
bool walk_region(size_t i, uintptr_t *lo, uintptr_t *hi);

/* Bytes of all regions: what a minimum heap is scaled by. */
size_t walk_region_bytes(void);

/*
 * Called by the allocator when memory is out, with no lock held and interrupts on, before it gives
 * up caches and asks the port; true when something may have been freed. Set once by the
 * collector, at the first collected allocation.
 */
extern bool (*walk_collect_hook)(void);

/*
 * When more than walk_set_pressure() bytes would be in use (SIZE_MAX, the value at the start:
 * never), manual requests that need new memory call the hook first, with no lock held and
 * interrupts on.
 */
void walk_set_pressure(size_t bytes);
extern void (*walk_pressure_hook)(size_t bytes);

/*
 * The collector is there: bh_handle_signal() calls `stop`, with interrupts off, which stands still
 * if there is a stop; and other cores can be interrupted, so they are also asked for their caches
 * when memory is out.
 */
void walk_attach_stop(void (*stop)(uintptr_t interrupted_sp));

/*
 * For the collector's own slow path, after a collection did not help: gives back caches, asks the
 * port for pages. True when another try makes sense. `attempt` counts from 0.
 */
bool walk_make_room(size_t bytes, unsigned attempt);

/* ---- the inline part ---- */

/* What a run has in it is closed until it is handed out. NULL passes. */
BH_INLINE void *collected_hand_out(void *object, size_t bytes)
{
    if (BH_SANITIZE && object)
        poison_lift((uintptr_t)object, bytes);
    return object;
}

BH_INLINE bool collected_is_usual(enum bh_kind kind, size_t bytes)
{
    return bytes < SIZE_CLASS_FINE_MAX && (kind != KIND_NOSCAN || bytes >= COLLECTED_TINY_BYTES);
}

BH_INLINE void *collected_alloc_fast(enum bh_kind kind, size_t bytes)
{
    size_t size_class = size_class_fine[(bytes + 8) / 8]; /* a byte more, rounded up */
    return collected_hand_out(cursor_pop(cursor_row(kind), cursor_word(size_class)), bytes);
}

/* Relaxed: where its cursor is in every core's rows, those of this core too. 0 is a cursor that is
 * always used up. */
BH_INLINE void *collected_alloc_typed_fast(const struct bh_gc_type *type)
{
    uint32_t where = atomic_load_relaxed(&type->layout);
    return collected_hand_out(cursor_pop(where >> 16, where & 0xffff), type->bytes);
}

#endif
