/* SPDX-License-Identifier: MIT */
/*
 * alloc/page_heap.h and scavenge.h against a model: an array with the state of every page, which is
 * searched from end to end for every answer. Four regions with gaps between them, one of which is
 * added on the way; random requests, frees, resizes and releases of all three ways.
 */
#include "alloc/page_heap.h"
#include "alloc/scavenge.h"
#include "alloc/span.h"
#include "kernel-lib/check.h"
#include "tests/unit/heap_test.h"

#define REGIONS     4 /* of which the last is added later */
#define MODEL_PAGES 512
#define SLOTS       64
#define ROUNDS      6000

/* The state of a page; from IN_USE on, the number of its slot plus IN_USE. */
enum { FREE, RELEASED, DEFERRED, IN_USE };

/* What a slot's run is. */
enum run_kind { LARGE, MAPPED, PRIVATE, RUN_KINDS };

struct slot {
    struct bh_span *run; /* NULL: empty */
    enum run_kind kind;
};

/* A free stretch of the model: [first, first + pages) of one region. */
struct stretch {
    size_t region, first, pages;
};

static uint8_t model[REGIONS][MODEL_PAGES];
static bool was_used[REGIONS][MODEL_PAGES];
static struct slot slots[SLOTS];
static size_t peak_pages;
static bool is_eager;

static uintptr_t address_of(size_t region, size_t page)
{
    return page_heap.regions[region].first_page + (page << PAGE_SHIFT);
}

static size_t pages_of(size_t region)
{
    return region < page_heap.regions_count ? page_heap.regions[region].pages : 0;
}

static size_t region_of(uintptr_t address)
{
    size_t region = 0;
    while (address - address_of(region, 0) >= pages_of(region) << PAGE_SHIFT)
        region++;
    return region;
}

static size_t page_of(uintptr_t address)
{
    return (address - address_of(region_of(address), 0)) >> PAGE_SHIFT;
}

/* ---- what the model knows ---- */

static bool may_be_taken(uint8_t state)
{
    return state == FREE || state == RELEASED;
}

/* The free stretch at or behind `page`; its pages are 0 when there is none. */
static struct stretch next_stretch(size_t region, size_t page)
{
    size_t end = pages_of(region);
    while (page < end && !may_be_taken(model[region][page]))
        page++;
    struct stretch found = {region, page, 0};
    while (page < end && may_be_taken(model[region][page++]))
        found.pages++;
    return found;
}

static bool is_better(struct stretch a, struct stretch b)
{
    if (!b.pages || a.pages != b.pages)
        return !b.pages || a.pages < b.pages;
    return address_of(a.region, a.first) < address_of(b.region, b.first);
}

/* The shortest stretch of at least `pages`, of those the one at the lowest address. */
static struct stretch best_fit(size_t pages)
{
    struct stretch best = {0, 0, 0};
    for (size_t r = 0; r < REGIONS; r++)
        for (struct stretch s = next_stretch(r, 0); s.pages; s = next_stretch(r, s.first + s.pages))
            if (s.pages >= pages && is_better(s, best))
                best = s;
    return best;
}

/* The same with an aligned part of `pages`, which is the answer; of stretches equally long only the
 * lowest is tried. */
static struct stretch best_aligned_fit(size_t pages, size_t align_pages)
{
    for (size_t least = pages;;) {
        struct stretch s = best_fit(least);
        size_t page = address_of(s.region, s.first) >> PAGE_SHIFT;
        size_t skip = bits_round_up(page, align_pages) - page;
        if (!s.pages || skip + pages <= s.pages)
            return (struct stretch){s.region, s.first + skip, s.pages ? pages : 0};
        least = s.pages + 1;
    }
}

static size_t count_pages(bool (*counts)(uint8_t state))
{
    size_t pages = 0;
    for (size_t r = 0; r < REGIONS; r++)
        for (size_t i = 0; i < pages_of(r); i++)
            pages += counts(model[r][i]);
    return pages;
}

static bool is_released(uint8_t state)
{
    return state == RELEASED;
}

static bool is_deferred(uint8_t state)
{
    return state == DEFERRED;
}

