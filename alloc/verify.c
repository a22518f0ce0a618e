/* SPDX-License-Identifier: MIT */
/*
 * bh_heap_verify(): every invariant of the allocator, by the tag it has in alloc/README.md.
 *
 * 1. Each region is walked run by run: the runs tile it, and the page map agrees.
 * 2. Each span's own equations are checked, and what it has handed out is added up by class.
 * 3. The trees of free runs, the bins and the transfer caches are walked; objects in them borrow
 *    their span's bit meanwhile, so that one that is there twice is found without any memory.
 * 4. The sums must agree with the counters.
 *
 * Collected spans: verify_collected.c. Takes no lock: the other cores must not allocate. Allocates
 * nothing.
 */
#include "alloc/central.h"
#include "alloc/harden.h"
#include "alloc/page_heap.h"
#include "alloc/room.h"
#include "alloc/span.h"
#include "alloc/walk.h"

/* What one walk adds up. */
struct sums {
    size_t free_pages;
    size_t free_runs;
    size_t released_pages;
    size_t large_pages;
    size_t out_objs[SIZE_CLASS_COUNT];
};

#define SPAN_TEXT           "span 0x%zx, class %u"
#define SPAN_ARGS(span)     (size_t)(span)->base, (unsigned)(span)->size_class
#define CHECK_SPAN(s, c, t) BH_CHECK(c, t ": " SPAN_TEXT, SPAN_ARGS(s))

/* ---- spans ---- */

/* What the page map must show for page `i` of a run. A large manual object is there with its first
 * page only. */
static BH_COLD unsigned expected_class(const struct bh_span *run, size_t i)
{
    if (!span_is_span(run))
        return PAGE_FREE;
    unsigned class_byte = span_class_byte(run);
    return class_byte == PAGE_MANUAL_LARGE && i > 0 ? PAGE_FREE : class_byte;
}

static BH_COLD void check_map(const struct bh_span *run, struct sums *sums)
{
    /* Those on their way to the port, too, which is asked with no lock held (scavenge.c). */
    bool marked = !span_is_span(run) && run->flags & RUN_MARKED;
    for (size_t i = 0; i < run->pages; i++) {
        uintptr_t page = run->base + (i << PAGE_SHIFT);
        unsigned expected = expected_class(run, i);
        unsigned found = pagemap_class(page);
        sums->released_pages += found == PAGE_RELEASED;
        CHECK_SPAN(run, found == expected || (marked && page_class_is_free(found)),
                   "[ALLOC-3] wrong class byte");
        CHECK_SPAN(run, expected == PAGE_FREE || pagemap_span(page) == run,
                   "[ALLOC-3] wrong span in the page map");
    }
}

/* The span of a class, long or short. */
static BH_COLD bool is_of_its_class(const struct bh_span *span)
{
    const struct size_class *info = &size_classes[span->size_class];
    return span->object_bytes == info->object_bytes && span->reciprocal == info->reciprocal &&
           (span->pages == info->pages || span->pages == info->short_pages) &&
           span->objs == ((size_t)span->pages << PAGE_SHIFT) / info->object_bytes;
}

static BH_COLD void check_geometry(const struct bh_span *span)
{
    bool small = span->size_class != 0;
    bool right = small ? is_of_its_class(span)
                       : span->object_bytes == 0 && span->objs == 1 && span->reciprocal == 0;
    CHECK_SPAN(span, right, "[ALLOC-4] record does not fit its class");
}

static BH_COLD void check_manual(const struct bh_span *span, struct sums *sums)
{
    sums->large_pages += span->size_class ? 0 : span->pages;
    if (!span->size_class)
        return;
    size_t free_objs = bitmap_count(span_bits(span), span->objs);
    CHECK_SPAN(span, free_objs == span->free_objs, "[ALLOC-5] free_objs is not the bits set");
    CHECK_SPAN(span, (span->state == SPAN_LISTED) == (free_objs > 0),
               "[ALLOC-5] listed, but full, or not listed");
    sums->out_objs[span->size_class] += span->objs - free_objs;
    harden_verify(span);
}

static BH_COLD void check_span(const struct bh_span *span, struct sums *sums)
{
    check_geometry(span);
    if (span->kind == KIND_MANUAL)
        check_manual(span, sums);
}

/* ---- regions ---- */

static BH_COLD void check_free(const struct bh_span *run, bool after_free, struct sums *sums)
{
    BH_CHECK(!after_free, "[ALLOC-2] free run 0x%zx follows another one", (size_t)run->base);
    sums->free_pages += run->pages;
    sums->free_runs++;
}

