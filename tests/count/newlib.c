/* SPDX-License-Identifier: MIT */
/*
 * newlib's malloc, to be counted: its own source (tools/newlib), and here what it wants of the C
 * library around it: memory from sbrk, and a reentrancy structure that it passes on.
 */
#include "boards/board.h"
#include "kernel-lib/check.h"
#include "tests/count/count.h"

void *malloc(size_t bytes);
void free(void *object);
void *realloc(void *object, size_t bytes);
void *calloc(size_t count, size_t bytes);
void *memalign(size_t align, size_t bytes);

/* Never looked into by malloc, but for errno, which is near its start. */
static char reentrancy[4096] __attribute__((aligned(16)));
extern void *_impure_ptr;
void *_impure_ptr = reentrancy;

static char *brk_here;
static char *brk_end;

void *_sbrk_r(void *reentrant, ptrdiff_t bytes);
void *_sbrk_r(void *reentrant, ptrdiff_t bytes)
{
    (void)reentrant;
    if (bytes > brk_end - brk_here)
        return (void *)-1;
    brk_here += bytes;
    return brk_here - bytes;
}

static void init(void)
{
    size_t count;
    const struct bh_region *ram = board_ram(&count);
    BH_CHECK(count > 0, "count: no RAM");
    brk_here = ram[0].base;
    brk_end = brk_here + ram[0].bytes;
}

const struct count_allocator count_allocator = {
    .name = "newlib",
    .init = init,
    .malloc = malloc,
    .free = free,
    .realloc = realloc,
    .calloc = calloc,
    .aligned_alloc = memalign,
};
