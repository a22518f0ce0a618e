/* SPDX-License-Identifier: MIT */
/* Runs of pages. The design is in page_heap.h. */
#include "alloc/page_heap.h"
#include "alloc/harden.h"
#include "alloc/poison.h"
#include "alloc/span.h"

struct page_heap page_heap __attribute__((aligned(ARCH_CACHE_LINE))) = {
    .lock = SPINLOCK_INIT(LOCK_PAGE_HEAP, "page heap")};
bool (*page_heap_fault_hook)(size_t pages);
const struct page_heap_eager *page_heap_eager;

/* Before bh_init() no address is ours. */
static struct pagemap pagemap_empty;
/* In a line of its own: every free reads it. */
struct pagemap *pagemap_current __attribute__((aligned(ARCH_CACHE_LINE))) = &pagemap_empty;

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
static void map_set_class(struct bh_span *head, size_t pages, uint8_t class_byte)
{
    uint8_t *class_of = &pagemap_current->class_of[map_index(head->base)];
    for (size_t i = 0; i < pages; i++)
        atomic_store_release(&class_of[i], class_byte);
}

/* Pages of a span that are in the map; of a run that is no span, any answer will do. */
static size_t mapped_pages(const struct bh_span *span)
{
    return span_class_byte(span) == PAGE_MANUAL_LARGE ? 1 : span->pages;
}

static void count_large(size_t objs, size_t pages)
{
    page_heap.large_objs += objs;
    page_heap.large_pages += pages;
}

static void publish_locked(struct bh_span *span)
{
    if (span->state == SPAN_PRIVATE)
        span_set_state(span, SPAN_IN_USE);
    if (span_class_byte(span) == PAGE_MANUAL_LARGE)
        count_large(1, span->pages);
    harden_publish(span);
    map_set_span(span, 0, mapped_pages(span));
    map_set_class(span, mapped_pages(span), span_class_byte(span));
}

void page_heap_publish(struct bh_span *span)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    publish_locked(span);
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

struct bh_span *page_heap_split_locked(struct bh_span *run, size_t pages)
{
    struct bh_span *rest = run + pages;
    rest->base = run->base + (pages << PAGE_SHIFT);
    rest->pages = run->pages - (uint32_t)pages;
    rest->flags = run->flags;
    span_set_state(rest, SPAN_PRIVATE);
    run->pages = (uint32_t)pages;
    return rest;
}

/* `right` begins where `left` ends; both are out of the trees. */
static struct bh_span *run_merge(struct bh_span *left, struct bh_span *right)
{
    left->pages += right->pages;
    left->flags |= right->flags;
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

void page_heap_join_locked(struct bh_span *run)
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

/* The shortest run whose aligned part is long enough, but that of runs equally long only the lowest
 * is tried. Ends at the latest with one that has align_pages - 1 pages to spare. */
static struct bh_span *find_run(size_t pages, size_t align_pages)
{
    size_t least = pages;
    for (;;) {
        struct bh_span *run = run_tree_best_fit(&page_heap.free_runs, least);
        if (!run || skip_to_align(run, align_pages) + pages <= run->pages)
            return run;
        least = run->pages + (size_t)1;
    }
}

/* Takes the scavenger's marks off a run that is about to be used: its pages are the kernel's no
 * more. */
static BH_COLD void unmark(struct bh_span *run)
{
    uint8_t *class_of = &pagemap_current->class_of[map_index(run->base)];
    for (size_t i = 0; i < run->pages; i++) {
        page_heap.released_pages -= class_of[i] == PAGE_RELEASED;
        atomic_store_relaxed(&class_of[i], PAGE_FREE); /* one way of saying free for another */
    }
}

/* `run` leaves the free ones for good: no marks, and fresh no more. */
static void take_for_use(struct bh_span *run)
{
    uintptr_t end = run->base + ((uintptr_t)run->pages << PAGE_SHIFT);
    if (run->flags & RUN_MARKED)
        unmark(run);
    run->flags = 0;
    if (end <= page_heap.fresh_from || run->base >= page_heap.fresh_end)
        return;
    if (run->base >= page_heap.fresh_from)
        run->flags = RUN_ZEROED;
    page_heap.fresh_from = end;
}

struct bh_span *page_heap_cut_locked(struct bh_span *run, size_t skip, size_t pages)
{
    run_remove(run);
    if (skip) {
        struct bh_span *wanted = page_heap_split_locked(run, skip);
        run_insert(run);
        run = wanted;
    }
    if (run->pages > pages)
        run_insert(page_heap_split_locked(run, pages));
    return run;
}

static bool is_refused(size_t pages)
{
    return page_heap_fault_hook && page_heap_fault_hook(pages);
}

static struct bh_span *alloc_locked(size_t pages, size_t align_pages)
{
    /* Longer than everything there is: refused before the sums above could wrap. */
    if (pages > page_heap.total_pages || align_pages > page_heap.total_pages || is_refused(pages))
        return NULL;
    struct bh_span *run = find_run(pages, align_pages);
    if (!run && page_heap_eager && page_heap_eager->undefer())
        run = find_run(pages, align_pages);
    if (!run)
        return NULL;
    run = page_heap_cut_locked(run, skip_to_align(run, align_pages), pages);
    take_for_use(run);
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
        run = run_tree_longest(&page_heap.free_runs);
    if (!run)
        return NULL;
    page_heap.cell_pages++;
    run = page_heap_cut_locked(run, run->pages - 1u, 1);
    if (run->flags & RUN_MARKED)
        unmark(run);
    if (run->base >= page_heap.fresh_from && run->base < page_heap.fresh_end)
        page_heap.fresh_end = run->base; /* metadata it stays */
    return run;
}

struct bh_span *page_heap_alloc(size_t pages, size_t align_pages)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    struct bh_span *run = alloc_locked(pages, align_pages);
    spinlock_release(&page_heap.lock, irq);
    return run;
}

