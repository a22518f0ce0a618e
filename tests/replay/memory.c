/* SPDX-License-Identifier: MIT */
/*
 * Who gets the board's RAM: the replay's own tables first, the heap the rest.
 *
 * 1. The regions are copied from board_ram(); tables are cut off the end of the largest.
 * 2. What is left of all of them goes to bh_init(). So the heap's figures have nothing of the
 *    replay in them, and the collector, which scans only its heap, the image and stacks, never
 *    sees the table of objects: a reference in it keeps nothing alive.
 *
 * Used on core 0 before the others start. Locks: none.
 */
#include "kernel-lib/bits.h"
#include "kernel-lib/print.h"
#include "tests/replay/replay.h"

#define TABLE_ALIGN 64

static struct bh_region regions[BH_MAX_REGIONS];
static size_t region_count;
static uintptr_t heap_low;
static uintptr_t heap_high;

static void take_board_ram(void)
{
    const struct bh_region *ram = board_ram(&region_count);

    if (region_count > BH_MAX_REGIONS)
        region_count = BH_MAX_REGIONS;
    heap_low = UINTPTR_MAX;
    for (size_t i = 0; i < region_count; i++) {
        uintptr_t base = (uintptr_t)ram[i].base;
        regions[i] = ram[i];
        replay.ram_bytes += ram[i].bytes;
        heap_low = base < heap_low ? base : heap_low;
        heap_high = base + ram[i].bytes > heap_high ? base + ram[i].bytes : heap_high;
    }
}

static struct bh_region *largest_region(void)
{
    struct bh_region *largest = &regions[0];
    for (size_t i = 1; i < region_count; i++)
        if (regions[i].bytes > largest->bytes)
            largest = &regions[i];
    return largest;
}

void *memory_carve(size_t bytes, const char *what)
{
    if (region_count == 0)
        take_board_ram();
    struct bh_region *from = largest_region();
    uintptr_t base = (uintptr_t)from->base;
    /* Half of the region at most: the other half is for the heap, or there is no point. */
    if (bytes > from->bytes / 2) {
        report_fatal("the replay's %s needs %zu KiB of RAM outside of the heap; this machine has "
                     "%zu KiB in one piece: run with a larger MEM=",
                     what, bytes / 1024, from->bytes / 1024);
        return NULL;
    }
    uintptr_t table = bits_round_down(base + from->bytes - bytes, TABLE_ALIGN);
    from->bytes = table - base;
    __builtin_memset((void *)table, 0, bytes);
    return (void *)table;
}

bool memory_init_heap(void)
{
    enum bh_status status = bh_init(regions, region_count);

    if (status != BH_OK)
        report_fatal("bh_init: %s", bh_status_text(status));
    return status == BH_OK;
}

uintptr_t memory_low(void)
{
    if (region_count == 0)
        take_board_ram();
    return heap_low;
}

uintptr_t memory_high(void)
{
    if (region_count == 0)
        take_board_ram();
    return heap_high;
}
