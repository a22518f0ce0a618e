/* SPDX-License-Identifier: MIT */
/*
 * How much free memory the caches may hold: all together 1/64 of the heap.
 *
 * "The heap" is what is in use, but at least as much as lets every core keep 32 KiB, and that no
 * more than 1/64 of the regions. Three quarters of it belong to the cores in equal parts, one to
 * the transfer caches. Figures are read without locks: a budget that is a page out of date does no
 * harm, because what was cached under the old one stays counted.
 */
#ifndef ALLOC_BUDGET_H
#define ALLOC_BUDGET_H

#include <bareheap/port.h>
#include <stddef.h>

#define BUDGET_SHARE 64

/* The budget of all caches together. */
size_t budget_all_bytes(void);

static inline size_t budget_core_bytes(void)
{
    return budget_all_bytes() / 4 * 3 / bh_port_core_count();
}

static inline size_t budget_transfer_bytes(void)
{
    return budget_all_bytes() / 4;
}

#endif
