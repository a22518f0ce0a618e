/* SPDX-License-Identifier: MIT */
/* The one thing this board asks of ACPI: which cores there are. */
#ifndef BOARDS_QEMU_X86_64_ACPI_H
#define BOARDS_QEMU_X86_64_ACPI_H

#include <stddef.h>
#include <stdint.h>

/* Where tables may lie, [lo, hi): all of it can be read, and nothing else is. */
struct acpi_reach {
    uintptr_t lo;
    uintptr_t hi;
};

/*
 * Stores the APIC ids of the cores that can be started, at most `max`, from the tables that
 * begin at `rsdp`, and returns how many there are, more than `max` included. 0 when there are no
 * tables, or broken ones. The board calls it on the boot page tables: the firmware's tables need
 * not lie in RAM.
 */
size_t acpi_cores(uintptr_t rsdp, const struct acpi_reach *reach, uint32_t *apic_ids, size_t max);

#endif