/* Every page in state `from` changes to `to`. */
static void change_all(uint8_t from, uint8_t to)
{
    for (size_t r = 0; r < REGIONS; r++)
        for (size_t i = 0; i < pages_of(r); i++)
            if (model[r][i] == from)
                model[r][i] = to;
}

static void note_used(void)
{
    size_t used = page_heap.total_pages - count_pages(may_be_taken);
    if (used > peak_pages)
        peak_pages = used;
}

/* Pages [from, to) of a run are the slot's now. True when nobody had them before. */
static bool take_pages(size_t slot, size_t from, size_t to)
{
    const struct bh_span *run = slots[slot].run;
    size_t region = region_of(run->base);
    bool fresh = true;
    for (size_t i = page_of(run->base) + from; i < page_of(run->base) + to; i++) {
        EXPECT(may_be_taken(model[region][i]));
        model[region][i] = (uint8_t)(IN_USE + slot);
        fresh &= !was_used[region][i];
        was_used[region][i] = true;
    }
    note_used();
    return fresh;
}

/* And are no more. */
static void leave_pages(size_t slot, size_t from, size_t to)
{
    const struct bh_span *run = slots[slot].run;
    size_t region = region_of(run->base);
    for (size_t i = page_of(run->base) + from; i < page_of(run->base) + to; i++) {
        EXPECT_EQ((size_t)model[region][i], IN_USE + slot);
        model[region][i] = is_eager ? DEFERRED : FREE;
    }
}

/* ---- operations ---- */

static struct bh_span *alloc_run(enum run_kind kind, size_t pages, size_t align_pages)
{
    if (kind == LARGE)
        return page_heap_alloc_large(pages, align_pages);
    struct bh_span *run = page_heap_alloc(pages, align_pages);
    if (run && kind == MAPPED) {
        span_make_large(run, KIND_NOSCAN);
        page_heap_publish(run);
    }
    return run;
}

static void do_alloc(size_t slot, size_t pages, size_t align_pages)
{
    enum run_kind kind = (enum run_kind)harness_random_below(RUN_KINDS);
    struct stretch expected = best_aligned_fit(pages, align_pages);
    if (!expected.pages) { /* what waits to be handed over is taken back */
        change_all(DEFERRED, FREE);
        expected = best_aligned_fit(pages, align_pages);
    }
    struct bh_span *run = alloc_run(kind, pages, align_pages);
    EXPECT_EQ(run != NULL, expected.pages != 0);
    if (!run)
        return;
    EXPECT_EQ(run->pages, pages);
    EXPECT_EQ(run->base, address_of(expected.region, expected.first));
    slots[slot] = (struct slot){run, kind};
    bool fresh = take_pages(slot, 0, pages);
    EXPECT(fresh || !(run->flags & RUN_ZEROED));
}

static void do_free(size_t slot)
{
    struct bh_span *run = slots[slot].run;
    leave_pages(slot, 0, run->pages);
    if (slots[slot].kind == LARGE)
        EXPECT(page_heap_free_large(run->base));
    else
        page_heap_free(run);
    slots[slot].run = NULL;
}

static void do_resize(size_t slot, size_t pages)
{
    struct bh_span *run = slots[slot].run;
    size_t before = run->pages;
    size_t region = region_of(run->base);
    size_t end = page_of(run->base) + before;
    struct stretch behind = next_stretch(region, end);
    size_t room = before + (behind.first == end ? behind.pages : 0);
    EXPECT_EQ(page_heap_resize(run, pages), pages <= room);
    EXPECT_EQ(run->pages, pages <= room ? pages : before);
    EXPECT_EQ(span_object_bytes(run), (size_t)run->pages << PAGE_SHIFT);
    if (run->pages > before)
        take_pages(slot, before, pages);
    else
        leave_pages(slot, run->pages, before);
    change_all(DEFERRED, RELEASED); /* a resize hands over what waits */
}

static void do_release(void)
{
    scavenge_all();
    change_all(DEFERRED, RELEASED);
    change_all(FREE, RELEASED);
    EXPECT_EQ(scavenge_all(), 0);
}

