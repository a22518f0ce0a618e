/* SPDX-License-Identifier: MIT */
/*
 * A set of addresses, each with a count: pinned objects, manual objects that are scanned.
 *
 * A hash table with open addressing and linear probing, at most 3/4 full, a power of two in size.
 * It lies in pages of the page heap, so that an address which was removed leaves no trace in .bss,
 * itself a root.
 *
 * It grows without its lock: the pages are taken first, then the lock, and if another core was
 * faster they are given back. Allocating with the lock held would make two locks nest, and a core
 * that waits for the second would stand still for a stop with the first one held: the table half
 * changed, just when it is to be read [GC-3].
 *
 * Lock: the table's own. In a stop it is read without: no core stands still with it held.
 * Invariants: slots hold `used` distinct addresses with counts > 0 and else zeros; from the slot
 * where an address hashes to, to the slot where it is, none is empty.
 */
#include "gc/table.h"
#include "alloc/walk.h"
#include "kernel-lib/memory.h"

#define TABLE_FIRST_SLOTS (PAGE_BYTES / sizeof(struct table_slot))

/* ---- with the lock held ---- */

/* Fibonacci hashing: the high bits of the product depend on all bits of the address. */
static size_t table_home(const struct table *table, uintptr_t address)
{
    return (size_t)((address * 0x9e3779b97f4a7c15u) >> 32) & (table->room - 1);
}

/* The slot with `address`, or the empty one where it belongs. */
static struct table_slot *table_find(const struct table *table, uintptr_t address)
{
    size_t i = table_home(table, address);
    while (table->slots[i].address != 0 && table->slots[i].address != address)
        i = (i + 1) & (table->room - 1);
    return &table->slots[i];
}

static bool table_is_room(const struct table *table)
{
    return table->used < table->room / 4 * 3;
}

static void table_add_locked(struct table *table, uintptr_t address)
{
    struct table_slot *slot = table_find(table, address);
    if (slot->address == 0) {
        slot->address = address;
        table->used++;
    }
    slot->count++;
}

/* Empties slot `hole`, and moves what was put behind it because of it: a search that starts at or
 * before the hole must not end there too early. */
static void table_empty_locked(struct table *table, size_t hole)
{
    size_t mask = table->room - 1;
    for (size_t i = (hole + 1) & mask; table->slots[i].address != 0; i = (i + 1) & mask) {
        size_t home = table_home(table, table->slots[i].address);
        if (((i - home) & mask) < ((i - hole) & mask))
            continue; /* its home lies behind the hole: it is found without it */
        table->slots[hole] = table->slots[i];
        hole = i;
    }
    table->slots[hole] = (struct table_slot){0, 0};
    table->used--;
}

static void table_move_all(const struct table *from, const struct table *to)
{
    for (size_t i = 0; i < from->room; i++) {
        if (from->slots[i].address != 0)
            *table_find(to, from->slots[i].address) = from->slots[i];
    }
}

/* False when it is not there. */
static bool table_remove_locked(struct table *table, uintptr_t address)
{
    if (table->room == 0)
        return false;
    struct table_slot *slot = table_find(table, address);
    if (slot->address == 0)
        return false;
    if (--slot->count == 0)
        table_empty_locked(table, (size_t)(slot - table->slots));
    return true;
}

/* ---- in any context ---- */

/* Makes the table, of `old_room` slots when it was looked at, twice as large, unless somebody has
 * done so. No lock held. */
static bool table_grow(struct table *table, size_t old_room)
{
    struct table grown = {.room = old_room ? 2 * old_room : TABLE_FIRST_SLOTS};
    grown.slots = walk_pages_alloc(grown.room * sizeof(*grown.slots));
    if (grown.slots == NULL)
        return false;
    memset(grown.slots, 0, grown.room * sizeof(*grown.slots));
    void *unused = grown.slots;
    uintptr_t irq = spinlock_acquire(table->lock);
    if (table->room == old_room) { /* it only grows */
        unused = table->slots;
        table_move_all(table, &grown);
        table->slots = grown.slots;
        table->room = grown.room;
    }
    spinlock_release(table->lock, irq);
    if (unused != NULL)
        walk_pages_free(unused);
    return true;
}

bool table_add(struct table *table, uintptr_t address)
{
    for (;;) {
        uintptr_t irq = spinlock_acquire(table->lock);
        size_t room = table->room;
        bool fits = table_is_room(table);
        if (fits)
            table_add_locked(table, address);
        spinlock_release(table->lock, irq);
        if (fits)
            return true;
        if (!table_grow(table, room))
            return false;
    }
}

bool table_remove(struct table *table, uintptr_t address)
{
    uintptr_t irq = spinlock_acquire(table->lock);
    bool found = table_remove_locked(table, address);
    spinlock_release(table->lock, irq);
    return found;
}

bool table_has(struct table *table, uintptr_t address)
{
    uintptr_t irq = spinlock_acquire(table->lock);
    bool found = table->room != 0 && table_find(table, address)->address != 0;
    spinlock_release(table->lock, irq);
    return found;
}
