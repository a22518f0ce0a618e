/* SPDX-License-Identifier: MIT */
/*
 * The page heap: runs of pages, and the page map that says what each page is.
 *
 * 1. Every page of every region is in exactly one run: free (in the trees of run_tree.h) or not.
 * 2. A request takes the best fit and puts back what is over; freeing joins a run with free
 *    neighbours, found through the page map's entries for the pages just outside.
 * 3. All it needs to know about a run is in the record of the run's first page, reserved in the
 *    region when it was added: the heap grows and shrinks without allocating.
 * 4. A large manual object is in the page map with its first page only, the one pointer to it
 *    that anybody may free: so its length costs nothing. All other spans are there with every page.
 * 5. Free pages are PAGE_FREE in the map, or bear a mark of the scavenger's (scavenge.h), which
 * goes when they are taken; joining and cutting runs looks at no page.
 * 6. Pages that are known to be zero are [fresh_from, fresh_end), of the largest region that was:
 * best fit takes low addresses first, so one mark will do, and joining runs forgets nothing.
 * 7. While eager release is on, what is freed waits in `deferred` until a core with interrupts on
 * has handed it to the port; a request that finds nothing else takes it back from there.
 *
 * Lock: page_heap.lock (LOCK_PAGE_HEAP) protects the trees, the regions, the page map's entries,
 * the records of free runs, and the metadata cells (meta.h). Nothing is taken inside it.
 * Not here: what a span holds (span.h), cells of metadata (meta.h), adding regions (region.c),
 * handing pages to the port (scavenge.h).
 */
#ifndef ALLOC_PAGE_HEAP_H
#define ALLOC_PAGE_HEAP_H

#include "alloc/run_tree.h"
#include "alloc/types.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/spinlock.h"
#include <bareheap/alloc.h>
#include <bareheap/port.h>

/* A region as it was cut up: [base, first_page) metadata, then the pages, then less than one. */
struct page_region {
    uintptr_t base;
    size_t bytes;
    uintptr_t first_page; /* address, a multiple of PAGE_BYTES */
    size_t pages;
    size_t cell_pages;       /* the last of them, in one piece: metadata cells */
    struct bh_span *records; /* one per page */
};

struct page_heap {
    struct spinlock lock;
    struct run_trees free_runs;
    size_t total_pages; /* total_pages == free_pages + pages of all other runs */
    size_t free_pages;
    size_t released_pages; /* of the free ones: those with the class byte PAGE_RELEASED */
    size_t cell_pages;     /* taken by meta.c for cells */
    size_t peak_pages;     /* the most that has been in use, cells not counted */
    size_t large_objs;     /* large manual objects, */
    size_t large_pages;    /* and their pages */
    uintptr_t fresh_from;  /* addresses: nobody had these pages, and they were zero */
    uintptr_t fresh_end;
    bool fresh_virgin;        /* and there is no memory behind them yet */
    struct bh_span *deferred; /* freed, and not yet handed over: by tree.left; SPAN_PRIVATE */
    size_t deferred_runs;
    size_t region_bytes;
    size_t reserved_bytes; /* of the regions, not pages: records, map, slack */
    size_t regions_count;
    struct page_region regions[BH_MAX_REGIONS];
};

extern struct page_heap page_heap;

/*
 * A run of `pages` pages whose address is a multiple of align_pages pages (a power of two), or
 * NULL. State SPAN_PRIVATE, not in the page map: the caller makes a span of it, or keeps it.
 */
struct bh_span *page_heap_alloc(size_t pages, size_t align_pages);

/* Takes any run but a free one back: out of the page map, joined with its neighbours. */
void page_heap_free(struct bh_span *run);

/* Shows the span in the page map: from here on its addresses are found, and unless its owner has
 * given it a state its state is SPAN_IN_USE. */
void page_heap_publish(struct bh_span *span);

/* The same for a large manual object: its span as span_init_large() makes it, published. */
struct bh_span *page_heap_alloc_large(size_t pages, size_t align_pages);

/*
 * Takes a large manual span out of the page map and back, if `object` is its first byte and it is
 * still there; else false. One of two cores that free the same object gets the false.
 */
bool page_heap_free_large(uintptr_t object);

/* The same, but the span is the caller's, who gives it to page_heap_free(); NULL instead of false.
 */
struct bh_span *page_heap_take_large(uintptr_t object);

/*
 * Cuts a run that is the caller's, private or a large manual object, behind `pages` pages: what is
 * left over is returned, SPAN_PRIVATE. And the reverse, for a large object and a run that begins
 * where it ends.
 */
struct bh_span *page_heap_part(struct bh_span *run, size_t pages);
void page_heap_attach(struct bh_span *span, struct bh_span *run);

/* Makes a large manual object `pages` pages long without moving it; false when what follows it is
 * not free or too short. Shrinking always works. */