/* Gradual release may take any free page, but leaves a tenth of what is in use. */
static void do_scavenge(void)
{
    size_t before = page_heap.released_pages;
    EXPECT(bh_scavenge() > 0);
    for (size_t r = 0; r < REGIONS; r++)
        for (size_t i = 0; i < pages_of(r); i++)
            if (model[r][i] == FREE && pagemap_class(address_of(r, i)) == PAGE_RELEASED)
                model[r][i] = RELEASED;
    if (is_eager)
        change_all(DEFERRED, RELEASED);
    else if (page_heap.released_pages > before)
        EXPECT(page_heap.free_pages - page_heap.released_pages >=
               page_heap_used_pages_locked() / 10);
}

static void do_set_release(void)
{
    is_eager = !is_eager;
    bh_set_release(is_eager ? BH_RELEASE_EAGER : BH_RELEASE_GRADUAL);
    if (!is_eager)
        change_all(DEFERRED, FREE);
}

static void do_rare(void)
{
    static void (*const operations[])(void) = {do_release, do_scavenge, do_scavenge, do_scavenge,
                                               do_set_release};
    operations[harness_random_below(sizeof(operations) / sizeof(operations[0]))]();
}

static size_t random_pages(void)
{
    return harness_random_below(harness_random_below(8) ? 6 : 120) + 1;
}

static void step(void)
{
    size_t slot = harness_random_below(SLOTS);
    uint64_t choice = harness_random_below(100);
    if (choice < 4)
        do_rare();
    else if (!slots[slot].run)
        do_alloc(slot, random_pages(), choice < 70 ? 1 : (size_t)1 << harness_random_below(6));
    else if (choice < 30 && slots[slot].kind == LARGE)
        do_resize(slot, random_pages());
    else
        do_free(slot);
}

/* ---- cases ---- */

/* What the page map shall say of a page. */
static bool class_is_right(size_t region, size_t page)
{
    uint8_t state = model[region][page];
    unsigned found = pagemap_class(address_of(region, page));
    if (state == RELEASED)
        return found == PAGE_RELEASED;
    if (state < IN_USE)
        return found != PAGE_RELEASED && page_class_is_free(found);
    const struct slot *slot = &slots[state - IN_USE];
    bool first = page_of(slot->run->base) == page;
    if (slot->kind == MAPPED)
        return found == PAGE_COLLECTED && pagemap_span(address_of(region, page)) == slot->run;
    return found == (slot->kind == LARGE && first ? PAGE_MANUAL_LARGE : PAGE_FREE);
}

static bool model_agrees(void)
{
    for (size_t r = 0; r < REGIONS; r++)
        for (size_t i = 0; i < pages_of(r); i++)
            if (!EXPECT(class_is_right(r, i)))
                return false;
    bh_heap_verify();
    EXPECT_EQ(page_heap.free_pages, count_pages(may_be_taken));
    EXPECT_EQ(page_heap.released_pages, count_pages(is_released));
    EXPECT_EQ(page_heap.deferred_runs != 0, count_pages(is_deferred) != 0);
    return EXPECT_EQ(page_heap.peak_pages, peak_pages);
}

/* Odd starts and ends, and gaps: one of an exact page, one of a few bytes. The last region ends in
 * the middle of any alignment. */
static const struct {
    size_t start, bytes;
} regions_at[REGIONS] = {
    {16, ((size_t)3 << 20) - 16 - PAGE_BYTES},
    {(size_t)3 << 20, ((size_t)300 << 10) + 4080},
    {((size_t)5 << 20) + 48, ((size_t)2 << 20) + 13},
    {((size_t)7 << 20) + 4096, ((size_t)300 << 10) + 8000},
};

static void init_three_regions(void)
{
    char *ram = heap_test_ram((size_t)8 << 20);
    struct bh_region regions[REGIONS - 1];
    for (size_t r = 0; r < REGIONS - 1; r++)
        regions[r] =
            (struct bh_region){.base = ram + regions_at[r].start, .bytes = regions_at[r].bytes};
    EXPECT_EQ(bh_init(regions, REGIONS - 1), BH_OK);
    bh_heap_verify();
    BH_CHECK(page_heap.regions_count == REGIONS - 1, "three regions");
    for (size_t r = 0; r < REGIONS - 1; r++)
        BH_CHECK(pages_of(r) <= MODEL_PAGES, "the model has too few pages");
}