struct bh_span *page_heap_alloc_large(size_t pages, size_t align_pages)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    struct bh_span *span = alloc_locked(pages, align_pages);
    if (span) {
        span_make_large(span, KIND_MANUAL);
        publish_locked(span);
    }
    spinlock_release(&page_heap.lock, irq);
    return span;
}

/* ---- giving back, under the lock ---- */

static void free_locked(struct bh_span *run)
{
    map_set_class(run, mapped_pages(run), PAGE_FREE);
    run->flags = 0;
    poison_lay(run->base, (size_t)run->pages << PAGE_SHIFT);
    if (!page_heap_eager || !page_heap_eager->defer(run))
        page_heap_join_locked(run);
}

void page_heap_free(struct bh_span *run)
{
    BH_ASSERT(run->state != SPAN_FREE && run->state != SPAN_NONE);
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    free_locked(run);
    spinlock_release(&page_heap.lock, irq);
}

/* The large manual span whose first byte this is, or NULL. */
static struct bh_span *large_span_at(uintptr_t object)
{
    struct bh_span *span = pagemap_class(object) == PAGE_MANUAL_LARGE ? pagemap_span(object) : NULL;
    if (span)
        harden_check_record(span);
    return span && span->base == object ? span : NULL;
}

bool page_heap_free_large(uintptr_t object)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    struct bh_span *span = large_span_at(object);
    if (span) {
        count_large((size_t)-1, -(size_t)span->pages);
        free_locked(span);
    }
    spinlock_release(&page_heap.lock, irq);
    return span;
}

/* ---- changing a large object's length in place, under the lock ---- */

static BH_COLD bool grow_locked(struct bh_span *span, size_t pages)
{
    struct bh_span *after = free_neighbour_after(span);
    size_t more = pages - span->pages;
    if (!after || after->pages < more)
        return false;
    after = page_heap_cut_locked(after, 0, more);
    take_for_use(after);
    run_merge(span, after);
    span->flags &= (uint8_t)~RUN_ZEROED; /* only part of it is fresh, if any */
    note_peak();
    return true;
}

/* What is behind `pages` pages becomes a private run that, like the large object it was part of,
 * is in the map with its first page at most. */
static BH_COLD struct bh_span *part_locked(struct bh_span *run, size_t pages)
{
    struct bh_span *rest = page_heap_split_locked(run, pages);
    rest->kind = KIND_MANUAL;
    rest->size_class = 0;
    return rest;
}

