/* SPDX-License-Identifier: MIT */
/* What the boot loader says about the machine. */
#ifndef BOARDS_QEMU_X86_64_PVH_H
#define BOARDS_QEMU_X86_64_PVH_H

#include <stddef.h>
#include <stdint.h>

struct hvm_start_info;

/*
 * Reads the start information at `info` on the boot page tables, copies what is needed and fills
 * the list of free RAM. Panics when it is not PVH start information or has no RAM map.
 */
void pvh_read(const struct hvm_start_info *info);

/* Calls visit(lo, hi) for every range of RAM, in use or not. After pvh_read(). */
void pvh_for_each_ram(void (*visit)(uintptr_t lo, uintptr_t hi));

/* Where the ACPI tables start, or 0. */
uintptr_t pvh_rsdp(void);

#endif