/* The largest, which page_heap.fresh_from is about, is said to be zero from here on. */
static void pretend_to_be_fresh(void)
{
    size_t largest = 0;
    for (size_t r = 1; r < REGIONS; r++)
        if (pages_of(r) > pages_of(largest))
            largest = r;
    page_heap.fresh_from = address_of(largest, 0);
    page_heap.fresh_end = address_of(largest, pages_of(largest));
}

static void add_fourth_region(void)
{
    char *ram = heap_test_ram((size_t)8 << 20);
    EXPECT_EQ(bh_add_region(ram + regions_at[REGIONS - 1].start, regions_at[REGIONS - 1].bytes),
              BH_OK);
    REQUIRE(page_heap.regions_count == REGIONS);
}

static void expect_one_run_per_region(void)
{
    size_t runs = 0;
    size_t pages = SIZE_MAX;
    uintptr_t base = 0;
    for (struct bh_span *run; (run = run_tree_before(&page_heap.free_runs, pages, base)); runs++) {
        pages = run->pages;
        base = run->base;
        EXPECT_EQ(base, address_of(region_of(base), 0));
        EXPECT_EQ(pages, pages_of(region_of(base)));
    }
    EXPECT_EQ(runs, page_heap.regions_count);
    EXPECT_EQ(page_heap.free_pages, page_heap.total_pages);
}

TEST_ALONE(page_heap_agrees_with_a_model)
{
    init_three_regions();
    expect_one_run_per_region();
    pretend_to_be_fresh();
    bh_set_release_delay(0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        step();
        if (i == ROUNDS / 3)
            add_fourth_region();
        if (i % 16 == 0)
            REQUIRE(model_agrees());
    }
    for (size_t slot = 0; slot < SLOTS; slot++)
        if (slots[slot].run)
            do_free(slot);
    if (is_eager)
        do_set_release();
    EXPECT(model_agrees());
    expect_one_run_per_region();
}

/* Every page by itself, freed in three orders: ascending, descending, odd ones first. */
TEST_ALONE(page_heap_gives_all_and_gets_it_back_whole)
{
    static struct bh_span *pages[REGIONS * MODEL_PAGES];
    init_three_regions();
    for (unsigned order = 0; order < 3; order++) {
        size_t count = 0;
        for (struct bh_span *span; (span = page_heap_alloc_large(1, 1)); count++)
            pages[count] = span;
        EXPECT_EQ(count, page_heap.total_pages);
        EXPECT_EQ(page_heap.free_pages, 0);
        bh_heap_verify();
        for (size_t i = 0; i < count && order < 2; i++)
            page_heap_free_large(pages[order == 0 ? i : count - 1 - i]->base);
        for (size_t i = 0; i < 2 * count && order == 2; i += 2)
            page_heap_free_large(pages[i < count ? i : i - count + !(count % 2)]->base);
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
    struct bh_span *span = page_heap_alloc(3, 1);
    REQUIRE(span);
    uintptr_t base = span->base;
    EXPECT(!page_heap_free_large(base)); /* not published */
    page_heap_free(span);
    REQUIRE(page_heap_alloc_large(3, 1) == span);
    EXPECT(!page_heap_free_large(base + 8));
    EXPECT(!page_heap_free_large(base + PAGE_BYTES));
    EXPECT(page_heap_free_large(base));
    EXPECT(!page_heap_free_large(base));
    bh_heap_verify();
}

/* A request may have any alignment that a region has room for, up to the region's last page. */
TEST_ALONE(page_heap_uses_the_end_of_a_region)
{
    init_three_regions();
    for (size_t align_pages = 1; align_pages <= 256; align_pages *= 2)
        for (size_t pages = 1; pages <= 300; pages += 37) {
            struct stretch expected = best_aligned_fit(pages, align_pages);
            struct bh_span *span = page_heap_alloc_large(pages, align_pages);
            EXPECT_EQ(span != NULL, expected.pages != 0);
            if (!span)
                continue;
            EXPECT_EQ(span->base, address_of(expected.region, expected.first));
            EXPECT(page_heap_free_large(span->base));
        }
    bh_heap_verify();
    expect_one_run_per_region();
}
