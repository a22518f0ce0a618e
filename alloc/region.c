/* SPDX-License-Identifier: MIT */
/*
 * Making the heap from regions, and adding more.
 *
 *   [ page map, if this region holds it | records | slack ][ pages ............. ][ slack ]
 *   base                                                   first_page                 end
 *
 * 1. Every region is checked against the rules and against the others before anything is written.
 * 2. One record per page is reserved at the region's start; what is left over at both ends
 *    becomes metadata cells.
 * 3. The page map covers the hull of all regions. It lies in the largest of the first ones; a
 *    region added outside the hull brings a new map, and the old one is left where it is.
 * 4. In a region known to be zero nothing is cleared, so that of memory which comes with the first
 *    touch only the parts that say something are touched.
 *
 * Not here: what pages are used for (page_heap.h).
 */
#include "alloc/meta.h"
#include "alloc/page_heap.h"
#include "kernel-lib/memory.h"
#include "kernel-lib/print.h"

/* The map may take at most this part of the region that holds it. */
#define MAP_SHARE (BH_HARDEN ? 8 : 16) /* whose entries are twice as long */
/* But this much in any case, or tiny regions could have no map. */
#define MAP_ALWAYS_BYTES 512
#define MAP_POINTERS     (BH_HARDEN ? 2u : 1u)
#define MAP_ENTRY_BYTES  (sizeof(uint8_t) + MAP_POINTERS * sizeof(struct bh_span *))

static const char *const status_texts[] = {
    [BH_OK] = "ok",
    [BH_NO_REGION] = "no region of memory was given",
    [BH_NULL_REGION] = "a region starts at address 0 or wraps around the address space",
    [BH_TOO_SMALL] = "a region has no room for its metadata and a page of 8 KiB",
    [BH_UNALIGNED] = "a region's start is not a multiple of 16",
    [BH_OVERLAP] = "two regions share memory",
    [BH_TOO_MANY_REGIONS] = "more regions than BH_MAX_REGIONS",
    [BH_TOO_MANY_CORES] = "bh_port_core_count() is 0 or more than BH_MAX_CORES",
    [BH_TOO_FAR] = "regions lie too far apart for one page map",
    [BH_TWICE] = "bh_init() was called before",
    [BH_NOT_INIT] = "bh_add_region() was called before bh_init()",
};

const char *bh_status_text(enum bh_status status)
{
    size_t count = sizeof(status_texts) / sizeof(status_texts[0]);
    return (size_t)status < count ? status_texts[status] : "unknown status";
}

/* Pages that some region touches, partly or wholly. */
struct hull {
    uintptr_t first_page;
    uintptr_t end_page;
};

static uintptr_t region_end(const struct bh_region *region)
{
    return (uintptr_t)region->base + region->bytes;
}

static bool hull_holds(const struct hull *hull, const struct bh_region *region)
{
    return (uintptr_t)region->base >> PAGE_SHIFT >= hull->first_page &&
           (region_end(region) - 1) >> PAGE_SHIFT < hull->end_page;
}

static BH_COLD struct hull hull_with(struct hull hull, const struct bh_region *region)
{
    uintptr_t first = (uintptr_t)region->base >> PAGE_SHIFT;
    uintptr_t end = ((region_end(region) - 1) >> PAGE_SHIFT) + 1;
    bool empty = hull.first_page == hull.end_page;
    return (struct hull){.first_page = empty || first < hull.first_page ? first : hull.first_page,
                         .end_page = empty || end > hull.end_page ? end : hull.end_page};
}

static size_t map_bytes(const struct hull *hull)
{
    size_t entries = hull->end_page - hull->first_page;
    return bits_round_up(sizeof(struct pagemap) + entries * MAP_ENTRY_BYTES, 64);
}

/* ---- validate ---- */

static BH_COLD enum bh_status check_region(const struct bh_region *region)
{
    uintptr_t base = (uintptr_t)region->base;
    if (base == 0 || base + region->bytes < base)
        return BH_NULL_REGION;
    if (base % 16 != 0)
        return BH_UNALIGNED;
    return region->bytes < PAGE_BYTES ? BH_TOO_SMALL : BH_OK;
}

static bool overlaps(const struct bh_region *a, uintptr_t base, size_t bytes)
{
    return (uintptr_t)a->base < base + bytes && base < region_end(a);
}

static BH_COLD bool overlaps_heap(const struct bh_region *region)
{
    for (size_t i = 0; i < page_heap.regions_count; i++)
        if (overlaps(region, page_heap.regions[i].base, page_heap.regions[i].bytes))
            return true;
    return false;
}

static BH_COLD bool overlaps_one_of(const struct bh_region *regions, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (overlaps(&regions[i], (uintptr_t)regions[j].base, regions[j].bytes))
            return true;
    return false;
}

