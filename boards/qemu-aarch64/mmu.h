/* SPDX-License-Identifier: MIT */
/* The translation tables: an identity map of 48-bit addresses, the same for all cores. */
#ifndef BOARDS_QEMU_AARCH64_MMU_H
#define BOARDS_QEMU_AARCH64_MMU_H

#include <stdbool.h>
#include <stdint.h>

enum mmu_kind {
    MMU_NOTHING,   /* every access faults */
    MMU_DEVICE,    /* Device-nGnRE, never executed */
    MMU_READ_ONLY, /* the rest is Normal write-back, inner shareable */
    MMU_READ_WRITE,
    MMU_EXECUTE, /* read and execute */
};

/*
 * Maps [lo, hi), widened to 4 KiB pages, as `kind`, replacing what was there. Only while core 0
 * boots, before mmu_switch(): the tables are not in use yet, so no TLB has seen them.
 */
void mmu_map(uintptr_t lo, uintptr_t hi, enum mmu_kind kind);

/*
 * Makes [lo, hi), whole pages of 4 KiB of RAM, fault at every access on all cores, or data again;
 * false where it is mapped in larger blocks, as it is unless the build is hardened. Any core, at
 * any time after mmu_switch().
 */
bool mmu_guard(uintptr_t lo, uintptr_t hi, bool guard);

/* The root table: for mmu_switch(), and for the other cores. */
uint64_t mmu_root(void);

/* start.S: continues with the tables at `root`. */
void mmu_switch(uint64_t root);

#endif
