/* SPDX-License-Identifier: MIT */
/*
 * Spans: a run of pages with the objects of one size class, or one large object.
 *
 * 1. span_new_small() and span_new_large() take pages and, for small objects, bitmap cells, and
 *    fill in the record. Nobody can find the span yet.
 * 2. page_heap_publish() enters it in the page map; from then on its addresses mean it.
 * 3. span_take() and span_put() move manual objects between the span's bitmap and the tiers
 *    above, under the central's lock. Bits of neighbours are changed together, for programs free in
 *    the order of births, or against it. The search begins at the first word: 16 are the most.
 * 4. span_free() gives cells and pages back. No object of it may be in use.
 *
 * Not here: which span an object comes from (central.h), free runs of pages (page_heap.h).
 */
#ifndef ALLOC_SPAN_H
#define ALLOC_SPAN_H

#include "alloc/types.h"
#include "arch/arch.h"
#include "kernel-lib/bitmap.h"

/*
 * A span for objects of a class that has `spans` already, as far as the caller knows: the first few
 * are short, so that a class of which there are few objects wastes little, the others as long as
 * fits best (tools/gen-size-classes), or short too where memory is in small pieces. NULL when
 * memory is out. `kind` is any. Not published.
 */
struct bh_span *span_new_small(unsigned size_class, enum bh_kind kind, size_t spans);

/* One object of `pages` pages at a multiple of align_pages. Not published. */
struct bh_span *span_new_large(size_t pages, size_t align_pages, enum bh_kind kind);

/* Makes a large span without bitmaps of a run that the page heap gave. Not published. */
void span_make_large(struct bh_span *run, enum bh_kind kind);

/* Out of the page map, into the page heap. Interrupts off: a stop must not find it half freed. */
void span_free(struct bh_span *span);

/*
 * Up to `want` objects out of a manual span into the slots below `end`, downwards: lowest object
 * first, but those that fill whole cache lines before the others. So who pops them from the end, as
 * the core cache does, walks memory upwards. Returns how many. The central's lock is held.
 */
size_t span_take(struct bh_span *span, void **end, size_t want);

/* So many objects of a small class, from one whose number is a multiple of it, fill whole cache
 * lines: 2, 4 or 8. 1: larger objects, of which two share a line at most. */
static inline size_t span_line_objs(size_t object_bytes)
{
    size_t factor = object_bytes & -object_bytes; /* the largest power of two in it */
    return object_bytes < ARCH_CACHE_LINE ? ARCH_CACHE_LINE / factor : 1;
}

/* Whether a run's head is that of a span, and not of free or private pages. */
static inline bool span_is_span(const struct bh_span *run)
{
    return run->state == SPAN_IN_USE || run->state == SPAN_LISTED || run->state == SPAN_CACHED;
}

/* What the page map says of its pages. */
static inline uint8_t span_class_byte(const struct bh_span *span)
{
    if (span->kind != KIND_MANUAL)
        return PAGE_COLLECTED;
    return span->size_class ? span->size_class : PAGE_MANUAL_LARGE;
}

/* The number of the object that `address`, in the span's pages, lies in; >= objs in the tail. */
static inline uint32_t span_idx(const struct bh_span *span, uintptr_t address)
{
    return (uint32_t)(((address - span->base) * span->reciprocal) >> 32);
}

static inline uintptr_t span_object(const struct bh_span *span, uint32_t idx)
{
    return span->base + (uintptr_t)idx * span->object_bytes;
}

/* Whether `address` is the first byte of an object's room. */
static inline bool span_is_object(const struct bh_span *span, uintptr_t address)
{
    uint32_t idx = span_idx(span, address);
    return idx < span->objs && span_object(span, idx) == address;
}

/* span_bits() of a span that is known to be manual. */
static inline uint64_t *span_free_bits(struct bh_span *span)
{
    return span_manual_has_own_bits(span) ? &span->own_bits : span->bits;
}

/* span_put() where the second object may be a neighbour of the first, which is number idx. */
size_t span_put_run(struct bh_span *span, void *const *objects, size_t most, size_t idx);

/*
 * Puts manual objects back: of `most`, the first, which is in one of the span's pages, and those
 * that follow it if they are its neighbours, one by one. Returns how many; 0: the first is no
 * object, or it is home already. free_objs is the caller's to change. Inline: this is what a batch
 * that comes home holds the central's lock for.
 */
BH_INLINE size_t span_put(struct bh_span *span, void *const *objects, size_t most)
{
    const uintptr_t first = (uintptr_t)objects[0];
    const uintptr_t object_bytes = span->object_bytes;
    uintptr_t offset = first - span->base;
    uint64_t idx = (offset * span->reciprocal) >> 32;
    if (BH_UNLIKELY(idx * object_bytes != offset || idx >= span->objs))
        return 0;
    if (most > 1 && (uintptr_t)objects[1] - first + object_bytes <= 2 * object_bytes)
        return span_put_run(span, objects, most, idx);
    uint64_t *word = &span_free_bits(span)[idx / 64];
    uint64_t bit = (uint64_t)1 << idx % 64;
    uint64_t old = *word;
    if (BH_UNLIKELY(old & bit)) /* a branch, which is foreseen: a number would be waited for */
        return 0;
    *word = old | bit;
    return 1;
}

#endif
