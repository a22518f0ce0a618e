/* SPDX-License-Identifier: MIT */
/* Runs of pages. The design is in page_heap.h, the order of the free runs in run_tree.h. */
#include "alloc/page_heap.h"
#include "alloc/run_tree.h"
#include "alloc/span.h"

struct page_heap page_heap = {.lock = SPINLOCK_INIT(LOCK_PAGE_HEAP, "page heap")};
bool (*page_heap_fault_hook)(size_t pages);

/* Before bh_init() no address is ours. */
static struct pagemap pagemap_empty;
struct pagemap *pagemap_current = &pagemap_empty;

/* ---- the page map, under the lock ---- */

static size_t map_index(uintptr_t address)
{
    return (address >> PAGE_SHIFT) - pagemap_current->first_page;
}

static void map_set_span(struct bh_span *head, size_t first, size_t pages)
{
    struct bh_span **span_of = &pagemap_current->span_of[map_index(head->base) + first];
    for (size_t i = 0; i < pages; i++)
        span_of[i] = head;
}

/* Release: whoever reads the class byte with acquire sees the record and span_of. Pairs with
 * pagemap_class() and walk_find(). */
static void map_set_class(struct bh_span *head, size_t first, size_t pages, uint8_t class_byte)
{
    uint8_t *class_of = &pagemap_current->class_of[map_index(head->base) + first];
    for (size_t i = 0; i < pages; i++)
        atomic_store_release(&class_of[i], class_byte);
}

void page_heap_publish(struct bh_span *span)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    if (span->state == SPAN_PRIVATE)
        span_set_state(span, SPAN_IN_USE);
    map_set_span(span, 0, span->pages);
    map_set_class(span, 0, span->pages, span_class_byte(span));
    spinlock_release(&page_heap.lock, irq);
}

/* ---- free runs, under the lock ---- */

/* A counter that only the lock's holder changes and others read for budgets: relaxed, because
 * nothing is read on the strength of it. */
static void counter_set(size_t *counter, size_t value)
{
    atomic_store_relaxed(counter, value);
}

/* A free run is entered in the map at its two ends, where its neighbours look. */
static void run_insert(struct bh_span *run)
{
    span_set_state(run, SPAN_FREE);
    map_set_span(run, 0, 1);
    map_set_span(run, run->pages - 1, 1);
    run_tree_insert(&page_heap.free_runs, run);
    counter_set(&page_heap.free_pages, page_heap.free_pages + run->pages);
}

static void run_remove(struct bh_span *run)
{
    run_tree_remove(&page_heap.free_runs, run);
    span_set_state(run, SPAN_PRIVATE);
    counter_set(&page_heap.free_pages, page_heap.free_pages - run->pages);
}

size_t page_heap_used_pages_locked(void)
{
    return page_heap.total_pages - page_heap.free_pages - page_heap.cell_pages;
}

static void note_peak(void)
{
    size_t used = page_heap_used_pages_locked();
    if (used > page_heap.peak_pages)
        page_heap.peak_pages = used;
}

/* Cuts `run` behind `pages` pages; what follows becomes the head that is returned. */
static struct bh_span *run_split(struct bh_span *run, size_t pages)
{
    struct bh_span *rest = run + pages;
    rest->base = run->base + (pages << PAGE_SHIFT);
    rest->pages = run->pages - (uint32_t)pages;
    rest->flags = run->flags;
    span_set_state(rest, SPAN_PRIVATE);
    run->pages = (uint32_t)pages;
    return rest;
}

/* `right` begins where `left` ends; both are out of the tree. */
static struct bh_span *run_merge(struct bh_span *left, struct bh_span *right)
{
    left->pages += right->pages;
    uint8_t zeroed = left->flags & right->flags & RUN_ZEROED;
    uint8_t released = (left->flags | right->flags) & RUN_RELEASED;
    left->flags = zeroed | released;
    span_set_state(right, SPAN_NONE);
    return left;
}

/*
 * The free run that ends at `address`, or NULL. The map's entry for the page before may be stale
 * (an interior page of a run that has changed since), but a head that is free and ends exactly
 * here does hold the page: runs are disjoint.
 */
static struct bh_span *free_run_before(uintptr_t address)
{
    size_t i = map_index(address);
    if (i == 0)
        return NULL;
    struct bh_span *head = pagemap_current->span_of[i - 1];
    bool joins = head && span_is_free_run(head) &&
                 head->base + ((uintptr_t)head->pages << PAGE_SHIFT) == address;
    return joins ? head : NULL;
}

static struct bh_span *free_neighbour_after(const struct bh_span *run)
{
    uintptr_t end = run->base + ((uintptr_t)run->pages << PAGE_SHIFT);
    size_t i = map_index(end);
    if (i >= pagemap_current->pages)
        return NULL;
    struct bh_span *head = pagemap_current->span_of[i];
    return head && span_is_free_run(head) && head->base == end ? head : NULL;
}

