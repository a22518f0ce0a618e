/* SPDX-License-Identifier: MIT */
/* The budget of the caches. See budget.h. */
#include "alloc/budget.h"
#include "alloc/page_heap.h"

#define BUDGET_CORE_LO_BYTES ((size_t)32 << 10)

size_t budget_all_bytes(void)
{
    size_t most = atomic_load_relaxed(&page_heap.region_bytes) / BUDGET_SHARE; /* see budget.h */
    size_t least = bh_port_core_count() * BUDGET_CORE_LO_BYTES;
    size_t share = page_heap_used_bytes() / BUDGET_SHARE;
    size_t budget = share > least ? share : least;
    return budget < most ? budget : most;
}
