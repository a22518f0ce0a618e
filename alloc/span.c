/* SPDX-License-Identifier: MIT */
/* Spans. See span.h. */
#include "alloc/span.h"
#include "alloc/meta.h"
#include "alloc/page_heap.h"
#include "alloc/redzone.h"

static size_t bitmap_bytes(const struct bh_span *span)
{
    return bitmap_words(span->objs) * sizeof(uint64_t);
}

static bool has_mark_bits(const struct bh_span *span)
{
    return span->kind >= KIND_FIRST_COLLECTED;
}

static BH_COLD bool alloc_bitmaps(struct bh_span *span)
{
    span->bits = meta_alloc(bitmap_bytes(span));
    span->mark_bits = has_mark_bits(span) ? meta_alloc(bitmap_bytes(span)) : NULL;
    return span->bits && (span->mark_bits || !has_mark_bits(span));
}

static BH_COLD void free_bitmaps(struct bh_span *span)
{
    meta_free(span->bits, bitmap_bytes(span));
    meta_free(span->mark_bits, bitmap_bytes(span));
    span->bits = NULL;
    span->mark_bits = NULL;
}

static BH_COLD struct bh_span *span_new(size_t pages, size_t align_pages, enum bh_kind kind)
{
    struct bh_span *span = page_heap_alloc(pages, align_pages);
    if (!span)
        return NULL;
    span->kind = (uint8_t)kind;
    span->next_idx = 0;
    span->sweep_cycle = 0;
    list_init(&span->link);
    return span;
}

static BH_COLD struct bh_span *finish_or_undo(struct bh_span *span)
{
    if (alloc_bitmaps(span))
        return span;
    free_bitmaps(span);
    page_heap_free(span);
    return NULL;
}

struct bh_span *span_new_small(unsigned size_class, enum bh_kind kind)
{
    const struct size_class *info = &size_classes[size_class];
    struct bh_span *span = span_new(info->pages, 1, kind);
    if (!span)
        return NULL;
    span->size_class = (uint8_t)size_class;
    span->object_bytes = info->object_bytes;
    span->reciprocal = info->reciprocal;
    span->objs = info->objs;
    span->free_objs = info->objs;
    if (!finish_or_undo(span))
        return NULL;
    if (kind == KIND_MANUAL) {
        bitmap_set_range(span->bits, 0, span->objs);
        redzone_prepare(span);
    }
    return span;
}

struct bh_span *span_new_large(size_t pages, size_t align_pages, enum bh_kind kind)
{
    struct bh_span *span = span_new(pages, align_pages, kind);
    if (!span)
        return NULL;
    span->size_class = 0;
    span->object_bytes = pages << PAGE_SHIFT;
    span->reciprocal = 0;
    span->objs = 1;
    span->free_objs = 0;
    span->bits = NULL;
    span->mark_bits = NULL;
    if (kind != KIND_MANUAL)
        return finish_or_undo(span);
    return span;
}

void span_free(struct bh_span *span)
{
    free_bitmaps(span);
    page_heap_free(span);
}

size_t span_take(struct bh_span *span, void **objects, size_t want)
{
    size_t taken = 0;
    size_t idx = span->next_idx;
    while (taken < want) {
        idx = bitmap_next_set(span->bits, span->objs, idx);
        if (idx == span->objs)
            break;
        bitmap_clear(span->bits, idx);
        objects[taken++] = (void *)span_object(span, (uint32_t)idx); /* NOLINT: memory */
    }
    span->next_idx = (uint32_t)idx;
    span->free_objs -= (uint32_t)taken;
    BH_ASSERT_SLOW(span->free_objs == bitmap_count(span->bits, span->objs));
    return taken;
}

enum span_crime span_put(struct bh_span *span, uintptr_t object)
{
    uint32_t idx = span_idx(span, object);
    if (!span_is_object(span, object))
        return SPAN_INTERIOR;
    if (bitmap_test(span->bits, idx))
        return SPAN_TWICE;
    bitmap_set(span->bits, idx);
    if (idx < span->next_idx)
        span->next_idx = idx;
    span->free_objs++;
    BH_ASSERT_SLOW(span->free_objs == bitmap_count(span->bits, span->objs));
    return SPAN_OK;
}
