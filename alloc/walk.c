/* SPDX-License-Identifier: MIT */
/* Walks over the heap, for the collector, the verifier and tests. See walk.h. */
#include "alloc/walk.h"
#include "alloc/collected.h"
#include "alloc/page_heap.h"
#include "alloc/poison.h"
#include "alloc/room.h"
#include "alloc/span.h"

void walk_each_span(void (*visit)(struct bh_span *span, void *arg), void *arg)
{
    for (size_t r = 0; r < page_heap.regions_count; r++) {
        struct bh_span *run = page_heap.regions[r].records;
        struct bh_span *end = run + page_heap.regions[r].pages;
        while (run < end) {
            uint32_t pages = run->pages; /* the visitor may free the span */
            if (span_is_span(run))
                visit(run, arg);
            run += pages;
        }
    }
}

struct object_visitor {
    void (*visit)(const struct walk_object *object, void *arg);
    void *arg;
};

/* The numbers of a span's objects that a cursor holds, and nobody else. */
struct reserved {
    uint32_t from;
    uint32_t to;
};

/* Objects of a word of the bitmaps: of an unswept span those that were marked. */
static uint64_t live_word(const struct bh_span *span, size_t w)
{
    uint64_t marked = bitmap_word(span_mark_bits(span), w);
    return span_is_unswept(span) ? marked : bitmap_word(span->bits, w) | marked;
}

static void visit_object(struct bh_span *span, uint32_t idx, const struct reserved *reserved,
                         const struct object_visitor *visitor)
{
    struct walk_object object = {.span = span, .base = span_object(span, idx), .idx = idx};
    if (idx < reserved->from || idx >= reserved->to)
        visitor->visit(&object, visitor->arg);
}

static void visit_objects(struct bh_span *span, void *arg)
{
    const struct object_visitor *visitor = arg;
    if (span->kind < KIND_FIRST_COLLECTED)
        return;
    struct reserved reserved;
    collected_reserved(span, &reserved.from, &reserved.to);
    for (size_t w = 0; w < bitmap_words(span->objs); w++) {
        for (uint64_t live = live_word(span, w); live != 0; live &= live - 1)
            visit_object(span, (uint32_t)(w * 64 + bits_lowest(live)), &reserved, visitor);
    }
}

void walk_each_object_of(struct bh_span *span,
                         void (*visit)(const struct walk_object *object, void *arg), void *arg)
{
    struct object_visitor visitor = {visit, arg};
    visit_objects(span, &visitor);
}

void walk_each_object(void (*visit)(const struct walk_object *object, void *arg), void *arg)
{
    struct object_visitor visitor = {visit, arg};
    walk_each_span(visit_objects, &visitor);
}

/* The pages from `lo` on, up to `pages` of them, that lie in [from, end). */
static size_t pages_within(uintptr_t lo, size_t pages, uintptr_t from, uintptr_t end)
{
    uintptr_t hi = lo + ((uintptr_t)pages << PAGE_SHIFT);
    lo = lo > from ? lo : from;
    hi = hi < end ? hi : end;
    return lo < hi ? (hi - lo) >> PAGE_SHIFT : 0;
}

/* Pages of a free run that have no memory behind them. */
static size_t unbacked_pages(const struct bh_span *run)
{
    size_t pages = page_heap.fresh_virgin ? pages_within(run->base, run->pages,
                                                         page_heap.fresh_from, page_heap.fresh_end)
                                          : 0;
    if (!(run->flags & RUN_MARKED))
        return pages;
    const uint8_t *class_of =
        pagemap_current->class_of + ((run->base >> PAGE_SHIFT) - pagemap_current->first_page);
    for (size_t i = 0; i < run->pages; i++)
        pages += class_of[i] == PAGE_RELEASED;
    return pages;
}

void walk_each_run(void (*visit)(const struct walk_run *run, void *arg), void *arg)
{
    for (size_t r = 0; r < page_heap.regions_count; r++) {
        const struct page_region *region = &page_heap.regions[r];
        struct bh_span *end = region->records + region->pages;
        for (struct bh_span *run = region->records; run < end; run += run->pages) {
            bool is_free = span_is_free_run(run);
            struct walk_run it = {
                .span = span_is_span(run) ? run : NULL,
                .is_free = is_free,
                .base = run->base,
                .pages = run->pages,
                .unbacked_pages = is_free ? unbacked_pages(run) : 0,
                .region_base = region->base,
                .region_bytes = region->bytes,
            };
            visit(&it, arg);
        }
    }
}

size_t walk_used_bytes(void)
{
    return page_heap_used_bytes();
}

size_t walk_collected_span_bytes(void)
{
    return atomic_load_relaxed(&room_collected_count.span_pages) << PAGE_SHIFT; /* a figure */
}

void *walk_pages_alloc(size_t bytes)
{
    struct bh_span *run = page_heap_alloc((bytes + PAGE_BYTES - 1) >> PAGE_SHIFT, 1);
    if (!run)
        return NULL;
    poison_lift(run->base, (size_t)run->pages << PAGE_SHIFT);
    return (void *)run->base; /* NOLINT: an address becomes memory */
}

void walk_pages_free(void *pages)
{
    struct bh_span *run = page_heap_run_at((uintptr_t)pages);
    BH_CHECK(run && run->state == SPAN_PRIVATE && run->base == (uintptr_t)pages,
             "walk_pages_free(%p): not pages from walk_pages_alloc()", pages);
    page_heap_free(run);
}

void walk_own_state(uintptr_t *lo, uintptr_t *hi)
{
    *lo = (uintptr_t)&page_heap;
    *hi = (uintptr_t)(&page_heap + 1);
}

bool walk_region(size_t i, uintptr_t *lo, uintptr_t *hi)
{
    if (i >= page_heap.regions_count)
        return false;
    *lo = page_heap.regions[i].base;
    *hi = *lo + page_heap.regions[i].bytes;
    return true;
}

size_t walk_region_bytes(void)
{
    return atomic_load_relaxed(&page_heap.region_bytes); /* a figure to scale by */
}
