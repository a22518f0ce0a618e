/* SPDX-License-Identifier: MIT */
/* Bareheap, to be counted. */
#include "boards/board.h"
#include "kernel-lib/check.h"
#include "tests/count/count.h"
#include <bareheap/bareheap.h>

struct pair {
    struct pair *left;
    struct pair *right;
};
static BH_GC_TYPE(pair_type, struct pair,
                  BH_GC_POINTER(struct pair, left) | BH_GC_POINTER(struct pair, right));

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
    .typed = bh_gc_alloc_typed,
    .type = &pair_type,
};