static BH_COLD void check_region(const struct page_region *region, struct sums *sums)
{
    const struct bh_span *end = region->records + region->pages;
    uintptr_t base = region->first_page;
    bool after_free = false;
    for (const struct bh_span *run = region->records; run < end; run += run->pages) {
        BH_CHECK(run->state != SPAN_NONE && run->pages > 0 && run->base == base &&
                     run->pages <= (size_t)(end - run),
                 "[ALLOC-1] runs do not tile the region 0x%zx: page 0x%zx", (size_t)region->base,
                 (size_t)base);
        check_map(run, sums);
        if (run->state == SPAN_FREE)
            check_free(run, after_free, sums);
        else if (run->state != SPAN_PRIVATE)
            check_span(run, sums);
        after_free = run->state == SPAN_FREE;
        base += (size_t)run->pages << PAGE_SHIFT;
    }
}

/* The trees of free runs by length, and the bits that say which are empty. */
static BH_COLD void check_lengths(void)
{
    const struct run_trees *trees = &page_heap.free_runs;
    for (size_t n = 0; n < RUN_LENGTHS; n++) {
        const struct bh_span *run = trees->by_length[n];
        bool right = !run || (n ? run->pages == n : run->pages >= RUN_LENGTHS);
        BH_CHECK(right && !run == !(trees->lengths >> n & 1),
                 "[ALLOC-11] tree %zu of free runs holds another length, or its bit is wrong", n);
    }
}

static BH_COLD size_t count_tree_runs(void)
{
    size_t runs = 0;
    size_t pages = SIZE_MAX;
    uintptr_t base = 0;
    for (struct bh_span *run; (run = run_tree_before(&page_heap.free_runs, pages, base)); runs++) {
        pages = run->pages;
        base = run->base;
        BH_CHECK(run->state == SPAN_FREE, "[ALLOC-2] run in the trees is not free: 0x%zx",
                 (size_t)base);
    }
    return runs;
}

static BH_COLD void check_count(const char *what, size_t found, size_t counted)
{
    BH_CHECK(found == counted, "%s: found %zu, but %zu counted", what, found, counted);
}

static BH_COLD void check_page_heap(const struct sums *sums)
{
    check_lengths();
    check_count("[ALLOC-2] free runs in the trees", sums->free_runs, count_tree_runs());
    check_count("[ALLOC-2] free pages", sums->free_pages, page_heap.free_pages);
    check_count("[ALLOC-2] released pages", sums->released_pages, page_heap.released_pages);
    check_count("[ALLOC-12] pages of large objects", sums->large_pages, page_heap.large_pages);
    if (page_heap_eager)
        page_heap_eager->verify();
}

/* ---- bins and transfer caches ---- */

/* An object that is cached: out of its span. Borrows its bit. */
static BH_COLD void borrow(void *object, unsigned size_class, void *arg)
{
    (void)arg;
    uintptr_t address = (uintptr_t)object;
    BH_CHECK(pagemap_class(address) == size_class,
             "[ALLOC-6] cached object %p is of class %u, not %u", object, pagemap_class(address),
             size_class);
    struct bh_span *span = pagemap_span(address);
    BH_CHECK(span_is_object(span, address), "[ALLOC-6] cached pointer %p is no object", object);
    BH_CHECK(!bitmap_test(span_bits(span), span_idx(span, address)),
             "[ALLOC-6] object %p is free in two places", object);
    bitmap_set(span_bits(span), span_idx(span, address));
}

static BH_COLD void give_back(void *object, unsigned size_class, void *arg)
{
    (void)size_class, (void)arg;
    struct bh_span *span = pagemap_span((uintptr_t)object);
    bitmap_clear(span_bits(span), span_idx(span, (uintptr_t)object));
}

static BH_COLD void check_class(unsigned size_class, const struct sums *sums)
{
    const struct central *central = &centrals[size_class];
    BH_CHECK(central->transfer_count <= central->transfer_limit,
             "[ALLOC-6] transfer cache of class %u is over full", size_class);
    BH_CHECK(central->out_objs == sums->out_objs[size_class],
             "[ALLOC-7] class %u: %zu objects are outside spans, but %zu counted", size_class,
             sums->out_objs[size_class], central->out_objs);
    walk_each_cached(size_class, borrow, NULL);
    walk_each_cached(size_class, give_back, NULL);
}

BH_COLD void bh_heap_verify(void)
{
    struct sums sums = {0};
    for (size_t i = 0; i < page_heap.regions_count; i++)
        check_region(&page_heap.regions[i], &sums);
    check_page_heap(&sums);
    const struct room_collected *collected = atomic_load_relaxed(&room_collected); /* see there */
    if (collected)
        collected->verify();
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++)
        check_class(i, &sums);
}
