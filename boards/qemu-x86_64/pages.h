/* SPDX-License-Identifier: MIT */
/* The page tables of this board: every address is mapped to itself, or not at all. */
#ifndef BOARDS_QEMU_X86_64_PAGES_H
#define BOARDS_QEMU_X86_64_PAGES_H

#include <stdbool.h>
#include <stdint.h>

/* Entry bits. Intel SDM volume 3, 4.5. Data that may be written is never executable. */
#define PAGE_PRESENT       0x1u
#define PAGE_WRITABLE      0x2u
#define PAGE_WRITE_THROUGH 0x8u
#define PAGE_NO_CACHE      0x10u
#define PAGE_NO_EXECUTE    (UINT64_C(1) << 63)

#define PAGES_CODE     ((uint64_t)PAGE_PRESENT)
#define PAGES_CONSTANT (PAGE_PRESENT | PAGE_NO_EXECUTE)
#define PAGES_DATA     (PAGE_PRESENT | PAGE_WRITABLE | PAGE_NO_EXECUTE)
#define PAGES_DEVICE   (PAGES_DATA | PAGE_NO_CACHE | PAGE_WRITE_THROUGH)

/* Starts an empty set of tables. RAM can be taken (ram_take). */
void pages_init(void);

/*
 * Maps [lo, hi) with `flags` over whatever is mapped there, with the largest pages that fit; lo
 * and hi are rounded outward to 4 KiB. Only while core 0 boots: no other core sees the change.
 */
void pages_map(uintptr_t lo, uintptr_t hi, uint64_t flags);
void pages_unmap(uintptr_t lo, uintptr_t hi);

/*
 * Makes [lo, hi), whole pages of 4 KiB of RAM, fault at every access, or data again; false where it
 * is mapped in larger pages, as it is unless the build is hardened. Any core, at any time. Other
 * cores may keep a translation from before until they need its place: a guard may be late there.
 * One that is taken away is gone for all at once, for what is not present is not kept (Intel SDM
 * volume 3, 4.10.2.3).
 */
bool pages_guard(uintptr_t lo, uintptr_t hi, bool guard);

/* Makes the tables this core's. */
void pages_load(void);

/* What CR3 is to be on every core; under 4 GiB. */
uint32_t pages_root(void);

#endif
