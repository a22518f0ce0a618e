/* SPDX-License-Identifier: MIT */
/* alloc/meta.h: cells are zeroed, aligned, apart from one another, and come again. */
#include "alloc/meta.h"
#include "alloc/page_heap.h"
#include "kernel-lib/bits.h"
#include "kernel-lib/memory.h"
#include "kernel-lib/string.h"
#include "tests/unit/heap_test.h"

#define CELLS  300
#define ROUNDS 4000

struct cell_slot {
    unsigned char *cell;
    size_t bytes;
    unsigned char byte;
};

static void take_cell(struct cell_slot *slot)
{
    slot->bytes = harness_random_below(8) ? harness_random_below(300) + 1
                                          : harness_random_below(META_CELL_MAX) + 1;
    slot->cell = meta_alloc(slot->bytes);
    REQUIRE(slot->cell);
    EXPECT_EQ((uintptr_t)slot->cell % 16, 0);
    EXPECT(memory_is_filled(slot->cell, 0, slot->bytes));
    slot->byte = (unsigned char)(harness_random_below(255) + 1);
    memset(slot->cell, slot->byte, slot->bytes);
}

static void give_cell(struct cell_slot *slot)
{
    EXPECT(memory_is_filled(slot->cell, slot->byte, slot->bytes));
    meta_free(slot->cell, slot->bytes);
    slot->cell = NULL;
}

static size_t cell_pages(void)
{
    return page_heap.cell_pages;
}

TEST(meta_cells_are_zeroed_and_apart)
{
    static struct cell_slot slots[CELLS];
    harness_heap();
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct cell_slot *slot = &slots[harness_random_below(CELLS)];
        if (slot->cell)
            give_cell(slot);
        else
            take_cell(slot);
    }
    for (size_t i = 0; i < CELLS; i++)
        if (slots[i].cell)
            give_cell(&slots[i]);
    bh_heap_verify();
}

TEST(meta_free_of_null_does_nothing)
{
    meta_free(NULL, 64);
}

/* The peak is what is kept: the same requests again take no further page. */
TEST(meta_cells_come_again)
{
    static void *cells[CELLS];
    harness_heap();
    size_t pages = 0;
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < CELLS; i++)
            cells[i] = meta_alloc(128);
        for (size_t i = 0; i < CELLS; i++)
            meta_free(cells[i], 128);
        if (round == 0)
            pages = cell_pages();
        EXPECT_EQ(cell_pages(), pages);
    }
}

/* Pages for cells stay. They must not lie in the middle of what programs would like in one piece.
 */
TEST_ALONE(meta_pages_leave_free_memory_in_one_piece)
{
    static void *cells[4 * CELLS];
    heap_test_init((size_t)8 << 20);
    struct bh_stats before = heap_test_stats();
    struct bh_span *runs[8] = {NULL};
    for (size_t i = 0; i < 4 * CELLS; i++) {
        cells[i] = meta_alloc(META_CELL_MAX);
        if (i % 64 == 0 && i / 64 < 8)
            runs[i / 64] = page_heap_alloc(16, 1);
    }
    for (size_t i = 0; i < 8; i++)
        if (runs[i])
            page_heap_free(runs[i]);
    bh_heap_verify();
    struct bh_stats after = heap_test_stats();
    EXPECT_EQ(before.largest_run_bytes - after.largest_run_bytes,
              after.metadata_bytes - before.metadata_bytes);
    for (size_t i = 0; i < 4 * CELLS; i++)
        meta_free(cells[i], META_CELL_MAX);
}
