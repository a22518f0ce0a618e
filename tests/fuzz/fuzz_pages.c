/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the page heap by itself, against a model: who has each page. Regions with odd ends
 * and gaps, spans that grow and shrink in place, runs of our own, metadata cells that take
 * pages from the ends, pages that are released, requests that fail.
 */
#include "alloc/meta.h"
#include "alloc/page_heap.h"
#include "alloc/walk.h"
#include "tests/fuzz/fuzz.h"
#include <bareheap/alloc.h>
#include <string.h>

#define SLOTS     64
#define CELLS     64
#define RAM_PAGES (MACHINE_RAM_BYTES >> PAGE_SHIFT)

enum holding { HOLDS_NOTHING, HOLDS_SPAN, HOLDS_RUN };

/* A span, or a run of our own; with its pages in the model. */
struct slot {
    enum holding holding;
    struct bh_span *span; /* HOLDS_SPAN */
    uintptr_t base;
    size_t pages;
};

static struct slot slots[SLOTS];
static uint8_t owner[RAM_PAGES + 1]; /* the slot's number plus 1; 0: nobody's */
static struct {
    void *cell;
    size_t bytes;
} cells[CELLS];
static size_t ram_used;
static struct fuzz_script *script;

/* ---- the model ---- */

static uint8_t *owners_at(uintptr_t base)
{
    return owner + ((base - (uintptr_t)machine_ram) >> PAGE_SHIFT);
}

/* The slot's pages [from, to) change hands. */
static void model_set(const struct slot *slot, size_t from, size_t to, bool taken)
{
    uint8_t mine = (uint8_t)(slot - slots + 1);
    uint8_t *page = owners_at(slot->base);
    for (size_t i = from; i < to; i++) {
        FUZZ_CHECK(page[i] == (taken ? 0 : mine), "page 0x%zx is slot %u's, not slot %u's",
                   (size_t)slot->base + (i << PAGE_SHIFT), page[i] - 1u, mine - 1u);
        page[i] = taken ? mine : 0;
    }
}

static bool is_in_one_region(uintptr_t base, size_t pages)
{
    for (size_t i = 0; i < page_heap.regions_count; i++) {
        const struct page_region *region = &page_heap.regions[i];
        if (base >= region->first_page &&
            base + (pages << PAGE_SHIFT) <= region->first_page + (region->pages << PAGE_SHIFT))
            return true;
    }
    return false;
}

static size_t longest_run(void)
{
    struct bh_stats stats;
    bh_get_stats(&stats);
    return stats.largest_run_bytes >> PAGE_SHIFT;
}

static void took(struct slot *slot, enum holding holding, uintptr_t base, size_t pages)
{
    slot->holding = holding;
    slot->base = base;
    slot->pages = pages;
    FUZZ_CHECK(is_in_one_region(base, pages), "0x%zx, %zu pages: not in a region", (size_t)base,
               pages);
    model_set(slot, 0, pages, true);
}

static void expect_null_is_right(size_t pages, size_t align_pages)
{
    FUZZ_CHECK(machine_has_refused() || longest_run() < pages + align_pages - 1,
               "no run of %zu pages at %zu, and the longest has %zu", pages, align_pages,
               longest_run());
}

/* ---- operations ---- */

static size_t some_pages(void)
{
    size_t choice = fuzz_byte(script);
    return choice < 200 ? 1 + choice % 8 : 1 + fuzz_word(script) % 300;
}

static void give_back(struct slot *slot)
{
    model_set(slot, 0, slot->pages, false);
    if (slot->holding == HOLDS_RUN)
        walk_pages_free((void *)slot->base);
    else
        FUZZ_CHECK(page_heap_free_large(slot->base), "a large span is not known");
    *slot = (struct slot){0};
}

static void do_span(struct slot *slot)
{
    size_t pages = some_pages();
    size_t align_pages = (size_t)1 << fuzz_below(script, 9) % (1 + fuzz_below(script, 9));
    if (slot->holding) {
        give_back(slot);
        return;
    }
    struct bh_span *span = page_heap_alloc_large(pages, align_pages);
    if (!span) {
        expect_null_is_right(pages, align_pages);
        return;
    }
    FUZZ_CHECK(span->pages == pages && (span->base >> PAGE_SHIFT) % align_pages == 0,
               "%u pages at 0x%zx for %zu at %zu", span->pages, (size_t)span->base, pages,
               align_pages);
    slot->span = span;
    took(slot, HOLDS_SPAN, span->base, pages);
}

static void do_run(struct slot *slot)
{
    size_t pages = some_pages();
    if (slot->holding) {
        give_back(slot);
        return;
    }
    void *run = walk_pages_alloc(pages << PAGE_SHIFT);
    if (run)
        took(slot, HOLDS_RUN, (uintptr_t)run, pages);
    else
        expect_null_is_right(pages, 1);
}

