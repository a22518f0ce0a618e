/* SPDX-License-Identifier: MIT */
/*
 * Reads the list of cores from ACPI: root pointer (RSDP), root table (XSDT or RSDT), MADT.
 *
 * 1. ACPI 6.4: 5.2.5 root pointer, 5.2.7 and 5.2.8 root tables, 5.2.12 MADT.
 * 2. Nothing here trusts the tables: each lies within reach with all of its length, which is at
 *    most TABLE_MAX_BYTES, and its checksum holds, before anything in it is used.
 * 3. Fields are read as bytes because tables and entries may lie at any address.
 */
#include "boards/qemu-x86_64/acpi.h"

#include <stdbool.h>

#define RSDP_REVISION       15u /* byte: 2 and up has an XSDT */
#define RSDP_RSDT           16u
#define RSDP_BYTES          20u /* what the first checksum covers */
#define RSDP_XSDT           24u
#define RSDP_EXTENDED_BYTES 36u /* what the second one covers */
#define TABLE_LENGTH        4u
#define TABLE_HEADER_BYTES  36u
#define TABLE_MAX_BYTES     0x10000u /* 255 cores take 4 KiB in the MADT */
#define MADT_ENTRIES        44u
#define MADT_LOCAL_APIC     0u
#define MADT_LOCAL_X2APIC   9u
#define MADT_CORE_ENABLED   1u

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

static bool lies_within(uintptr_t address, size_t bytes, const struct acpi_reach *reach)
{
    return address >= reach->lo && address <= reach->hi && bytes <= reach->hi - address;
}

static bool checksum_holds(uintptr_t address, size_t bytes)
{
    const uint8_t *p = (const uint8_t *)address;
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + p[i]);
    return sum == 0;
}

/* The end of the table at `table`, which is whole and has `least` bytes or more; else 0. */
static uintptr_t table_end(uintptr_t table, size_t least, const struct acpi_reach *reach)
{
    if (!lies_within(table, TABLE_HEADER_BYTES, reach))
        return 0;
    size_t bytes = read_field(table + TABLE_LENGTH, 4);
    if (bytes < least || bytes > TABLE_MAX_BYTES || !lies_within(table, bytes, reach))
        return 0;
    return checksum_holds(table, bytes) ? table + bytes : 0;
}

static bool rsdp_is_whole(uintptr_t rsdp, const struct acpi_reach *reach)
{
    return lies_within(rsdp, RSDP_BYTES, reach) && bytes_equal(rsdp, "RSD PTR ", 8) &&
           checksum_holds(rsdp, RSDP_BYTES);
}

static bool rsdp_has_xsdt(uintptr_t rsdp, const struct acpi_reach *reach)
{
    return read_field(rsdp + RSDP_REVISION, 1) >= 2 &&
           lies_within(rsdp, RSDP_EXTENDED_BYTES, reach) &&
           checksum_holds(rsdp, RSDP_EXTENDED_BYTES);
}

static uintptr_t madt_find(uintptr_t rsdp, const struct acpi_reach *reach)
{
    bool wide = rsdp_has_xsdt(rsdp, reach);
    size_t pointer_bytes = wide ? 8 : 4;
    uintptr_t list = read_field(rsdp + (wide ? RSDP_XSDT : RSDP_RSDT), pointer_bytes);
    uintptr_t list_end = table_end(list, TABLE_HEADER_BYTES, reach);
    if (list_end == 0)
        return 0;
    for (uintptr_t at = list + TABLE_HEADER_BYTES; list_end - at >= pointer_bytes;
         at += pointer_bytes) {
        uintptr_t table = read_field(at, pointer_bytes);
        if (table_end(table, MADT_ENTRIES, reach) != 0 && bytes_equal(table, "APIC", 4))
            return table;
    }
    return 0;
}

/* If the MADT entry of `bytes` bytes is a core that may be started: true, and its APIC id. */
static bool entry_core(uintptr_t entry, size_t bytes, uint32_t *apic_id)
{
    uint64_t type = read_field(entry, 1);
    if (type == MADT_LOCAL_APIC && bytes >= 8) {
        *apic_id = (uint32_t)read_field(entry + 3, 1);
        return read_field(entry + 4, 4) & MADT_CORE_ENABLED;
    }
    if (type == MADT_LOCAL_X2APIC && bytes >= 16) {
        *apic_id = (uint32_t)read_field(entry + 4, 4);
        return read_field(entry + 8, 4) & MADT_CORE_ENABLED;
    }
    return false;
}

/* The length of the MADT entry at `entry`, or 0 where none fits any more. */
static size_t entry_bytes(uintptr_t entry, uintptr_t end)
{
    if (end - entry < 2)
        return 0;
    size_t bytes = read_field(entry + 1, 1);
    return bytes >= 2 && bytes <= end - entry ? bytes : 0;
}

size_t acpi_cores(uintptr_t rsdp, const struct acpi_reach *reach, uint32_t *apic_ids, size_t max)
{
    uintptr_t madt = rsdp_is_whole(rsdp, reach) ? madt_find(rsdp, reach) : 0;
    if (madt == 0)
        return 0;
    size_t count = 0;
    uintptr_t madt_end = table_end(madt, MADT_ENTRIES, reach);
    uintptr_t entry = madt + MADT_ENTRIES;
    for (size_t bytes; (bytes = entry_bytes(entry, madt_end)) != 0; entry += bytes) {
        uint32_t apic_id;
        if (!entry_core(entry, bytes, &apic_id))
            continue;
        if (count < max)
            apic_ids[count] = apic_id;
        count++;
    }
    return count;
}
