/* SPDX-License-Identifier: MIT */
/* Bareheap, to be counted. */
#include "boards/board.h"
#include "kernel-lib/check.h"
#include "tests/count/count.h"
#include <bareheap/bareheap.h>

static void init(void)
{
    size_t count;
    const struct bh_region *ram = board_ram(&count);
    enum bh_status status = bh_init(ram, count);
    BH_CHECK(status == BH_OK, "bh_init: %s", bh_status_text(status));
}

const struct count_allocator count_allocator = {
    .name = "bareheap",
    .init = init,
    .malloc = bh_malloc,
    .free = bh_free,
    .free_sized = bh_free_sized,
    .realloc = bh_realloc,
    .calloc = bh_calloc,
    .aligned_alloc = bh_aligned_alloc,
    .collected = bh_gc_alloc,
};
