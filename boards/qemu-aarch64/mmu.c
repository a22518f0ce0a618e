/* SPDX-License-Identifier: MIT */
/*
 * Builds the translation tables (Arm ARM D8: 4 KiB granule, 4 levels of 512 entries).
 *
 * 1. Level 0 entries span 512 GiB and only point on; level 1 has blocks of 1 GiB, level 2
 *    of 2 MiB, level 3 pages of 4 KiB.
 * 2. mmu_map() walks its range in the largest steps that address and rest allow.
 * 3. A block in the way of something smaller is split into a table of the same meaning.
 * 4. Tables are taken from the RAM below the image: there the boot tables of start.S have mapped
 *    it, and the large range behind the image stays whole.
 * 5. In hardened builds everything is mapped in pages of 4 KiB: mmu_guard() need not split a block
 *    that other cores are using. There is no room below the image for so many tables: they are
 *    taken from all that the boot tables map.
 */
#include "boards/qemu-aarch64/mmu.h"

#include "boards/common/image.h"
#include "boards/common/ram.h"
#include "boards/qemu-aarch64/layout.h"
#include "boards/qemu-aarch64/sysreg.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/bits.h"
#include "kernel-lib/check.h"
#include "kernel-lib/string.h"

#define ENTRIES    512u
#define PAGE_BYTES 4096u
#define LAST_LEVEL 3u

/* The largest steps of the map, and where tables are. */
#define FIRST_LEVEL  (BH_HARDEN ? LAST_LEVEL : 1)
#define TABLES_BELOW (BH_HARDEN ? (uintptr_t)VIRT_BOOT_MAP_END : (uintptr_t)__image_start)

#define ENTRY_VALID   ((uint64_t)1 << 0)
#define ENTRY_TABLE   ((uint64_t)1 << 1) /* at levels 0 to 2; at level 3 it says page */
#define ENTRY_ADDRESS 0x0000fffffffff000u

#define ATTR_DEVICE    ((uint64_t)0 << 2) /* index into MAIR_EL1, see start.S */
#define ATTR_NORMAL    ((uint64_t)1 << 2)
#define ATTR_READ_ONLY ((uint64_t)1 << 7)
#define ATTR_INNER     ((uint64_t)3 << 8) /* inner shareable: all cores */
#define ATTR_ACCESSED  ((uint64_t)1 << 10)
#define ATTR_NO_EXEC   ((uint64_t)3 << 53) /* neither EL1 nor EL0 */
#define ATTR_NO_EXEC_0 ((uint64_t)1 << 54)

#define ATTR_RAM (ENTRY_VALID | ATTR_NORMAL | ATTR_INNER | ATTR_ACCESSED)

static const uint64_t kind_attributes[] = {
    [MMU_NOTHING] = 0,
    [MMU_DEVICE] = ENTRY_VALID | ATTR_DEVICE | ATTR_ACCESSED | ATTR_NO_EXEC,
    [MMU_READ_ONLY] = ATTR_RAM | ATTR_READ_ONLY | ATTR_NO_EXEC,
    [MMU_READ_WRITE] = ATTR_RAM | ATTR_NO_EXEC,
    [MMU_EXECUTE] = ATTR_RAM | ATTR_READ_ONLY | ATTR_NO_EXEC_0,
};

static uint64_t root_table[ENTRIES] __attribute__((aligned(PAGE_BYTES)));

static unsigned level_shift(unsigned level)
{
    return 39 - 9 * level;
}

static uint64_t level_bytes(unsigned level)
{
    return (uint64_t)1 << level_shift(level);
}

static bool is_table(uint64_t entry, unsigned level)
{
    return level < LAST_LEVEL && (entry & ENTRY_TABLE);
}

/* The entry of a block or page at `address`; 0 for attributes 0. */
static uint64_t leaf(uint64_t address, uint64_t attributes, unsigned level)
{
    if (attributes == 0)
        return 0;
    return address | attributes | (level == LAST_LEVEL ? ENTRY_TABLE : 0);
}