/* What is wrong with the list; if it is one region, *culprit. */
static BH_COLD enum bh_status check_all(const struct bh_region *regions, size_t count,
                                        const struct bh_region **culprit)
{
    if (page_heap.regions_count)
        return BH_TWICE;
    if (!regions || count == 0)
        return BH_NO_REGION;
    if (count > BH_MAX_REGIONS)
        return BH_TOO_MANY_REGIONS;
    if (bh_port_core_count() == 0 || bh_port_core_count() > BH_MAX_CORES)
        return BH_TOO_MANY_CORES;
    for (size_t i = 0; i < count; i++) {
        *culprit = &regions[i];
        enum bh_status status = check_region(&regions[i]);
        if (status != BH_OK)
            return status;
        if (overlaps_one_of(regions, i))
            return BH_OVERLAP;
    }
    return BH_OK;
}

static BH_COLD enum bh_status check_added(const struct bh_region *region)
{
    /* Relaxed: 0 only until bh_init() has returned, which the caller knows. */
    if (atomic_load_relaxed(&page_heap.region_bytes) == 0)
        return BH_NOT_INIT;
    return region ? check_region(region) : BH_NULL_REGION;
}

/* ---- compute ---- */

/* Where the map starts, or the records if the region holds no map. */
static uintptr_t region_start(const struct bh_region *region)
{
    return bits_round_up((uintptr_t)region->base, 64);
}

/* Cuts a region with `reserved` bytes (a multiple of 64) in front of the records. False: no room
 * for one page. */
static BH_COLD bool region_cut(const struct bh_region *region, size_t reserved,
                               struct page_region *cut)
{
    uintptr_t records = region_start(region) + reserved;
    uintptr_t end = region_end(region);
    size_t pages = records < end ? (end - records) / (PAGE_BYTES + sizeof(struct bh_span)) : 0;
    uintptr_t first = 0;
    if (pages > UINT32_MAX)
        pages = UINT32_MAX;      /* 32 TiB: a record counts no more */
    for (; pages > 0; pages--) { /* twice at most: rounding costs less than a page */
        first = bits_round_up(records + pages * sizeof(struct bh_span), PAGE_BYTES);
        if (first + (pages << PAGE_SHIFT) <= end)
            break;
    }
    *cut = (struct page_region){.base = (uintptr_t)region->base,
                                .bytes = region->bytes,
                                .first_page = first,
                                .pages = pages,
                                .records = (struct bh_span *)records}; /* NOLINT: memory */
    return pages > 0;
}

/* ---- commit ---- */

#if BH_HARDEN
static BH_COLD void map_set_states(struct pagemap *map)
{
    map->states_of = (uint8_t **)(map->span_of + map->pages);
}

static BH_COLD void map_copy_states(struct pagemap *to, const struct pagemap *from, size_t skip)
{
    memcpy(to->states_of + skip, from->states_of, from->pages * sizeof(to->states_of[0]));
}
#else
static inline void map_set_states(struct pagemap *map)
{
    (void)map;
}

static inline void map_copy_states(struct pagemap *to, const struct pagemap *from, size_t skip)
{
    (void)to, (void)from, (void)skip;
}
#endif

static BH_COLD struct pagemap *map_build(uintptr_t at, const struct hull *hull)
{
    struct pagemap *map = (struct pagemap *)at; /* NOLINT: an address becomes memory */
    size_t pages = hull->end_page - hull->first_page;
    map->first_page = hull->first_page;
    map->pages = pages;
    map->span_of = (struct bh_span **)(map + 1);
    map->class_of = (uint8_t *)(map->span_of + pages * MAP_POINTERS);
    map_set_states(map);
    return map;
}

static BH_COLD void map_copy(struct pagemap *to, const struct pagemap *from)
{
    if (from->pages == 0)
        return;
    size_t skip = from->first_page - to->first_page;
    memcpy(to->class_of + skip, from->class_of, from->pages);
    memcpy(to->span_of + skip, from->span_of, from->pages * sizeof(to->span_of[0]));
    map_copy_states(to, from, skip);
}

/* The hull that the map must be made anew for, in *hull; false when the current map will do. */
static BH_COLD bool map_is_outgrown(const struct bh_region *region, struct hull *hull)
{
    struct hull now = {pagemap_current->first_page,
                       pagemap_current->first_page + pagemap_current->pages};
    if (pagemap_current->pages == 0)
        return true; /* bh_init(): *hull is that of all its regions */
    *hull = hull_with(now, region);
    return !hull_holds(&now, region);
}

/* What adding a region comes to, as long as nobody adds another one in between. */
struct plan {
    struct page_region cut;
    struct hull hull; /* of the new map; means nothing without one */
    bool new_map;
};

