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
#include "kernel-lib/bitmap.h"

/* NULL when memory is out. `kind` is any. Not published. */
struct bh_span *span_new_small(unsigned size_class, enum bh_kind kind);

/* One object of `pages` pages at a multiple of align_pages. Not published. */
struct bh_span *span_new_large(size_t pages, size_t align_pages, enum bh_kind kind);

void span_free(struct bh_span *span);

/* Up to `want` objects out of a manual span; returns how many. The central's lock is held. */
size_t span_take(struct bh_span *span, void **objects, size_t want);

/* What span_put() can find wrong with a pointer. */
enum span_crime { SPAN_OK, SPAN_INTERIOR, SPAN_TWICE };

/* Puts a manual object of this span back. The central's lock is held. */
enum span_crime span_put(struct bh_span *span, uintptr_t object);

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

#endif