/* Makes *entry, a block or nothing at `level`, a table of the same meaning. */
static void split(uint64_t *entry, unsigned level)
{
    uint64_t old = *entry;
    uint64_t *table = ram_take(PAGE_BYTES, PAGE_BYTES, TABLES_BELOW);
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint64_t address = (old & ENTRY_ADDRESS) + i * level_bytes(level + 1);
        table[i] = leaf(address, old & ~ENTRY_ADDRESS, level + 1);
    }
    *entry = (uint64_t)(uintptr_t)table | ENTRY_TABLE | ENTRY_VALID;
}

/* The entry for `address` at `level`, with the tables above it made where missing. */
static uint64_t *entry_at(uint64_t address, unsigned level)
{
    uint64_t *table = root_table;
    for (unsigned above = 0;; above++) {
        uint64_t *entry = &table[(address >> level_shift(above)) % ENTRIES];
        if (above == level)
            return entry;
        if (!is_table(*entry, above))
            split(entry, above);
        table = (uint64_t *)(uintptr_t)(*entry & ENTRY_ADDRESS);
    }
}

/* The level of the largest block that starts at lo, ends at or before hi, and does not hide a
 * table: finer entries may be under it. */
static unsigned largest_step(uint64_t lo, uint64_t hi)
{
    unsigned level = FIRST_LEVEL;
    while (level < LAST_LEVEL && (lo % level_bytes(level) != 0 || hi - lo < level_bytes(level) ||
                                  is_table(*entry_at(lo, level), level)))
        level++;
    return level;
}

void mmu_map(uintptr_t lo, uintptr_t hi, enum mmu_kind kind)
{
    lo = bits_round_down(lo, PAGE_BYTES);
    hi = bits_round_up(hi, PAGE_BYTES);
    BH_CHECK(hi <= (uint64_t)1 << 48, "board: %#zx is beyond the 48-bit address space", hi);
    while (lo < hi) {
        unsigned level = largest_step(lo, hi);
        *entry_at(lo, level) = leaf(lo, kind_attributes[kind], level);
        lo += level_bytes(level);
    }
}

/* The entry that maps a page of 4 KiB; NULL when that is part of a block, or of nothing. */
static uint64_t *page_entry_of(uint64_t address)
{
    uint64_t *table = root_table;
    for (unsigned level = 0; level < LAST_LEVEL; level++) {
        uint64_t entry = table[(address >> level_shift(level)) % ENTRIES];
        if (!is_table(entry, level))
            return NULL;
        table = (uint64_t *)(uintptr_t)(entry & ENTRY_ADDRESS);
    }
    return &table[(address >> level_shift(LAST_LEVEL)) % ENTRIES];
}

/* Drops all cores' translations of a page: it completes with the next DSB. The operand is the page
 * number; bits above 43 name an address space and how far off the page is, which is nothing. */
static void forget_page(uint64_t address)
{
    __asm__ volatile("tlbi vaae1is, %0"
                     :
                     : "r"(address >> 12 & (((uint64_t)1 << 44) - 1))
                     : "memory");
}

bool mmu_guard(uintptr_t lo, uintptr_t hi, bool guard)
{
    for (uint64_t page = lo; page < hi; page += PAGE_BYTES) {
        uint64_t *entry = page_entry_of(page);
        if (!entry)
            return false;
        uint64_t attributes = kind_attributes[guard ? MMU_NOTHING : MMU_READ_WRITE];
        atomic_store_relaxed(entry, leaf(page, attributes, LAST_LEVEL)); /* the DSB orders it */
        barrier_dsb_ishst();
        if (guard)
            forget_page(page); /* what was invalid is in no TLB: nothing to drop the other way */
    }
    barrier_dsb_ish();
    barrier_isb();
    return true;
}

uint64_t mmu_root(void)
{
    return (uint64_t)(uintptr_t)root_table;
}