static void do_resize(struct slot *slot)
{
    size_t pages = some_pages();
    if (slot->holding != HOLDS_SPAN)
        return;
    bool done = page_heap_resize(slot->span, pages);
    FUZZ_CHECK(done || pages > slot->pages, "a span of %zu pages did not shrink to %zu",
               slot->pages, pages);
    FUZZ_CHECK(slot->span->pages == (done ? pages : slot->pages), "resize: wrong length");
    if (!done)
        return;
    model_set(slot, pages < slot->pages ? pages : slot->pages,
              pages < slot->pages ? slot->pages : pages, pages > slot->pages);
    slot->pages = pages;
}

/* Pointers that are no large object's first byte. */
static void do_wrong_free(struct slot *slot)
{
    if (slot->holding == HOLDS_NOTHING)
        return;
    FUZZ_CHECK(!page_heap_free_large(slot->base + 16), "freed by a pointer inside");
    FUZZ_CHECK(slot->pages == 1 || !page_heap_free_large(slot->base + PAGE_BYTES),
               "freed by its second page");
    FUZZ_CHECK(slot->holding == HOLDS_SPAN || !page_heap_free_large(slot->base),
               "a run of our own was freed");
}

static void do_cell(struct slot *slot)
{
    size_t i = (size_t)(slot - slots) % CELLS;
    if (cells[i].cell) {
        memset(cells[i].cell, 0xcc, cells[i].bytes);
        meta_free(cells[i].cell, cells[i].bytes);
        cells[i].cell = NULL;
        return;
    }
    cells[i].bytes = 1 + fuzz_word(script) % META_CELL_MAX;
    cells[i].cell =
        fuzz_byte(script) % 2 ? meta_alloc(cells[i].bytes) : meta_alloc_spare(cells[i].bytes);
    const unsigned char *byte = cells[i].cell;
    for (size_t n = 0; byte && n < cells[i].bytes; n++)
        FUZZ_CHECK(byte[n] == 0, "a new cell is not zero");
}

static void do_add_region(struct slot *slot)
{
    size_t gap = (fuzz_word(script) % 20000) / 16 * 16;
    size_t bytes = fuzz_word(script) * 16;
    (void)slot;
    if (ram_used + gap + bytes > MACHINE_RAM_BYTES)
        return;
    if (bh_add_region(machine_ram + ram_used + gap, bytes) == BH_OK)
        ram_used += gap + bytes;
}

static void do_release(struct slot *slot)
{
    (void)slot;
    bh_release_pages();
    FUZZ_CHECK(page_heap.released_pages == page_heap.free_pages, "%zu of %zu pages released",
               page_heap.released_pages, page_heap.free_pages);
}

static void do_faults(struct slot *slot)
{
    (void)slot;
    machine_arm_faults(0, 1 + (unsigned)fuzz_below(script, 2));
}

static void do_look(struct slot *slot)
{
    size_t taken = 0;
    (void)slot;
    for (size_t i = 0; i < RAM_PAGES; i++)
        taken += owner[i] != 0;
    bh_heap_verify();
    FUZZ_CHECK(page_heap.total_pages == page_heap.free_pages + page_heap.cell_pages + taken,
               "%zu pages: %zu free, %zu for cells, %zu taken", page_heap.total_pages,
               page_heap.free_pages, page_heap.cell_pages, taken);
}

/* ---- a script ---- */

static void make_heap(void)
{
    struct bh_region regions[3];
    size_t count = 1 + fuzz_below(script, 3);
    ram_used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t gap = fuzz_byte(script) * 16u;
        size_t bytes = ((size_t)64 << 10) + fuzz_word(script) * 16;
        regions[i] = (struct bh_region){.base = machine_ram + ram_used + gap, .bytes = bytes};
        ram_used += gap + bytes;
    }
    enum bh_status status = bh_init(regions, count);
    FUZZ_CHECK(status == BH_OK, "bh_init: %s", bh_status_text(status));
}

static void (*const operations[16])(struct slot *slot) = {
    do_span,   do_span,   do_span, do_span, do_span, do_span,       do_run,     do_run,
    do_resize, do_resize, do_cell, do_cell, do_look, do_wrong_free, do_release, do_faults,
};

void fuzz_run(struct fuzz_script *the_script)
{
    script = the_script;
    memset(slots, 0, sizeof(slots));
    memset(owner, 0, sizeof(owner));
    memset(cells, 0, sizeof(cells));
    make_heap();
    while (fuzz_more(script)) {
        unsigned choice = fuzz_byte(script);
        struct slot *slot = &slots[fuzz_below(script, SLOTS)];
        machine_forget_refused();
        if (choice >= 252)
            do_add_region(slot);
        else
            operations[choice % 16](slot);
    }
    for (struct slot *slot = slots; slot < slots + SLOTS; slot++)
        if (slot->holding)
            give_back(slot);
    do_look(NULL);
}
