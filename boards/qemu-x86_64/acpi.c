/* SPDX-License-Identifier: MIT */
/*
 * Reads the list of cores from ACPI: root pointer (RSDP), root table (XSDT or RSDT), MADT.
 *
 * ACPI 6.4: 5.2.5 root pointer, 5.2.7 and 5.2.8 root tables, 5.2.12 MADT. Fields are read as bytes
 * because tables and entries may lie at any address.
 */
#include "boards/qemu-x86_64/acpi.h"

#include <stdbool.h>

#define RSDP_REVISION      15u /* byte: 2 and up has an XSDT */
#define RSDP_RSDT          16u
#define RSDP_XSDT          24u
#define TABLE_LENGTH       4u
#define TABLE_HEADER_BYTES 36u
#define MADT_ENTRIES       44u
#define MADT_LOCAL_APIC    0u
#define MADT_LOCAL_X2APIC  9u
#define MADT_CORE_ENABLED  1u
#define REACHABLE_BYTES    (UINT64_C(4) << 30) /* what the boot page tables map */

static uint64_t read_field(uintptr_t address, size_t bytes)
{
    const uint8_t *p = (const uint8_t *)address;
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;)
        value = value << 8 | p[i];
    return value;
}

static bool bytes_equal(uintptr_t address, const char *text, size_t bytes)
{
    const char *p = (const char *)address;
    for (size_t i = 0; i < bytes; i++)
        if (p[i] != text[i])
            return false;
    return true;
}

static bool table_is_whole(uintptr_t table)
{
    const uint8_t *p = (const uint8_t *)table;
    uint8_t sum = 0;
    for (size_t i = 0; i < read_field(table + TABLE_LENGTH, 4); i++)
        sum = (uint8_t)(sum + p[i]);
    return sum == 0;
}

static uintptr_t madt_find(uintptr_t rsdp)
{
    bool wide = read_field(rsdp + RSDP_REVISION, 1) >= 2;
    size_t pointer_bytes = wide ? 8 : 4;
    uintptr_t list = read_field(rsdp + (wide ? RSDP_XSDT : RSDP_RSDT), pointer_bytes);
    if (list == 0 || list >= REACHABLE_BYTES)
        return 0;
    uintptr_t end = list + read_field(list + TABLE_LENGTH, 4);
    for (uintptr_t at = list + TABLE_HEADER_BYTES; at < end; at += pointer_bytes) {
        uintptr_t table = read_field(at, pointer_bytes);
        if (table < REACHABLE_BYTES && bytes_equal(table, "APIC", 4) && table_is_whole(table))
            return table;
    }
    return 0;
}

/* If the MADT entry is a core that may be started: true, and its APIC id. */
static bool entry_core(uintptr_t entry, uint32_t *apic_id)
{
    uint64_t type = read_field(entry, 1);
    if (type == MADT_LOCAL_APIC) {
        *apic_id = (uint32_t)read_field(entry + 3, 1);
        return read_field(entry + 4, 4) & MADT_CORE_ENABLED;
    }
    if (type == MADT_LOCAL_X2APIC) {
        *apic_id = (uint32_t)read_field(entry + 4, 4);
        return read_field(entry + 8, 4) & MADT_CORE_ENABLED;
    }
    return false;
}

size_t acpi_cores(uintptr_t rsdp, uint32_t *apic_ids, size_t max)
{
    if (rsdp == 0 || rsdp >= REACHABLE_BYTES || !bytes_equal(rsdp, "RSD PTR ", 8))
        return 0;
    uintptr_t madt = madt_find(rsdp);
    if (madt == 0)
        return 0;
    size_t count = 0;
    uintptr_t end = madt + read_field(madt + TABLE_LENGTH, 4);
    uintptr_t entry = madt + MADT_ENTRIES;
    while (entry + 2 <= end && read_field(entry + 1, 1) >= 2) {
        uint32_t apic_id;
        if (entry_core(entry, &apic_id)) {
            if (count < max)
                apic_ids[count] = apic_id;
            count++;
        }
        entry += read_field(entry + 1, 1);
    }
    return count;
}
