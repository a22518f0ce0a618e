/* SPDX-License-Identifier: MIT */
/*
 * The host board's RAM: one anonymous mapping. The kernel backs it with memory as it is touched.
 * No locks: written once, before a second core runs.
 */
#define _GNU_SOURCE
#include "boards/board.h"
#include "boards/host/internal.h"
#include "kernel-lib/bits.h"
#include <bareheap/alloc.h>
#include <bareheap/port.h>
#include <sys/mman.h>
#include <unistd.h>

static struct bh_region ram;

bool host_ram_map(size_t bytes)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return false;
    ram = (struct bh_region){.base = base, .bytes = bytes, .zeroed = true};
    return true;
}

const struct bh_region *board_ram(size_t *count)
{
    *count = 1;
    return &ram;
}

/* Only where the system's pages are no larger than ours. Fails when the process has as many
 * mappings as it may have (Linux: 65,530). */
bool bh_port_guard(void *base, size_t bytes, bool guard)
{
    if ((size_t)sysconf(_SC_PAGESIZE) > bytes)
        return false;
    return mprotect(base, bytes, guard ? PROT_NONE : PROT_READ | PROT_WRITE) == 0;
}

__attribute__((weak)) void board_on_pages_released(void *base, size_t bytes)
{
    (void)base;
    (void)bytes;
}

/* Only whole pages of the system, which may be larger than ours. They read as zero afterwards. */
void bh_port_pages_released(void *base, size_t bytes)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t lo = bits_round_up((uintptr_t)base, page_bytes);
    uintptr_t hi = bits_round_down((uintptr_t)base + bytes, page_bytes);
    if (lo < hi)
        (void)madvise((void *)lo, hi - lo, MADV_DONTNEED);
    board_on_pages_released(base, bytes);
}
