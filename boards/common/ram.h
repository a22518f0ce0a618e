/* SPDX-License-Identifier: MIT */
/*
 * The list of free RAM that board_ram() hands to the image. While core 0 boots it adds what the
 * firmware calls RAM, then takes away what is in use; after that the list stays as it is.
 */
#ifndef BOARDS_COMMON_RAM_H
#define BOARDS_COMMON_RAM_H

#include <stddef.h>
#include <stdint.h>

/* Pages of the MMU: the grain of the list, and of ram_take(). */
#define RAM_PAGE_BYTES 4096u

/* [lo, hi) is RAM; rounded inward to pages. Adjacent or overlapping ranges become one. */
void ram_add(uintptr_t lo, uintptr_t hi);

/* [lo, hi) is in use; rounded outward to pages. Need not be RAM. */
void ram_reserve(uintptr_t lo, uintptr_t hi);

/*
 * Takes `bytes`, rounded up to pages, for good: as high as possible under `below`, aligned to
 * `align` (a power of two, at least a page), not zeroed. Panics when there is no such RAM. For
 * page tables and the like, while booting.
 */
void *ram_take(size_t bytes, size_t align, uintptr_t below);

#endif