static BH_COLD bool resize_locked(struct bh_span *span, size_t pages)
{
    size_t before = span->pages;
    if (pages > before && (pages > page_heap.total_pages || !grow_locked(span, pages)))
        return false;
    if (pages < before)
        free_locked(part_locked(span, pages));
    count_large(0, pages - before);
    harden_seal(span);
    return true;
}

BH_COLD bool page_heap_resize(struct bh_span *span, size_t pages)
{
    BH_ASSERT(span_class_byte(span) == PAGE_MANUAL_LARGE);
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    bool done = resize_locked(span, pages);
    spinlock_release(&page_heap.lock, irq);
    page_heap_hand_over();
    return done;
}

/* ---- runs in private hands (guard.h) ---- */

struct bh_span *page_heap_take_large(uintptr_t object)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    struct bh_span *span = large_span_at(object);
    if (span) {
        count_large((size_t)-1, -(size_t)span->pages);
        map_set_class(span, 1, PAGE_FREE);
        span_set_state(span, SPAN_PRIVATE);
    }
    spinlock_release(&page_heap.lock, irq);
    return span;
}

struct bh_span *page_heap_part(struct bh_span *run, size_t pages)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    struct bh_span *rest = part_locked(run, pages);
    rest->flags &= RUN_ZEROED;
    if (span_is_span(run)) {
        count_large(0, -(size_t)rest->pages);
        harden_seal(run);
    }
    spinlock_release(&page_heap.lock, irq);
    return rest;
}

void page_heap_attach(struct bh_span *span, struct bh_span *run)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    count_large(0, run->pages);
    run_merge(span, run);
    span->flags &= (uint8_t)~RUN_ZEROED;
    harden_seal(span);
    spinlock_release(&page_heap.lock, irq);
}

/* ---- regions ---- */

BH_COLD size_t page_heap_unbacked_pages_locked(void)
{
    size_t fresh_pages = (page_heap.fresh_end - page_heap.fresh_from) >> PAGE_SHIFT;
    return page_heap.released_pages + (page_heap.fresh_virgin ? fresh_pages : 0);
}

/* Of several zeroed regions the largest is remembered as such. */
static BH_COLD void note_fresh(const struct page_region *cut, const struct bh_region *region)
{
    size_t bytes = cut->pages << PAGE_SHIFT;
    if (!region->zeroed || bytes <= page_heap.fresh_end - page_heap.fresh_from)
        return;
    page_heap.fresh_from = cut->first_page;
    page_heap.fresh_end = cut->first_page + bytes;
    page_heap.fresh_virgin = region->virgin;
}

BH_COLD void page_heap_add_locked(const struct page_region *cut, const struct bh_region *region)
{
    page_heap.regions[page_heap.regions_count] = *cut;
    /* Release: pairs with page_heap_region_of(), which looks without the lock. */
    atomic_store_release(&page_heap.regions_count, page_heap.regions_count + 1);
    counter_set(&page_heap.total_pages, page_heap.total_pages + cut->pages);
    counter_set(&page_heap.region_bytes, page_heap.region_bytes + cut->bytes);
    page_heap.reserved_bytes += cut->bytes - (cut->pages << PAGE_SHIFT);
    struct bh_span *run = cut->records;
    run->base = cut->first_page;
    run->pages = (uint32_t)cut->pages;
    run->flags = 0;
    note_fresh(cut, region);
    poison_lay(run->base, cut->pages << PAGE_SHIFT);
    run_insert(run);
}

BH_COLD const struct page_region *page_heap_region_of(uintptr_t address)
{
    /* Acquire: pairs with page_heap_add_locked(). Of an entry only cell_pages changes, under the
     * lock. */
    size_t count = atomic_load_acquire(&page_heap.regions_count);
    for (size_t i = 0; i < count; i++)
        if (address - page_heap.regions[i].base < page_heap.regions[i].bytes)
            return &page_heap.regions[i];
    return NULL;
}

BH_COLD struct bh_span *page_heap_run_at(uintptr_t address)
{
    const struct page_region *region = page_heap_region_of(address);
    if (!region || address - region->first_page >= region->pages << PAGE_SHIFT)
        return NULL;
    struct bh_span *run = &region->records[(address - region->first_page) >> PAGE_SHIFT];
    /* Relaxed: as span_is_free_run(). */
    while (run > region->records && atomic_load_relaxed(&run->state) == SPAN_NONE)
        run--;
    return run;
}
