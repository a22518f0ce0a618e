/* SPDX-License-Identifier: MIT */
/*
 * How much free memory the caches may hold: all together 1/64 of the heap (BH_CACHE_SHARE).
 *
 * "The heap" is what is in use, but at least as much as lets every core that has a cache keep 32
 * KiB, and that no more than 1/64 of the regions. Three quarters of it belong to those cores in
 * equal parts, one to the transfer caches. Figures are read without locks: a budget that is a page
 * out of date does no harm, because what was cached under the old one stays counted. Nothing here
 * is read or written by the fast paths, and only when a bin or a transfer cache grows at all.
 */
#ifndef ALLOC_BUDGET_H
#define ALLOC_BUDGET_H

#include <stddef.h>

/* Another core has a cache now. */
void budget_add_cache(void);

/* What the bins of one core may hold. */
size_t budget_core_bytes(void);

/* What may be kept of large objects for the sake of their guards (guard.h): 1/16 of the heap in
 * use, at least 1 MiB, at most 1/64 of the regions. */
size_t budget_guard_bytes(void);

/* What all transfer caches together may hold. */
size_t budget_transfer_bytes(void);

#endif