static void run_coalesce_and_insert(struct bh_span *run)
{
    struct bh_span *before = free_run_before(run->base);
    struct bh_span *after = free_neighbour_after(run);
    if (after) {
        run_remove(after);
        run_merge(run, after);
    }
    if (before) {
        run_remove(before);
        run = run_merge(before, run);
    }
    run_insert(run);
}

/* ---- requests ---- */

/* Pages to skip at the start of `run` so that the rest is aligned. */
static size_t skip_to_align(const struct bh_span *run, size_t align_pages)
{
    size_t page = run->base >> PAGE_SHIFT;
    return bits_round_up(page, align_pages) - page;
}

static struct bh_span *find_run(size_t pages, size_t align_pages)
{
    struct bh_span *run = run_tree_best_fit(page_heap.free_runs, pages);
    if (!run || skip_to_align(run, align_pages) + pages <= run->pages)
        return run;
    return run_tree_best_fit(page_heap.free_runs, pages + align_pages - 1);
}

/* The run is about to be used: its pages are the kernel's no more. */
static void unrelease(struct bh_span *run)
{
    uint8_t *class_of = &pagemap_current->class_of[map_index(run->base)];
    if (!(run->flags & RUN_RELEASED))
        return;
    for (size_t i = 0; i < run->pages; i++) {
        page_heap.released_pages -= class_of[i] == PAGE_RELEASED;
        atomic_store_relaxed(&class_of[i], PAGE_FREE); /* one way of saying free for another */
    }
    run->flags &= (uint8_t)~RUN_RELEASED;
}

/* Takes `run` out of the tree and puts back what lies before and behind the pages wanted. */
static struct bh_span *run_cut(struct bh_span *run, size_t skip, size_t pages)
{
    run_remove(run);
    if (skip) {
        struct bh_span *wanted = run_split(run, skip);
        run_insert(run);
        run = wanted;
    }
    if (run->pages > pages)
        run_insert(run_split(run, pages));
    unrelease(run);
    return run;
}

static bool is_refused(size_t pages)
{
    return page_heap_fault_hook && page_heap_fault_hook(pages);
}

static struct bh_span *alloc_locked(size_t pages, size_t align_pages)
{
    struct bh_span *run = is_refused(pages) ? NULL : find_run(pages, align_pages);
    if (!run)
        return NULL;
    run = run_cut(run, skip_to_align(run, align_pages), pages);
    note_peak();
    return run;
}

/* The free run that ends where the cells at the end of its region begin, counted as one more. */
static BH_COLD struct bh_span *take_before_cells(void)
{
    struct bh_span *run = NULL;
    for (size_t i = 0; i < page_heap.regions_count && !run; i++) {
        struct page_region *region = &page_heap.regions[i];
        size_t pages = region->pages - region->cell_pages;
        run = free_run_before(region->first_page + (pages << PAGE_SHIFT));
        region->cell_pages += run != NULL;
    }
    return run;
}

BH_COLD struct bh_span *page_heap_alloc_last_locked(bool anywhere)
{
    if (is_refused(1))
        return NULL;
    struct bh_span *run = take_before_cells();
    if (!run && anywhere)
        run = run_tree_longest(page_heap.free_runs);
    if (!run)
        return NULL;
    page_heap.cell_pages++;
    return run_cut(run, run->pages - 1u, 1);
}

struct bh_span *page_heap_alloc(size_t pages, size_t align_pages)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    /* Longer than everything there is: refused before the sums above could wrap. */
    bool absurd = pages > page_heap.total_pages || align_pages > page_heap.total_pages;
    struct bh_span *run = absurd ? NULL : alloc_locked(pages, align_pages);
    spinlock_release(&page_heap.lock, irq);
    return run;
}

static void free_locked(struct bh_span *run)
{
    run->flags = 0;
    map_set_class(run, 0, run->pages, PAGE_FREE);
    run_coalesce_and_insert(run);
}

void page_heap_free(struct bh_span *run)
{
    BH_ASSERT(run->state != SPAN_FREE && run->state != SPAN_NONE);
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    free_locked(run);
    spinlock_release(&page_heap.lock, irq);
}

size_t page_heap_free_large(uintptr_t object)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    bool large = pagemap_class(object) == PAGE_MANUAL_LARGE;
    struct bh_span *span = large ? pagemap_span(object) : NULL;
    size_t pages = span && span->base == object ? span->pages : 0;
    if (pages)
        free_locked(span);
    spinlock_release(&page_heap.lock, irq);
    return pages;
}

/* ---- changing a large span's length in place, under the lock ---- */

static BH_COLD void shrink_locked(struct bh_span *span, size_t pages)
{
    struct bh_span *rest = run_split(span, pages);
    free_locked(rest);
}

