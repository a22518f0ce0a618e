/* SPDX-License-Identifier: MIT */
/*
 * Builds the page tables: four levels, 512 entries each, 4 KiB, 2 MiB and 1 GiB pages.
 *
 * 1. pages_map() cuts a range into the largest aligned pages that fit (1 GiB only if the CPU has
 *    them) and sets one entry for each.
 * 2. On its way down entry_at() makes the tables that are missing. Where it meets a larger page
 *    it splits that into a table of smaller ones with the same flags: so RAM is mapped in large
 *    pages first, and the image, the guards and the trampoline are cut out of them after that.
 *
 * In hardened builds everything is mapped in 4 KiB pages, so that pages_guard() need not split one
 * that other cores are using.
 *
 * Tables come from ram_take() under 4 GiB: the boot tables map that, and a starting core can load
 * CR3 in real mode. Nothing is ever freed.
 */
#include "boards/qemu-x86_64/pages.h"

#include "boards/common/ram.h"
#include "boards/qemu-x86_64/cpu.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/bits.h"
#include <bareheap/config.h>
#include <stddef.h>

#define TABLE_ENTRIES    512u
#define PAGE_LARGE       0x80u /* an entry of level 2 or 3 that is a page, not a table */
#define ADDRESS_MASK     UINT64_C(0x000ffffffffff000)
#define TABLES_BELOW     (UINT64_C(4) << 30)
#define LEVELS           4u
#define CPUID_EXTENDED   0x80000001u
#define CPUID_1GIB_PAGES (1u << 26) /* EDX */

static uint64_t *root;
static unsigned largest_level; /* 2: 2 MiB, 3: 1 GiB */

/* The bytes that an entry of `level` (1 to 4) covers. */
static uint64_t level_bytes(unsigned level)
{
    return UINT64_C(1) << (12 + 9 * (level - 1));
}

static uint64_t *table_new(void)
{
    uint64_t *table = ram_take(RAM_PAGE_BYTES, RAM_PAGE_BYTES, TABLES_BELOW);
    __builtin_memset(table, 0, RAM_PAGE_BYTES);
    return table;
}

static bool is_table(uint64_t entry)
{
    return (entry & PAGE_PRESENT) && !(entry & PAGE_LARGE);
}

/* The entry of a page at `address` with `flags`, in a table of `level`. */
static uint64_t page_entry(uintptr_t address, uint64_t flags, unsigned level)
{
    if (!(flags & PAGE_PRESENT))
        return 0;
    return address | flags | (level > 1 ? PAGE_LARGE : 0);
}

/* The table under `entry` of `level`: there already, split from a page, or new. */
static uint64_t *table_under(uint64_t *entry, unsigned level)
{
    if (is_table(*entry))
        return (uint64_t *)(*entry & ADDRESS_MASK);
    uint64_t *table = table_new();
    uint64_t page = *entry;
    if (page & PAGE_PRESENT) {
        uint64_t flags = page & ~(ADDRESS_MASK | PAGE_LARGE);
        uint64_t address = page & ADDRESS_MASK;
        for (size_t i = 0; i < TABLE_ENTRIES; i++)
            table[i] = page_entry(address + i * level_bytes(level - 1), flags, level - 1);
    }
    /* Tables allow everything; the entries of the last level decide. */
    *entry = (uintptr_t)table | PAGE_PRESENT | PAGE_WRITABLE;
    return table;
}

static uint64_t *entry_at(uintptr_t address, unsigned level)
{
    uint64_t *table = root;
    for (unsigned l = LEVELS;; l--) {
        uint64_t *entry = &table[address / level_bytes(l) % TABLE_ENTRIES];
        if (l == level)
            return entry;
        table = table_under(entry, l);
    }
}

static unsigned largest_fit(uintptr_t lo, uintptr_t hi)
{
    for (unsigned level = largest_level; level > 1; level--)
        if (lo % level_bytes(level) == 0 && hi - lo >= level_bytes(level))
            return level;
    return 1;
}

void pages_map(uintptr_t lo, uintptr_t hi, uint64_t flags)
{
    lo = bits_round_down(lo, RAM_PAGE_BYTES);
    hi = bits_round_up(hi, RAM_PAGE_BYTES);
    while (lo < hi) {
        unsigned level = largest_fit(lo, hi);
        *entry_at(lo, level) = page_entry(lo, flags, level);
        lo += level_bytes(level);
    }
}

void pages_unmap(uintptr_t lo, uintptr_t hi)
{
    pages_map(lo, hi, 0);
}

/* The entry that maps a page of 4 KiB; NULL when that is part of a larger one, or of nothing. */
static uint64_t *page_entry_of(uintptr_t address)
{
    uint64_t *table = root;
    for (unsigned level = LEVELS; level > 1; level--) {
        uint64_t entry = table[address / level_bytes(level) % TABLE_ENTRIES];
        if (!is_table(entry))
            return NULL;
        table = (uint64_t *)(entry & ADDRESS_MASK);
    }
    return &table[address / level_bytes(1) % TABLE_ENTRIES];
}

bool pages_guard(uintptr_t lo, uintptr_t hi, bool guard)
{
    for (; lo < hi; lo += level_bytes(1)) {
        uint64_t *entry = page_entry_of(lo);
        if (!entry)
            return false;
        /* Relaxed: who uses the page next learns of it by a lock's release, which comes later. */
        atomic_store_relaxed(entry, page_entry(lo, guard ? 0 : PAGES_DATA, 1));
        cpu_forget_page(lo);
    }
    return true;
}

void pages_init(void)
{
    bool has_1gib = cpu_id_eax(CPUID_EXTENDED - 1) >= CPUID_EXTENDED &&
                    (cpu_id_edx(CPUID_EXTENDED) & CPUID_1GIB_PAGES) != 0;
    largest_level = BH_HARDEN ? 1 : has_1gib ? 3 : 2;
    root = table_new();
}

uint32_t pages_root(void)
{
    return (uint32_t)(uintptr_t)root;
}

void pages_load(void)
{
    cpu_write_cr3(pages_root());
}
