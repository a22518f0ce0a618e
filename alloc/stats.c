/* SPDX-License-Identifier: MIT */
/*
 * Where the memory is, and giving it back. The fast paths count nothing: how many objects are
 * handed out follows from what left the spans less what the caches hold.
 */
#include "alloc/cache.h"
#include "alloc/central.h"
#include "alloc/guard.h"
#include "alloc/meta.h"
#include "alloc/page_heap.h"
#include "alloc/room.h"
#include "alloc/scavenge.h"
#include "alloc/walk.h"

static BH_COLD void add_class(struct bh_stats *stats, unsigned size_class)
{
    size_t out_objs;
    size_t cached_objs;
    size_t object_bytes = size_classes[size_class].object_bytes;
    central_count(size_class, &out_objs, &cached_objs);
    for (unsigned core = 0; core < bh_port_core_count(); core++)
        cached_objs += cache_bin_look(core, size_class);
    if (cached_objs > out_objs)
        cached_objs = out_objs; /* they moved while we looked */
    stats->cached_bytes += cached_objs * object_bytes;
    stats->manual_objects += out_objs - cached_objs;
    stats->manual_bytes += (out_objs - cached_objs) * object_bytes;
}

static BH_COLD void add_pages(struct bh_stats *stats)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    const struct bh_span *longest = run_tree_longest(&page_heap.free_runs);
    size_t cells = page_heap.cell_pages << PAGE_SHIFT;
    stats->region_bytes = page_heap.region_bytes;
    stats->metadata_bytes = page_heap.reserved_bytes + cells;
    stats->heap_bytes = page_heap_used_pages_locked() << PAGE_SHIFT;
    stats->heap_peak_bytes = page_heap.peak_pages << PAGE_SHIFT;
    stats->free_page_bytes = page_heap.free_pages << PAGE_SHIFT;
    stats->released_bytes = page_heap_unbacked_pages_locked() << PAGE_SHIFT;
    stats->manual_objects = page_heap.large_objs;
    stats->manual_bytes = page_heap.large_pages << PAGE_SHIFT;
    stats->largest_run_bytes = longest ? (size_t)longest->pages << PAGE_SHIFT : 0;
    spinlock_release(&page_heap.lock, irq);
}

BH_COLD void bh_get_stats(struct bh_stats *stats)
{
    *stats = (struct bh_stats){0};
    add_pages(stats);
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++)
        add_class(stats, i);
    if (BH_HARDEN)
        stats->cached_bytes += guard_stock_bytes();
    stats->collected_bytes = room_collected_bytes();
    stats->failures = room_failures();
}

BH_COLD void bh_reset_peak(void)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    page_heap.peak_pages = page_heap_used_pages_locked();
    spinlock_release(&page_heap.lock, irq);
}

BH_COLD size_t bh_release_pages(void)
{
    room_reclaim();
    return scavenge_all();
}
