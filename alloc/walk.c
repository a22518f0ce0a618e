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

static void visit_objects(struct bh_span *span, void *arg)
{
    const struct object_visitor *visitor = arg;
    if (span->kind < KIND_FIRST_COLLECTED)
        return;
    const uint64_t *live = span_is_unswept(span) ? span_mark_bits(span) : span->bits;
    uint32_t reserved_from;
    uint32_t reserved_to;
    collected_reserved(span, &reserved_from, &reserved_to);
    for (size_t i = 0; (i = bitmap_next_set(live, span->objs, i)) < span->objs; i++) {
        uint32_t idx = (uint32_t)i;
        if (idx >= reserved_from && idx < reserved_to)
            continue;
        struct walk_object object = {.span = span, .base = span_object(span, idx), .idx = idx};
        visitor->visit(&object, visitor->arg);
    }
}

void walk_each_object(void (*visit)(const struct walk_object *object, void *arg), void *arg)
{
    struct object_visitor visitor = {visit, arg};
    walk_each_span(visit_objects, &visitor);
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

size_t walk_region_bytes(void)
{
    return atomic_load_relaxed(&page_heap.region_bytes); /* a figure to scale by */
}
