/* SPDX-License-Identifier: MIT */
/*
 * Spans: a run of pages with the objects of one size class, or one large object.
 *
 * 1. span_new_small() and span_new_large() take pages and, for small objects, bitmap cells, and
 *    fill in the record. Nobody can find the span yet.
 * 2. page_heap_publish() enters it in the page map; from then on its addresses mean it.
 * 3. span_take() and span_put() move manual objects between the span's bitmap and the tiers
 *    above, under the central's lock.
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

void span_free(struct bh_span *span);

/*
 * Up to `want` objects out of a manual span, lowest first, but those that fill whole cache lines
 * before the others; returns how many. The central's lock is held.
 */
size_t span_take(struct bh_span *span, void **objects, size_t want);

/* So many objects of a small class, from one whose number is a multiple of it, fill whole cache
 * lines: 2, 4 or 8. 1: larger objects, of which two share a line at most. */
static inline size_t span_line_objs(size_t object_bytes)
{
    size_t factor = object_bytes & -object_bytes; /* the largest power of two in it */
    return object_bytes < ARCH_CACHE_LINE ? ARCH_CACHE_LINE / factor : 1;
}

/* What span_put() can find wrong with a pointer. */
enum span_crime { SPAN_OK, SPAN_INTERIOR, SPAN_TWICE };

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

/*
 * Puts manual objects back: the first, which is in one of the span's pages, and those after it that
 * are objects of the same span. Returns where it stopped: at another span's, at `end`, or, having
 * said so, at a crime. Inline: this is what a batch that comes home holds the central's lock for.
 */
BH_INLINE void **span_put(struct bh_span *span, void **first, void **end, enum span_crime *crime)
{
    uint64_t *bits = span_bits(span);
    const uintptr_t base = span->base;
    const uintptr_t bytes = (uintptr_t)span->objs * span->object_bytes;
    uintptr_t offset = (uintptr_t)*first - base;
    void **object = first;
    do {
        uint64_t idx = (offset * span->reciprocal) >> 32;
        uint64_t bit = (uint64_t)1 << idx % 64;
        if (BH_UNLIKELY(idx * span->object_bytes != offset || offset >= bytes)) {
            *crime = SPAN_INTERIOR;
            break;
        }
        uint64_t word = bits[idx / 64];
        if (BH_UNLIKELY(word & bit)) {
            *crime = SPAN_TWICE;
            break;
        }
        bits[idx / 64] = word | bit;
        if (idx < span->next_idx)
            span->next_idx = (uint16_t)idx;
        if (++object == end)
            break;
        offset = (uintptr_t)*object - base;
    } while (offset < bytes);
    span->free_objs = (uint16_t)(span->free_objs + (object - first));
    BH_ASSERT_SLOW(span->free_objs == bitmap_count(bits, span->objs));
    return object;
}

#endif
