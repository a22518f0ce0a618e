/* SPDX-License-Identifier: MIT */
/* The budget of the caches. See budget.h. */
#include "alloc/budget.h"
#include "alloc/page_heap.h"

#define GUARD_SHARE    16
#define GUARD_LO_BYTES ((size_t)1 << 20)

static size_t caches; /* cores that have one */

void budget_add_cache(void)
{
    atomic_add_relaxed(&caches, 1); /* a figure to divide by */
}

static size_t caches_now(void)
{
    size_t n = atomic_load_relaxed(&caches); /* as above */
    return n ? n : 1;
}

static size_t all_bytes(void)
{
    size_t most = atomic_load_relaxed(&page_heap.region_bytes) / BH_CACHE_SHARE; /* see budget.h */
    size_t least = caches_now() * (size_t)BH_CACHE_CORE_BYTES;
    size_t share = page_heap_used_bytes() / BH_CACHE_SHARE;
    size_t budget = share > least ? share : least;
    return budget < most ? budget : most;
}

size_t budget_core_bytes(void)
{
    return all_bytes() / 4 * 3 / caches_now();
}

size_t budget_guard_bytes(void)
{
    size_t most = atomic_load_relaxed(&page_heap.region_bytes) / BH_CACHE_SHARE; /* see budget.h */
    size_t share = page_heap_used_bytes() / GUARD_SHARE;
    size_t budget = share > GUARD_LO_BYTES ? share : GUARD_LO_BYTES;
    return budget < most ? budget : most;
}

size_t budget_transfer_bytes(void)
{
    return all_bytes() / 4;
}
