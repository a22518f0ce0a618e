/* SPDX-License-Identifier: MIT */
/*
 * The list of free RAM: a short array of disjoint ranges, in ascending order of address.
 *
 * Only core 0 changes it, while it boots; hence no lock.
 *
 * Invariants: every range is whole pages and not empty; ranges do not touch.
 */
#include "boards/common/ram.h"

#include "boards/board.h"
#include "kernel-lib/bits.h"
#include "kernel-lib/check.h"

/* Firmware reports a handful of ranges, and each reservation splits at most one. */
#define RAM_MAX_RANGES 32

static struct bh_region ranges[RAM_MAX_RANGES];
static size_t range_count;

static uintptr_t range_lo(size_t i)
{
    return (uintptr_t)ranges[i].base;
}

static uintptr_t range_hi(size_t i)
{
    return range_lo(i) + ranges[i].bytes;
}

static void range_remove(size_t i)
{
    range_count--;
    for (; i < range_count; i++)
        ranges[i] = ranges[i + 1];
}

static void range_insert(size_t i, uintptr_t lo, uintptr_t hi)
{
    if (lo >= hi)
        return;
    BH_CHECK(range_count < RAM_MAX_RANGES,
             "board: the RAM map has more than %d ranges; raise RAM_MAX_RANGES in "
             "boards/common/ram.c",
             RAM_MAX_RANGES);
    for (size_t j = range_count; j > i; j--)
        ranges[j] = ranges[j - 1];
    ranges[i] = (struct bh_region){.base = (void *)lo, .bytes = hi - lo};
    range_count++;
}

void ram_add(uintptr_t lo, uintptr_t hi)
{
    lo = bits_round_up(lo, RAM_PAGE_BYTES);
    hi = bits_round_down(hi, RAM_PAGE_BYTES);
    if (lo >= hi)
        return;
    size_t i = 0;
    while (i < range_count && range_hi(i) < lo)
        i++;
    while (i < range_count && range_lo(i) <= hi) {
        lo = range_lo(i) < lo ? range_lo(i) : lo;
        hi = range_hi(i) > hi ? range_hi(i) : hi;
        range_remove(i);
    }
    range_insert(i, lo, hi);
}

void ram_reserve(uintptr_t lo, uintptr_t hi)
{
    lo = bits_round_down(lo, RAM_PAGE_BYTES);
    hi = bits_round_up(hi, RAM_PAGE_BYTES);
    if (lo >= hi)
        return;
    for (size_t i = range_count; i-- > 0;) {
        uintptr_t old_lo = range_lo(i);
        uintptr_t old_hi = range_hi(i);
        if (old_hi <= lo || hi <= old_lo)
            continue;
        range_remove(i);
        range_insert(i, hi, old_hi);
        range_insert(i, old_lo, lo < old_lo ? old_lo : lo);
    }
}

void *ram_take(size_t bytes, size_t align, uintptr_t below)
{
    bytes = bits_round_up(bytes, RAM_PAGE_BYTES);
    for (size_t i = range_count; i-- > 0;) {
        uintptr_t hi = range_hi(i) < below ? range_hi(i) : below;
        if (hi < range_lo(i) || hi - range_lo(i) < bytes)
            continue;
        uintptr_t lo = bits_round_down(hi - bytes, align);
        if (lo < range_lo(i))
            continue;
        ram_reserve(lo, lo + bytes);
        return (void *)lo;
    }
    bh_panic("board: no free RAM for %zu bytes of boot memory; give the machine more (QEMU: -m)",
             bytes);
}

const struct bh_region *board_ram(size_t *count)
{
    *count = range_count;
    return ranges;
}
