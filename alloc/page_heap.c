/* SPDX-License-Identifier: MIT */
/* Runs of pages. The design is in page_heap.h, the order of the free runs in run_tree.h. */
#include "alloc/page_heap.h"
#include "alloc/run_tree.h"

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

static uint8_t class_byte_of(const struct bh_span *span)
{
    if (span->kind != KIND_MANUAL)
        return PAGE_COLLECTED;
    return span->size_class ? span->size_class : PAGE_MANUAL_LARGE;
}

void page_heap_publish(struct bh_span *span)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    map_set_span(span, 0, span->pages);
    map_set_class(span, 0, span->pages, class_byte_of(span));
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
    page_heap.released_pages += run->flags & RUN_RELEASED ? run->pages : 0;
}

static void run_remove(struct bh_span *run)
{
    run_tree_remove(&page_heap.free_runs, run);
    span_set_state(run, SPAN_PRIVATE);
    counter_set(&page_heap.free_pages, page_heap.free_pages - run->pages);
    page_heap.released_pages -= run->flags & RUN_RELEASED ? run->pages : 0;
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
    left->flags &= right->flags;
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
    run->flags &= (uint8_t)~RUN_RELEASED;
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
static struct bh_span *take_before_cells(void)
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

struct bh_span *page_heap_alloc_last_locked(bool anywhere)
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

static void shrink_locked(struct bh_span *span, size_t pages)
{
    struct bh_span *rest = run_split(span, pages);
    free_locked(rest);
}

static bool grow_locked(struct bh_span *span, size_t pages)
{
    struct bh_span *after = free_neighbour_after(span);
    size_t more = pages - span->pages;
    if (!after || after->pages < more)
        return false;
    run_remove(after);
    if (after->pages > more)
        run_insert(run_split(after, more));
    size_t old_pages = span->pages;
    run_merge(span, after);
    map_set_span(span, old_pages, more);
    map_set_class(span, old_pages, more, class_byte_of(span));
    note_peak();
    return true;
}

bool page_heap_resize(struct bh_span *span, size_t pages)
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

void page_heap_add_locked(const struct page_region *region, bool zeroed)
{
    page_heap.regions[page_heap.regions_count++] = *region;
    counter_set(&page_heap.total_pages, page_heap.total_pages + region->pages);
    counter_set(&page_heap.region_bytes, page_heap.region_bytes + region->bytes);
    page_heap.reserved_bytes += region->bytes - (region->pages << PAGE_SHIFT);
    struct bh_span *run = region->records;
    run->base = region->first_page;
    run->pages = (uint32_t)region->pages;
    run->flags = zeroed ? RUN_ZEROED : 0;
    run_insert(run);
}

/* Takes the first run behind (*pages, *base) that is not released yet out of the tree. */
static struct bh_span *take_unreleased(size_t *pages, uintptr_t *base)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    struct bh_span *run = run_tree_after(page_heap.free_runs, *pages, *base);
    while (run && run->flags & RUN_RELEASED)
        run = run_tree_after(page_heap.free_runs, run->pages, run->base);
    if (run) {
        *pages = run->pages;
        *base = run->base;
        run_remove(run);
    }
    spinlock_release(&page_heap.lock, irq);
    return run;
}

size_t page_heap_release(void)
{
    size_t released_bytes = 0;
    size_t pages = 0;
    uintptr_t base = 0;
    for (struct bh_span *run; (run = take_unreleased(&pages, &base)) != NULL;) {
        size_t bytes = (size_t)run->pages << PAGE_SHIFT;
        bh_port_pages_released((void *)run->base, bytes); /* NOLINT: an address becomes memory */
        released_bytes += bytes;
        run->flags |= RUN_RELEASED;
        uintptr_t irq = spinlock_acquire(&page_heap.lock);
        run_coalesce_and_insert(run);
        spinlock_release(&page_heap.lock, irq);
    }
    return released_bytes;
}
