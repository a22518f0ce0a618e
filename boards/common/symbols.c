/* SPDX-License-Identifier: MIT */
/*
 * From an address to the function that holds it, for backtraces: a binary search in the table
 * that the build puts into every image. Replaces kernel-lib's default, which knows no name.
 *
 * 1. The image is linked once with an empty table; tools/gen-symbols reads the addresses off;
 *    the second link has the table (mk/build.mk).
 * 2. An address is looked up by its distance from bh_symbol_name() itself, which is the same
 *    wherever the image is loaded.
 *
 * Invariant: distances rise strictly; an address before the first or far behind the last has no
 * name. Lock-free, allocation-free: it runs inside a panic.
 */
#include "boards/common/symbols.h"
#include "kernel-lib/check.h"

/* Code beyond the last function's first instruction that still counts as its own. */
#define LAST_FUNCTION_BYTES 4096

/* The number of symbols at or below `distance`. */
static uint32_t count_at_or_below(int64_t distance)
{
    uint32_t lo = 0;
    uint32_t hi = symbols_count;
    while (lo < hi) {
        uint32_t middle = lo + (hi - lo) / 2;
        if (symbols_table[middle].distance_bytes <= distance)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

const char *bh_symbol_name(uintptr_t address, size_t *offset)
{
    int64_t distance = (int64_t)(address - (uintptr_t)bh_symbol_name);
    uint32_t below = count_at_or_below(distance);
    if (below == 0)
        return NULL;
    const struct symbol *symbol = &symbols_table[below - 1];
    size_t past = (size_t)(distance - symbol->distance_bytes);
    if (below == symbols_count && past >= LAST_FUNCTION_BYTES)
        return NULL;
    *offset = past;
    return &symbols_names[symbol->name_idx];
}
