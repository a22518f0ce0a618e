/* SPDX-License-Identifier: MIT */
/*
 * The part of bh_heap_verify() that is about collected spans: bitmaps and counts of each, and that
 * each is in the list where it belongs. Linked only into kernels that collect (room.h). As there:
 * no lock, no memory, and the other cores must not allocate.
 */
#include "alloc/collected.h"
#include "alloc/span.h"
#include "alloc/walk.h"

#define CHECK_SPAN(span, cond, text)                                    \
    BH_CHECK(cond, text ": span 0x%zx, class %u", (size_t)(span)->base, \
             (unsigned)(span)->size_class)

static BH_COLD void check_bits(const struct bh_span *span)
{
    size_t allocated = bitmap_count(span->bits, span->objs);
    bool unswept = span_is_unswept(span);
    if (span->state == SPAN_LISTED && !unswept)
        CHECK_SPAN(span, allocated + span->free_objs == span->objs,
                   "[ALLOC-8] free_objs is not the bits clear");
    size_t all_bits = bitmap_words(span->objs) * 64;
    CHECK_SPAN(span, bitmap_next_set(span->bits, all_bits, span->objs) == all_bits,
               "[ALLOC-8] bits past the last object");
    CHECK_SPAN(span, unswept || bitmap_count(span_mark_bits(span), span->objs) == 0,
               "[ALLOC-8] marks left from a cycle that is over");
    CHECK_SPAN(span, !(span->flags & (RUN_QUEUED | RUN_MANY)),
               "[ALLOC-8] queued for marking, and nobody marks");
}

static BH_COLD void check_span(struct bh_span *span, void *arg)
{
    (void)arg;
    if (span->kind < KIND_FIRST_COLLECTED)
        return;
    check_bits(span);
    struct collected_central *central = collected_central_of(span);
    central->found++;
    central->found_cached += span->state == SPAN_CACHED;
}

static BH_COLD const struct list *home_of(const struct collected_central *central,
                                          const struct bh_span *span)
{
    if (span_is_unswept(span))
        return &central->unswept;
    return span->free_objs ? &central->partial : &central->full;
}

/* The spans of a list, each of which must belong there. */
static BH_COLD size_t check_list(const struct collected_central *central, const struct list *head)
{
    size_t spans = 0;
    list_for_each (node, head) {
        const struct bh_span *span = container_of(node, struct bh_span, link);
        CHECK_SPAN(span, span->state == SPAN_LISTED && collected_central_of(span) == central,
                   "[ALLOC-10] in a list that it is not of");
        CHECK_SPAN(span, home_of(central, span) == head, "[ALLOC-10] in the wrong list");
        spans++;
    }
    return spans;
}

/* Returns the spans left to sweep. */
static BH_COLD size_t check_central(const struct collected_central *central)
{
    size_t unswept = check_list(central, &central->unswept);
    size_t listed =
        unswept + check_list(central, &central->partial) + check_list(central, &central->full);
    BH_CHECK(central->found == central->span_count &&
                 listed + central->found_cached == central->found &&
                 unswept == central->unswept_count && central->unseen_count <= unswept,
             "[ALLOC-10] collected kind %u, class %u: %u spans, %zu listed, %zu counted",
             central->kind, central->size_class, central->found, listed, central->span_count);
    return unswept;
}

BH_COLD void collected_verify(void)
{
    size_t unswept = 0;
    for_each_central(central) central->found = central->found_cached = 0;
    walk_each_span(check_span, NULL);
    for_each_central(central) unswept += check_central(central);
    BH_CHECK(unswept == sweep_left, "[ALLOC-10] %zu spans unswept, but %zu counted", unswept,
             sweep_left);
}