static BH_COLD enum bh_status plan_locked(const struct bh_region *region, const struct hull *first,
                                          struct plan *plan)
{
    if (page_heap.regions_count == BH_MAX_REGIONS)
        return BH_TOO_MANY_REGIONS;
    if (overlaps_heap(region))
        return BH_OVERLAP;
    plan->hull = *first;
    plan->new_map = map_is_outgrown(region, &plan->hull);
    size_t reserved = plan->new_map ? map_bytes(&plan->hull) : 0;
    if (reserved > region->bytes / MAP_SHARE && reserved > MAP_ALWAYS_BYTES)
        return BH_TOO_FAR;
    return region_cut(region, reserved, &plan->cut) ? BH_OK : BH_TOO_SMALL;
}

static bool plan_holds(const struct plan *plan, const struct plan *now)
{
    return plan->new_map == now->new_map && plan->hull.first_page == now->hull.first_page &&
           plan->hull.end_page == now->hull.end_page;
}

static uintptr_t records_end(const struct page_region *cut)
{
    return (uintptr_t)cut->records + cut->pages * sizeof(struct bh_span);
}

static BH_COLD void commit_locked(const struct bh_region *region, const struct plan *plan)
{
    const struct page_region *cut = &plan->cut;
    if (plan->new_map) {
        struct pagemap *map = map_build(region_start(region), &plan->hull);
        map_copy(map, pagemap_current);
        /* Release: pairs with the dependent loads in pagemap_class() and pagemap_span(). */
        atomic_store_release(&pagemap_current, map);
    }
    meta_feed_locked(records_end(cut), cut->first_page);
    meta_feed_locked(cut->first_page + (cut->pages << PAGE_SHIFT), region_end(region));
    page_heap_add_locked(cut, region);
}

/* Metadata is cleared between two looks at the heap, without the lock: there may be a lot of it,
 * and until the commit the region is nobody's. `first` is the hull of the first regions. */
static BH_COLD enum bh_status add(const struct bh_region *region, const struct hull *first)
{
    struct plan plan;
    struct plan now;
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    enum bh_status status = plan_locked(region, first, &plan);
    while (status == BH_OK) {
        spinlock_release(&page_heap.lock, irq);
        uintptr_t start = region_start(region);
        if (!region->zeroed)
            memset((void *)start, 0, records_end(&plan.cut) - start); /* NOLINT: memory */
        irq = spinlock_acquire(&page_heap.lock);
        status = plan_locked(region, first, &now);
        if (status == BH_OK && plan_holds(&plan, &now)) {
            commit_locked(region, &plan);
            break;
        }
        plan = now;
    }
    spinlock_release(&page_heap.lock, irq);
    return status;
}

static BH_COLD enum bh_status report(enum bh_status status, const char *call,
                                     const struct bh_region *region)
{
    if (status != BH_OK && region)
        print_log("bareheap: %s: %s (region %p, %zu bytes)\n", call, bh_status_text(status),
                  region->base, region->bytes);
    else if (status != BH_OK)
        print_log("bareheap: %s: %s\n", call, bh_status_text(status));
    return status;
}

/* ---- public ---- */

static BH_COLD size_t largest_of(const struct bh_region *regions, size_t count)
{
    size_t largest = 0;
    for (size_t i = 1; i < count; i++)
        if (regions[i].bytes > regions[largest].bytes)
            largest = i;
    return largest;
}

BH_COLD enum bh_status bh_init(const struct bh_region *regions, size_t count)
{
    const struct bh_region *culprit = NULL;
    enum bh_status status = check_all(regions, count, &culprit);
    if (status != BH_OK)
        return report(status, "bh_init", culprit);
    struct hull hull = {0, 0};
    for (size_t i = 0; i < count; i++)
        hull = hull_with(hull, &regions[i]);
    size_t holder = largest_of(regions, count);
    status = add(&regions[holder], &hull);
    if (status != BH_OK)
        return report(status, "bh_init", &regions[holder]);
    /* From here on the heap works; a further region that is too small is only left out. */
    for (size_t i = 0; i < count; i++)
        if (i != holder)
            report(add(&regions[i], &hull), "bh_init", &regions[i]);
    return BH_OK;
}

BH_COLD enum bh_status bh_add_region_with(const struct bh_region *region)
{
    struct hull hull = {0, 0};
    enum bh_status status = check_added(region);
    if (status == BH_OK)
        status = add(region, &hull);
    return report(status, "bh_add_region", region);
}

BH_COLD enum bh_status bh_add_region(void *base, size_t bytes)
{
    struct bh_region region = {.base = base, .bytes = bytes};
    return bh_add_region_with(&region);
}