static BH_COLD bool grow_locked(struct bh_span *span, size_t pages)
{
    struct bh_span *after = free_neighbour_after(span);
    size_t more = pages - span->pages;
    if (!after || after->pages < more)
        return false;
    run_remove(after);
    if (after->pages > more)
        run_insert(run_split(after, more));
    unrelease(after);
    size_t old_pages = span->pages;
    run_merge(span, after);
    map_set_span(span, old_pages, more);
    map_set_class(span, old_pages, more, span_class_byte(span));
    note_peak();
    return true;
}

BH_COLD bool page_heap_resize(struct bh_span *span, size_t pages)
{
    bool done = true;
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    if (pages < span->pages)
        shrink_locked(span, pages);
    else if (pages > span->pages)
        done = pages <= page_heap.total_pages && grow_locked(span, pages);
    if (done)
        span->object_bytes = (size_t)span->pages << PAGE_SHIFT;
    spinlock_release(&page_heap.lock, irq);
    return done;
}

/* ---- regions and release ---- */

BH_COLD void page_heap_add_locked(const struct page_region *region, bool zeroed)
{
    page_heap.regions[page_heap.regions_count] = *region;
    /* Release: pairs with page_heap_region_of(), which looks without the lock. */
    atomic_store_release(&page_heap.regions_count, page_heap.regions_count + 1);
    counter_set(&page_heap.total_pages, page_heap.total_pages + region->pages);
    counter_set(&page_heap.region_bytes, page_heap.region_bytes + region->bytes);
    page_heap.reserved_bytes += region->bytes - (region->pages << PAGE_SHIFT);
    struct bh_span *run = region->records;
    run->base = region->first_page;
    run->pages = (uint32_t)region->pages;
    run->flags = zeroed ? RUN_ZEROED : 0;
    run_insert(run);
}

BH_COLD const struct page_region *page_heap_region_of(uintptr_t address)
{
    /* Acquire: pairs with page_heap_add_locked(). Entries never change. */
    size_t count = atomic_load_acquire(&page_heap.regions_count);
    for (size_t i = 0; i < count; i++)
        if (address - page_heap.regions[i].base < page_heap.regions[i].bytes)
            return &page_heap.regions[i];
    return NULL;
}

/* ---- release ---- */

#define RELEASE_PIECE_PAGES 128   /* handed over at a time */
#define RELEASE_LOOK_PAGES  16384 /* class bytes looked at under the lock at a time */

/* How far a release has come: in the run (pages, base), the pages [0, at) are still to be seen.
 * Runs come in the tree's order, the pages of a run from its end. */
struct release {
    size_t pages;
    uintptr_t base;
    size_t at;
};

/* The run to go on with; NULL when all have been seen. */
static BH_COLD struct bh_span *release_run(struct release *release)
{
    uintptr_t before = release->at ? release->base - 1 : release->base;
    struct bh_span *run = run_tree_after(page_heap.free_runs, release->pages, before);
    if (run && (run->pages != release->pages || run->base != release->base))
        *release = (struct release){run->pages, run->base, run->pages};
    return run;
}

/* Steps down over pages whose class byte is `class_byte`, `most` at most; returns how many. */
static BH_COLD size_t release_skip(struct release *release, const struct bh_span *run,
                                   uint8_t class_byte, size_t most)
{
    const uint8_t *class_of = &pagemap_current->class_of[map_index(run->base)];
    size_t n = 0;
    while (n < most && release->at > 0 && class_of[release->at - 1] == class_byte) {
        release->at--;
        n++;
    }
    return n;
}

/* Takes the next piece that is to be handed over; false when all have been seen. *piece is NULL
 * when this look found none. */
static BH_COLD bool release_take(struct release *release, struct bh_span **piece)
{
    *piece = NULL;
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    struct bh_span *run = release_run(release);
    if (run) {
        release_skip(release, run, PAGE_RELEASED, RELEASE_LOOK_PAGES);
        size_t n = release_skip(release, run, PAGE_FREE, RELEASE_PIECE_PAGES);
        if (n)
            *piece = run_cut(run, release->at, n);
    }
    spinlock_release(&page_heap.lock, irq);
    return run;
}

static BH_COLD void release_put_back(struct bh_span *piece)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    map_set_class(piece, 0, piece->pages, PAGE_RELEASED);
    page_heap.released_pages += piece->pages;
    piece->flags |= RUN_RELEASED;
    run_coalesce_and_insert(piece);
    spinlock_release(&page_heap.lock, irq);
}

BH_COLD size_t page_heap_release(void)
{
    struct release release = {0, 0, 0};
    struct bh_span *piece;
    size_t released_bytes = 0;
    while (release_take(&release, &piece)) {
        if (!piece)
            continue;
        size_t bytes = (size_t)piece->pages << PAGE_SHIFT;
        bh_port_pages_released((void *)piece->base, bytes); /* NOLINT: an address becomes memory */
        released_bytes += bytes;
        release_put_back(piece);
    }
    return released_bytes;
}
