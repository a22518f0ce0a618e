/* SPDX-License-Identifier: MIT */
/*
 * Cells of metadata: bitmaps, slot arrays, core caches. Out of line, never beside an object.
 *
 * Cells are powers of two from 16 to 8192 bytes, a free list per size, cut from what is left over
 * when a region is added and then from single pages at the far end of the page heap. A larger cell
 * is split when a list is empty. Cells are not joined again and their pages stay metadata: the
 * sizes asked for are few and come again, so the peak is what is kept.
 *
 * Lock: the page heap's. Any context.
 */
#ifndef ALLOC_META_H
#define ALLOC_META_H

#include <stddef.h>
#include <stdint.h>

#define META_CELL_MAX 8192

/* At least `bytes` zeroed bytes, at most META_CELL_MAX, aligned to 16; NULL when out of memory. */
void *meta_alloc(size_t bytes);

/* The same for what can be done without, the caches' arrays: NULL too when the page that it would
 * take is not next to other metadata, but in the middle of what programs free later. */
void *meta_alloc_spare(size_t bytes);

/* The same `bytes` as at the request. */
void meta_free(void *cell, size_t bytes);

/* Under the page heap's lock: cuts [lo, hi) into cells. */
void meta_feed_locked(uintptr_t lo, uintptr_t hi);

#endif
