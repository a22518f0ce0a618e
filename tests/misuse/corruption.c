/* SPDX-License-Identifier: MIT */
/*
 * Broken metadata: bh_heap_verify() names the invariant by its tag and the place. Each case breaks
 * one thing in a heap that is all right.
 */
#include "alloc/cache.h"
#include "alloc/central.h"
#include "alloc/collected.h"
#include "alloc/page_heap.h"
#include "alloc/redzone.h"
#include "alloc/span.h"
#include "tests/harness/harness.h"
#include <bareheap/bareheap.h>

#define SPAN "span 0x*, class *"

/* A small object's span; its class has another object out, and free ones. */
static struct bh_span *small_span(void)
{
    harness_heap();
    EXPECT(bh_malloc(500) != NULL);
    return pagemap_span((uintptr_t)bh_malloc(500));
}

static struct bh_span *large_span(void)
{
    harness_heap();
    return pagemap_span((uintptr_t)bh_malloc(100000));
}

static struct bh_span *collected_span(void)
{
    harness_heap();
    return pagemap_span((uintptr_t)bh_gc_alloc(500));
}

/* The page map's class byte of a span's first page. */
static uint8_t *class_byte_of(const struct bh_span *span)
{
    return &pagemap_current->class_of[(span->base >> PAGE_SHIFT) - pagemap_current->first_page];
}

static struct bh_span **map_entry_of(const struct bh_span *span)
{
    return &pagemap_current->span_of[(span->base >> PAGE_SHIFT) - pagemap_current->first_page];
}

/* A free run of two pages at least. */
static struct bh_span *free_run(void)
{
    struct bh_span *run = page_heap.regions[0].records;
    while (run->state != SPAN_FREE || run->pages < 2)
        run += run->pages;
    return run;
}

/* ---- runs and the page map ---- */

TEST_PANICS(corruption_of_a_run, "[ALLOC-1] runs do not tile the region 0x*: page 0x*")
{
    struct bh_span *span = large_span();
    (span + span->pages)->base += PAGE_BYTES;
    bh_heap_verify();
}

TEST_PANICS(corruption_two_free_runs_in_a_row, "[ALLOC-2] free run 0x* follows another one")
{
    large_span();
    struct bh_span *run = free_run();
    run[1] = *run;
    run[1].base += PAGE_BYTES;
    run[1].pages--;
    run->pages = 1;
    bh_heap_verify();
}

TEST_PANICS(corruption_a_run_in_the_tree_that_is_taken,
            "[ALLOC-2] run in the trees is not free: 0x*")
{
    large_span();
    span_set_state(free_run(), SPAN_PRIVATE);
    bh_heap_verify();
}

TEST_PANICS(corruption_of_the_count_of_free_pages, "[ALLOC-2] free pages: found *, but * counted")
{
    large_span();
    page_heap.free_pages++;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_a_class_byte, "[ALLOC-3] wrong class byte: " SPAN)
{
    *class_byte_of(small_span()) = 1;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_a_map_entry, "[ALLOC-3] wrong span in the page map: " SPAN)
{
    (*map_entry_of(small_span()))--;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_a_length, "[ALLOC-4] record does not fit its class: " SPAN)
{
    large_span()->object_bytes++;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_a_geometry, "[ALLOC-4] record does not fit its class: " SPAN)
{
    small_span()->reciprocal++;
    bh_heap_verify();
}

/* ---- manual objects ---- */

TEST_PANICS(corruption_of_a_bitmap, "[ALLOC-5] free_objs is not the bits set: " SPAN)
{
    small_span()->free_objs++;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_a_state, "[ALLOC-5] listed, but full, or not listed: " SPAN)
{
    struct bh_span *span = small_span();
    bool listed = span->state == SPAN_LISTED;
    span_set_state(span, listed ? SPAN_IN_USE : SPAN_LISTED);
    bh_heap_verify();
}

#if !REDZONE && !BH_HARDEN

/* What a plain build can know of a second free before the pointers go home. */
TEST_PANICS(corruption_an_object_cached_twice, "[ALLOC-6] object 0x* is free in two places")
{
    harness_heap();
    void *objects[8];
    for (size_t i = 0; i < 8; i++)
        objects[i] = bh_malloc(64);
    for (size_t i = 0; i < 8; i++)
        bh_free(objects[i]);
    bh_free(objects[0]);
    bh_heap_verify();
}

TEST_PANICS(corruption_a_cached_pointer_inside_an_object,
            "[ALLOC-6] cached pointer 0x* is no object")
{
    harness_heap();
    char *object = bh_malloc(64);
    bh_free(object + 8);
    bh_heap_verify();
}

#endif

TEST_PANICS(corruption_a_cached_object_of_another_class,
            "[ALLOC-6] cached object 0x* is of class *, not *")
{
    harness_heap();
    char *small = bh_malloc(64);
    void *other = bh_malloc(2000);
    bh_free(small);
    struct core_cache *cache = core_caches[bh_port_core()];
    *cache->bins.top[*class_byte_of(pagemap_span((uintptr_t)small))] = other;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_a_transfer_cache, "[ALLOC-6] transfer cache of class * is over full")
{
    centrals[small_span()->size_class].transfer_count = UINT16_MAX;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_a_class_count,
            "[ALLOC-7] class *: * objects are outside spans, but * counted")
{
    centrals[small_span()->size_class].out_objs++;
    bh_heap_verify();
}

/* ---- collected objects ---- */

TEST_PANICS(corruption_bits_behind_the_last_object, "[ALLOC-8] bits past the last object: " SPAN)
{
    struct bh_span *span = collected_span();
    REQUIRE(span->objs % 64 != 0);
    span->bits[span->objs / 64] |= (uint64_t)1 << 63;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_mark_bits, "[ALLOC-8] marks left from a cycle that is over: " SPAN)
{
    span_mark_bits(collected_span())[0] |= 1;
    bh_heap_verify();
}

/* An object of a full span, and one of its own: listed. */
TEST_PANICS(corruption_of_a_collected_count, "[ALLOC-8] free_objs is not the bits clear: " SPAN)
{
    harness_heap();
    pagemap_span((uintptr_t)bh_gc_alloc(100000))->free_objs++;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_a_list, "[ALLOC-10] in the wrong list: " SPAN)
{
    harness_heap();
    struct bh_span *span = pagemap_span((uintptr_t)bh_gc_alloc(100000));
    list_remove(&span->link);
    list_push(&collected_central_of(span)->partial, &span->link);
    bh_heap_verify();
}

TEST_PANICS(corruption_a_span_in_the_list_of_another_class,
            "[ALLOC-10] in a list that it is not of: " SPAN)
{
    harness_heap();
    struct bh_span *span = pagemap_span((uintptr_t)bh_gc_alloc(100000));
    list_remove(&span->link);
    list_push(&collected_centrals[0][1].full, &span->link);
    bh_heap_verify();
}

TEST_PANICS(corruption_of_a_count_of_spans,
            "[ALLOC-10] collected kind *, class *: * spans, * listed, * counted")
{
    collected_central_of(collected_span())->span_count++;
    bh_heap_verify();
}

TEST_PANICS(corruption_of_the_count_of_unswept_spans, "[ALLOC-10] * spans unswept, but * counted")
{
    collected_span();
    sweep_left++;
    bh_heap_verify();
}
