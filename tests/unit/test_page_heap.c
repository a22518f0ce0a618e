/* SPDX-License-Identifier: MIT */
/*
 * alloc/page_heap.h against a model: an array with a number per page, 0 for free, which is searched
 * from end to end for every answer. The heap has three regions with gaps between them.
 */
#include "alloc/page_heap.h"
#include "alloc/run_tree.h"
#include "alloc/span.h"
#include "kernel-lib/check.h"
#include "tests/unit/heap_test.h"

#define REGIONS     3
#define MODEL_PAGES 512
#define SPANS       64
#define ROUNDS      4000

/* A free stretch of the model: [first, first + pages) of one region. */
struct stretch {
    size_t region, first, pages;
};

static uint8_t model[REGIONS][MODEL_PAGES]; /* the page's span's number plus 1; 0: free */
static struct bh_span *spans[SPANS];
static size_t peak_pages;

static uintptr_t address_of(size_t region, size_t page)
{
    return page_heap.regions[region].first_page + (page << PAGE_SHIFT);
}

static size_t region_of(const struct bh_span *span)
{
    size_t region = 0;
    while (span->base - address_of(region, 0) >= page_heap.regions[region].pages << PAGE_SHIFT)
        region++;
    return region;
}

static size_t page_of(const struct bh_span *span)
{
    return (span->base - address_of(region_of(span), 0)) >> PAGE_SHIFT;
}

/* The free stretch at or behind `page`; its pages are 0 when there is none. */
static struct stretch next_stretch(size_t region, size_t page)
{
    size_t end = page_heap.regions[region].pages;
    while (page < end && model[region][page])
        page++;
    struct stretch found = {region, page, 0};
    while (page < end && !model[region][page++])
        found.pages++;
    return found;
}

/* The shortest stretch of at least `pages`, of those the one at the lowest address. */
static struct stretch model_best_fit(size_t pages)
{
    struct stretch best = {0, 0, 0};
    for (size_t r = 0; r < REGIONS; r++)
        for (struct stretch s = next_stretch(r, 0); s.pages; s = next_stretch(r, s.first + s.pages))
            if (s.pages >= pages &&
                (!best.pages || s.pages < best.pages ||
                 (s.pages == best.pages &&
                  address_of(r, s.first) < address_of(best.region, best.first))))
                best = s;
    return best;
}

static size_t model_free_pages(void)
{
    size_t pages = 0;
    for (size_t r = 0; r < REGIONS; r++)
        for (size_t i = 0; i < page_heap.regions[r].pages; i++)
            pages += !model[r][i];
    return pages;
}

static void note_used(void)
{
    size_t used = page_heap.total_pages - model_free_pages();
    if (used > peak_pages)
        peak_pages = used;
}

/* Writes `value` over [from, to) of the span's pages, which the model must know as `before`. */
static void model_set(const struct bh_span *span, size_t from, size_t to, size_t before,
                      size_t value)
{
    uint8_t *pages = model[region_of(span)] + page_of(span);
    for (size_t i = from; i < to; i++) {
        REQUIRE(pages[i] == before);
        pages[i] = (uint8_t)value;
    }
    note_used();
}

/* ---- operations ---- */

static void expect_null_is_right(size_t pages, size_t align_pages)
{
    EXPECT_EQ(model_best_fit(pages + align_pages - 1).pages, 0);
}

static void do_alloc(size_t slot, size_t pages, size_t align_pages)
{
    struct stretch best = model_best_fit(pages);
    struct bh_span *span = span_new_large(pages, align_pages, KIND_MANUAL);
    if (!span) {
        expect_null_is_right(pages, align_pages);
        return;
    }
    EXPECT_EQ(span->pages, pages);
    EXPECT_EQ((span->base >> PAGE_SHIFT) % align_pages, 0);
    if (align_pages == 1)
        EXPECT_EQ(span->base, address_of(best.region, best.first));
    model_set(span, 0, pages, 0, slot + 1);
    page_heap_publish(span);
    spans[slot] = span;
}

static void do_free(size_t slot)
{
    model_set(spans[slot], 0, spans[slot]->pages, slot + 1, 0);
    if (slot % 2) {
        span_free(spans[slot]);
    } else {
        size_t pages = spans[slot]->pages;
        EXPECT_EQ(page_heap_free_large(spans[slot]->base), pages);
    }
    spans[slot] = NULL;
}

static void do_resize(size_t slot, size_t pages)
{
    struct bh_span *span = spans[slot];
    size_t before = span->pages;
    size_t region = region_of(span);
    size_t end = page_of(span) + before;
    struct stretch behind = {0, 0, 0};
    if (end < page_heap.regions[region].pages && !model[region][end])
        behind = next_stretch(region, end);
    bool possible = pages <= before + behind.pages;
    EXPECT_EQ(page_heap_resize(span, pages), possible);
    EXPECT_EQ(span->pages, possible ? pages : before);
    EXPECT_EQ(span->object_bytes, (size_t)span->pages << PAGE_SHIFT);
    if (possible && pages > before)
        model_set(span, before, pages, 0, slot + 1);
    else if (possible)
        model_set(span, pages, before, slot + 1, 0);
}

static void do_release(void)
{
    page_heap_release();
    EXPECT_EQ(page_heap.released_pages, page_heap.free_pages);
    EXPECT_EQ(page_heap_release(), 0);
}

static size_t random_pages(void)
{
    return harness_random_below(harness_random_below(8) ? 6 : 120) + 1;
}

