/* SPDX-License-Identifier: MIT */
/* Spans. See span.h. */
#include "alloc/span.h"
#include "alloc/harden.h"
#include "alloc/meta.h"
#include "alloc/page_heap.h"
#include "alloc/redzone.h"
#include "alloc/room.h"
#include "arch/arch.h"
#include "kernel-lib/check.h"

static size_t bitmap_bytes(const struct bh_span *span)
{
    return bitmap_words(span->objs) * sizeof(uint64_t);
}

static bool has_mark_bits(const struct bh_span *span)
{
    return span->kind >= KIND_FIRST_COLLECTED;
}

/* Collected spans have two bitmaps in one cell, in halves of a power of two. */
static size_t cell_bytes(const struct bh_span *span)
{
    return has_mark_bits(span) ? (size_t)2 << span->mark_shift : bitmap_bytes(span);
}

static BH_COLD bool alloc_bitmaps(struct bh_span *span)
{
    span->mark_shift = has_mark_bits(span) ? (uint8_t)bits_log2(2 * bitmap_bytes(span) - 1) : 0;
    span->bits = NULL;
    if (span_has_own_bits(span))
        return true;
    span->bits = meta_alloc(cell_bytes(span));
    if (has_mark_bits(span))
        return span->bits;
    bool states = harden_begin(span);
    return span->bits && states;
}

static BH_COLD void free_bitmaps(struct bh_span *span)
{
    if (span_has_own_bits(span))
        return;
    if (!has_mark_bits(span))
        harden_end(span);
    meta_free(span_cell(span), cell_bytes(span));
    span->bits = NULL;
}

static void span_begin(struct bh_span *span, enum bh_kind kind)
{
    span->kind = (uint8_t)kind;
    span->next_idx = 0;
    span->sweep_cycle = 0;
    list_init(&span->link);
}

static BH_COLD struct bh_span *span_new(size_t pages, size_t align_pages, enum bh_kind kind)
{
    struct bh_span *span = page_heap_alloc(pages, align_pages);
    if (span)
        span_begin(span, kind);
    return span;
}

/* A figure. */
static void count_collected(const struct bh_span *span)
{
    if (has_mark_bits(span))
        atomic_add_relaxed(&room_collected_count.span_pages, span->pages);
}

static BH_COLD struct bh_span *finish_or_undo(struct bh_span *span)
{
    if (alloc_bitmaps(span)) {
        count_collected(span);
        return span;
    }
    free_bitmaps(span);
    page_heap_free(span);
    return NULL;
}

/* Objects that fit into a span that is not published yet: a division by the reciprocal. */
static uint16_t objs_that_fit(const struct bh_span *span)
{
    return (uint16_t)span_idx(span, span->base + ((uintptr_t)span->pages << PAGE_SHIFT));
}

struct bh_span *span_new_small(unsigned size_class, enum bh_kind kind, size_t spans)
{
    const struct size_class *info = &size_classes[size_class];
    struct bh_span *span = NULL;
    if (spans >= info->short_spans)
        span = span_new(info->pages, 1, kind);
    if (!span && info->short_spans > 0) /* or a long one is not to be had */
        span = span_new(info->short_pages, 1, kind);
    if (!span)
        return NULL;
    span->size_class = (uint8_t)size_class;
    span->object_bytes = info->object_bytes;
    span->reciprocal = info->reciprocal;
    span->objs = objs_that_fit(span);
    span->free_objs = span->objs;
    if (!finish_or_undo(span))
        return NULL;
    if (kind == KIND_MANUAL) {
        bitmap_set_range(span_bits(span), 0, span->objs);
        redzone_prepare(span);
    }
    return span;
}

void span_make_large(struct bh_span *run, enum bh_kind kind)
{
    span_begin(run, kind);
    run->size_class = 0;
    run->object_bytes = 0;
    run->reciprocal = 0;
    run->objs = 1;
    run->free_objs = 0;
    run->bits = NULL;
    run->mark_shift = 0;
}

struct bh_span *span_new_large(size_t pages, size_t align_pages, enum bh_kind kind)
{
    struct bh_span *span = page_heap_alloc(pages, align_pages);
    if (!span)
        return NULL;
    span_make_large(span, kind);
    if (kind != KIND_MANUAL)
        return finish_or_undo(span);
    return span;
}