bool page_heap_resize(struct bh_span *span, size_t pages);

/* Pages in use, a racy look for budgets. */
static inline size_t page_heap_used_bytes(void)
{
    /* Relaxed: a figure to scale by, nothing is read on the strength of it. */
    size_t total = atomic_load_relaxed(&page_heap.total_pages);
    size_t free_pages = atomic_load_relaxed(&page_heap.free_pages);
    return total > free_pages ? (total - free_pages) << PAGE_SHIFT : 0;
}

/* The region that holds an address, or NULL. */
const struct page_region *page_heap_region_of(uintptr_t address);

/* The head of the run that the page of an address is in, by a search through the records: for
 * messages. NULL when it is in no region's pages. */
struct bh_span *page_heap_run_at(uintptr_t address);

/* Under the lock, for the scavenger: takes [skip, skip + pages) out of a free run, which leaves its
 * marks in the page map to the caller; and makes a run that is not in the map, but for marks on its
 * pages that `flags` tell of, free. */
struct bh_span *page_heap_cut_locked(struct bh_span *run, size_t skip, size_t pages);
void page_heap_join_locked(struct bh_span *run);

/* Under the lock: parts a run that is not free; what is behind `pages` pages is the run returned.
 */
struct bh_span *page_heap_split_locked(struct bh_span *run, size_t pages);

/*
 * What eager release (scavenge.h) changes about freeing; NULL unless it has been on. So that
 * kernels that do not want it need not link it.
 */
struct page_heap_eager {
    bool (*defer)(
        struct bh_span *run); /* under the lock: false when the run is to be free at once */
    bool (*undefer)(void);    /* under the lock: frees what is deferred; false: nothing */
    void (*hand_over)(void);  /* no lock held: as far as it may here */
    void (*verify)(void);     /* its part of bh_heap_verify() */
};
extern const struct page_heap_eager *page_heap_eager;

/* For whoever has freed something, when it holds no lock any more. */
static inline void page_heap_hand_over(void)
{
    /* Relaxed: set once, to a constant. */
    const struct page_heap_eager *eager = atomic_load_relaxed(&page_heap_eager);
    if (BH_UNLIKELY(eager))
        eager->hand_over();
}

/* Under the lock: gives the pages of a new region to the tree. */
void page_heap_add_locked(const struct page_region *cut, const struct bh_region *region);

/* Under the lock: free pages that have no memory behind them: released, or never touched. */
size_t page_heap_unbacked_pages_locked(void);

/*
 * Under the lock: one page for metadata, which keeps it, or NULL. Such pages gather at the end of a
 * region and leave what programs free in one piece: it is the page before the last one taken. If
 * that is in use, NULL; or, with `anywhere`, the end of the longest run.
 */
struct bh_span *page_heap_alloc_last_locked(bool anywhere);

/* Under the lock: total_pages - free_pages - cell_pages, what spans and the collector have. */
size_t page_heap_used_pages_locked(void);

/* For tests: asked before every request for pages; true makes that request fail. */
extern bool (*page_heap_fault_hook)(size_t pages);

/* The class byte of an address: page_class_is_free() for all that is not an object's. */
static inline unsigned pagemap_class(uintptr_t address)
{
    /* A new map is published with release (region.c). An old one is right for every object that
     * was allocated before it was replaced. */
    const struct pagemap *map = atomic_load_dependent(&pagemap_current);
    uintptr_t page = (address >> PAGE_SHIFT) - map->first_page;
    if (BH_UNLIKELY(page >= map->pages))
        return PAGE_FREE;
    /* Acquire: pairs with page_heap_publish(), for those who go on to the span. */
    return atomic_load_acquire(&map->class_of[page]);
}

/*
 * The same for a pointer that is being freed, on its way to a bin. A plain load: the object is the
 * caller's, so its entry was written before the caller had it and nobody writes it now. For a
 * pointer that is not, any answer will do: the paths that go on to a span look again.
 */
BH_INLINE size_t pagemap_class_fast(uintptr_t address)
{
    const struct pagemap *map = atomic_load_dependent(&pagemap_current);
    uintptr_t page = (address >> PAGE_SHIFT) - map->first_page;
    if (BH_UNLIKELY(page >= map->pages))
        return PAGE_FREE;
    return map->class_of[page];
}

/* Whether no object begins in a page with this class byte. */
static inline bool page_class_is_free(unsigned class_byte)
{
    return class_byte == PAGE_FREE || class_byte - PAGE_RELEASED < PAGE_MARKS;
}

/* The span of an address whose class byte is not free. */
static inline struct bh_span *pagemap_span(uintptr_t address)
{
    const struct pagemap *map = atomic_load_dependent(&pagemap_current); /* as above */
    return map->span_of[(address >> PAGE_SHIFT) - map->first_page];
}

#endif