static void step(void)
{
    size_t slot = harness_random_below(SPANS);
    uint64_t choice = harness_random_below(100);
    if (choice == 0)
        do_release();
    else if (!spans[slot])
        do_alloc(slot, random_pages(), choice < 70 ? 1 : (size_t)1 << harness_random_below(6));
    else if (choice < 30)
        do_resize(slot, random_pages());
    else
        do_free(slot);
}

/* ---- cases ---- */

static void expect_agreement(void)
{
    EXPECT_EQ(page_heap.free_pages, model_free_pages());
    EXPECT(page_heap.released_pages <= page_heap.free_pages);
    EXPECT_EQ(page_heap.peak_pages, peak_pages);
    bh_heap_verify();
}

/* Odd starts and ends, and gaps: one of an exact page, one of a few bytes. */
static void init_three_regions(void)
{
    char *ram = heap_test_ram((size_t)8 << 20);
    struct bh_region regions[REGIONS] = {
        {.base = ram + 16, .bytes = ((size_t)3 << 20) - 16 - PAGE_BYTES},
        {.base = ram + ((size_t)3 << 20), .bytes = ((size_t)300 << 10) + 4080},
        {.base = ram + ((size_t)5 << 20) + 48, .bytes = ((size_t)2 << 20) + 13},
    };
    EXPECT_EQ(bh_init(regions, REGIONS), BH_OK);
    bh_heap_verify();
    BH_CHECK(page_heap.regions_count == REGIONS, "three regions");
    for (size_t r = 0; r < REGIONS; r++)
        BH_CHECK(page_heap.regions[r].pages <= MODEL_PAGES, "the model has too few pages");
}

static void expect_one_run_per_region(void)
{
    size_t runs = 0;
    size_t pages = 0;
    uintptr_t base = 0;
    for (struct bh_span *run; (run = run_tree_after(page_heap.free_runs, pages, base)); runs++) {
        pages = run->pages;
        base = run->base;
        EXPECT_EQ(base, address_of(region_of(run), 0));
        EXPECT_EQ(pages, page_heap.regions[region_of(run)].pages);
    }
    EXPECT_EQ(runs, REGIONS);
    EXPECT_EQ(page_heap.free_pages, page_heap.total_pages);
}

TEST_ALONE(page_heap_agrees_with_a_model)
{
    init_three_regions();
    expect_one_run_per_region();
    for (unsigned i = 0; i < ROUNDS; i++) {
        step();
        if (i % 16 == 0)
            expect_agreement();
    }
    for (size_t slot = 0; slot < SPANS; slot++)
        if (spans[slot])
            do_free(slot);
    expect_agreement();
    expect_one_run_per_region();
}

/* Every page by itself, freed in three orders: ascending, descending, odd ones first. */
TEST_ALONE(page_heap_gives_all_and_gets_it_back_whole)
{
    static struct bh_span *pages[REGIONS * MODEL_PAGES];
    init_three_regions();
    for (unsigned order = 0; order < 3; order++) {
        size_t count = 0;
        for (struct bh_span *span; (span = span_new_large(1, 1, KIND_MANUAL)); count++) {
            page_heap_publish(span);
            pages[count] = span;
        }
        EXPECT_EQ(count, page_heap.total_pages);
        EXPECT_EQ(page_heap.free_pages, 0);
        bh_heap_verify();
        for (size_t i = 0; i < count && order < 2; i++)
            span_free(pages[order == 0 ? i : count - 1 - i]);
        for (size_t i = 0; i < 2 * count && order == 2; i += 2)
            span_free(pages[i < count ? i : i - count + !(count % 2)]);
        bh_heap_verify();
        expect_one_run_per_region();
    }
}

TEST_ALONE(page_heap_refuses_absurd_lengths)
{
    init_three_regions();
    EXPECT(!page_heap_alloc(SIZE_MAX, 1));
    EXPECT(!page_heap_alloc(page_heap.total_pages + 1, 1));
    EXPECT(!page_heap_alloc(1, (size_t)1 << 40));
    EXPECT(!page_heap_alloc((size_t)1 << 32, 1));
    EXPECT(!page_heap_alloc(SIZE_MAX - 1, (size_t)1 << 50));
    bh_heap_verify();
    expect_one_run_per_region();
}

static bool refuse_two(size_t pages)
{
    return pages == 2;
}

TEST_ALONE(page_heap_asks_the_fault_hook)
{
    init_three_regions();
    page_heap_fault_hook = refuse_two;
    EXPECT(!page_heap_alloc(2, 1));
    struct bh_span *run = page_heap_alloc(3, 1);
    page_heap_fault_hook = NULL;
    REQUIRE(run);
    bh_heap_verify();
    page_heap_free(run);
    expect_one_run_per_region();
}

/* One of two who free the same large object is told so, whoever it is. */
TEST_ALONE(page_heap_frees_large_once)
{
    init_three_regions();
    struct bh_span *span = span_new_large(3, 1, KIND_MANUAL);
    REQUIRE(span);
    uintptr_t base = span->base;
    EXPECT_EQ(page_heap_free_large(base), 0); /* not published */
    page_heap_publish(span);
    EXPECT_EQ(page_heap_free_large(base + 8), 0);
    EXPECT_EQ(page_heap_free_large(base + PAGE_BYTES), 0);
    EXPECT_EQ(page_heap_free_large(base), 3);
    EXPECT_EQ(page_heap_free_large(base), 0);
    bh_heap_verify();
}