void span_free(struct bh_span *span)
{
    BH_ASSERT(!arch_irq_enabled());
    if (has_mark_bits(span))
        atomic_sub_relaxed(&room_collected_count.span_pages, span->pages); /* a figure */
    free_bitmaps(span);
    page_heap_free(span);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* n bits from bit `lowest` on; n is 1 to 64 - lowest. */
static uint64_t mask_of(size_t n, size_t lowest)
{
    return ~(uint64_t)0 >> ((64 - n) % 64) << lowest; /* % 64: what the instruction does anyway */
}

/* ---- back ---- */

/* Of `most` objects, how many lie `step` bytes one behind the other. */
static size_t run_length(void *const *objects, size_t most, uintptr_t step)
{
    uintptr_t next = (uintptr_t)objects[0] + step;
    size_t n = 1;
    for (; n < most && (uintptr_t)objects[n] == next; n++)
        next += step;
    return n;
}

/* A run ends with its word. One in which something is home already goes back one by one. */
size_t span_put_run(struct bh_span *span, void *const *objects, size_t most, size_t idx)
{
    const uintptr_t object_bytes = span->object_bytes;
    uintptr_t step = (uintptr_t)objects[1] - (uintptr_t)objects[0];
    uint64_t *word = &span_free_bits(span)[idx / 64];
    size_t lowest = idx % 64;
    size_t n = 1;
    if (step == object_bytes) {
        n = run_length(objects, least(most, least(64 - lowest, span->objs - idx)), step);
    } else if (step == -object_bytes) {
        n = run_length(objects, least(most, lowest + 1), step);
        lowest -= n - 1;
    }
    if (BH_UNLIKELY(*word & mask_of(n, lowest))) {
        n = 1;
        lowest = idx % 64;
    }
    if (BH_UNLIKELY(*word & mask_of(n, lowest)))
        return 0;
    *word |= mask_of(n, lowest);
    return n;
}

/* ---- out ---- */

/* The objects of one run of set bits, lowest first, as many as are wanted: clears their bits. */
static size_t take_run(struct bh_span *span, size_t w, uint64_t run, void **end, size_t want)
{
    const uintptr_t object_bytes = span->object_bytes;
    unsigned lowest = bits_lowest(run);
    size_t n = least(want, bits_log2(run) + 1 - lowest);
    uintptr_t object = span_object(span, (uint32_t)(w * 64 + lowest));
    for (size_t i = 1; i <= n; i++, object += object_bytes)
        end[-(ptrdiff_t)i] = (void *)object; /* NOLINT: an address becomes memory */
    span_free_bits(span)[w] &= ~mask_of(n, lowest);
    return n;
}

/* The objects whose bits are set in word w of the bitmap, likewise. */
static size_t take_bits(struct bh_span *span, size_t w, uint64_t set, void **end, size_t want)
{
    const uintptr_t object_bytes = span->object_bytes;
    uintptr_t first = span_object(span, (uint32_t)(w * 64));
    uint64_t left = set;
    void **slot = end;
    for (; left && want > 0; left &= left - 1, want--)
        *--slot = (void *)(first + bits_lowest(left) * object_bytes); /* NOLINT: as above */
    span_free_bits(span)[w] &= ~(set ^ left);
    return (size_t)(end - slot);
}

static bool is_run(uint64_t set)
{
    uint64_t lowest = set & -set;
    return set && !(set & (set + lowest));
}

static size_t take_word(struct bh_span *span, size_t w, uint64_t set, void **end, size_t want)
{
    return is_run(set) ? take_run(span, w, set, end, want) : take_bits(span, w, set, end, want);
}

/* The bits of `word` in groups of n, at multiples of n, of which all are set; n is 2, 4 or 8. */
static uint64_t full_groups(uint64_t word, size_t n)
{
    uint64_t ones = ((uint64_t)1 << n) - 1;
    for (size_t step = 1; step < n; step *= 2)
        word &= word >> step;
    return (word & (~(uint64_t)0 / ones)) * ones;
}

/*
 * Takes objects that fill whole cache lines, as many as there are and go into `want`: two cores
 * that take their objects one after the other get no neighbours in a line. Not where all objects
 * are wanted anyway.
 */
static size_t take_lines(struct bh_span *span, void **end, size_t want)
{
    const uint64_t *bits = span_free_bits(span);
    size_t n = span_line_objs(span->object_bytes);
    size_t taken = 0;
    want -= want % n;
    if (n == 1 || want >= span->free_objs)
        return 0;
    for (size_t w = 0; taken < want && w < bitmap_words(span->objs); w++) {
        uint64_t full = full_groups(bitmap_word(bits, w), n);
        taken += take_word(span, w, full, end - taken, want - taken);
    }
    return taken;
}

size_t span_take(struct bh_span *span, void **end, size_t want)
{
    const uint64_t *bits = span_free_bits(span);
    size_t taken = take_lines(span, end, want);
    want = least(want, span->free_objs);
    for (size_t w = 0; taken < want; w++)
        taken += take_word(span, w, bitmap_word(bits, w), end - taken, want - taken);
    span->free_objs = (uint16_t)(span->free_objs - taken);
    BH_ASSERT_SLOW(span->free_objs == bitmap_count(bits, span->objs));
    return taken;
}
