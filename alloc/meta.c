/* SPDX-License-Identifier: MIT */
/* Cells of metadata. See meta.h. */
#include "alloc/meta.h"
#include "alloc/page_heap.h"
#include "alloc/poison.h"
#include "kernel-lib/memory.h"

#define CELL_SHIFT_MIN 4
#define CELL_SHIFT_MAX 13
BH_STATIC_ASSERT(META_CELL_MAX == 1 << CELL_SHIFT_MAX, "the largest cell");

struct cell {
    struct cell *next;
};

static struct cell *free_cells[CELL_SHIFT_MAX + 1]; /* by log2 of the size */

static unsigned cell_shift(size_t bytes)
{
    return bytes <= (1u << CELL_SHIFT_MIN) ? CELL_SHIFT_MIN : bits_log2(bytes - 1) + 1;
}

static void cell_push(uintptr_t address, unsigned shift)
{
    struct cell *cell = (struct cell *)address; /* NOLINT: an address becomes memory */
    cell->next = free_cells[shift];
    free_cells[shift] = cell;
}

static struct cell *cell_pop(unsigned shift)
{
    struct cell *cell = free_cells[shift];
    if (!cell)
        return NULL;
    free_cells[shift] = cell->next;
    return cell;
}

/* The largest cell that starts at lo and ends by hi, naturally aligned. */
static BH_COLD unsigned largest_cell(uintptr_t lo, uintptr_t hi)
{
    unsigned shift = CELL_SHIFT_MAX;
    while (lo & (((uintptr_t)1 << shift) - 1) || lo + ((uintptr_t)1 << shift) > hi)
        shift--;
    return shift;
}

BH_COLD void meta_feed_locked(uintptr_t lo, uintptr_t hi)
{
    lo = bits_round_up(lo, (size_t)1 << CELL_SHIFT_MIN);
    while (lo < hi && hi - lo >= (uintptr_t)1 << CELL_SHIFT_MIN) {
        unsigned shift = largest_cell(lo, hi);
        cell_push(lo, shift);
        lo += (uintptr_t)1 << shift;
    }
}

static BH_COLD bool feed_page(bool must)
{
    struct bh_span *run = page_heap_alloc_last_locked(must);
    if (!run)
        return false;
    poison_lift(run->base, PAGE_BYTES);
    meta_feed_locked(run->base, run->base + PAGE_BYTES);
    return true;
}

/* A cell of exactly this size, split from the smallest larger one there is. */
static BH_COLD struct cell *cell_take(unsigned shift)
{
    unsigned from = shift;
    while (from <= CELL_SHIFT_MAX && !free_cells[from])
        from++;
    if (from > CELL_SHIFT_MAX)
        return NULL;
    struct cell *cell = cell_pop(from);
    while (from > shift) {
        from--;
        cell_push((uintptr_t)cell + ((uintptr_t)1 << from), from);
    }
    return cell;
}

static void *cell_alloc(size_t bytes, bool must)
{
    BH_ASSERT(bytes <= META_CELL_MAX);
    unsigned shift = cell_shift(bytes);
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    struct cell *cell = cell_take(shift);
    if (!cell && feed_page(must))
        cell = cell_take(shift);
    spinlock_release(&page_heap.lock, irq);
    if (cell)
        memset(cell, 0, (size_t)1 << shift);
    return cell;
}

void *meta_alloc(size_t bytes)
{
    return cell_alloc(bytes, true);
}

void *meta_alloc_spare(size_t bytes)
{
    return cell_alloc(bytes, false);
}

void meta_free(void *cell, size_t bytes)
{
    if (!cell)
        return;
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    cell_push((uintptr_t)cell, cell_shift(bytes));
    spinlock_release(&page_heap.lock, irq);
}
