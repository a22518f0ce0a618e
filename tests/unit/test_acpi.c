/* SPDX-License-Identifier: MIT */
/*
 * The reader of ACPI tables (boards/qemu-x86_64/acpi.c), on every board: a root pointer, a root
 * table and a MADT are made in an array; then bytes of them are overwritten at random.
 *
 * The array is all that acpi_cores() may reach, and ASan sees a read past it. Half
 * of the mutants get right checksums again, or hardly one would come past those.
 */
#include "boards/qemu-x86_64/acpi.h"
#include "kernel-lib/string.h"
#include "tests/harness/harness.h"

#define CORES      4u
#define RSDP_BYTES 36u
#define XSDT_BYTES (36u + 2 * 8u)
#define MADT_BYTES (44u + CORES * 8u + 16u + 12u)

#define ROUNDS_HOST  100000u
#define ROUNDS_BOARD 5000u

struct tables {
    uint8_t rsdp[RSDP_BYTES];
    uint8_t xsdt[XSDT_BYTES];
    uint8_t other[36];
    uint8_t madt[MADT_BYTES];
};

static struct tables tables;

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static void put_text(uint8_t *at, const char *text)
{
    for (unsigned i = 0; text[i] != '\0'; i++)
        at[i] = (uint8_t)text[i];
}

/* Makes the bytes add up to 0 by the one at `sum_at`. */
static void put_checksum(uint8_t *table, size_t bytes, size_t sum_at)
{
    table[sum_at] = 0;
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + table[i]);
    table[sum_at] = (uint8_t)-sum;
}

static void put_checksums(void)
{
    put_checksum(tables.rsdp, 20, 8);
    put_checksum(tables.rsdp, RSDP_BYTES, 32);
    put_checksum(tables.xsdt, XSDT_BYTES, 9);
    put_checksum(tables.other, sizeof(tables.other), 9);
    put_checksum(tables.madt, MADT_BYTES, 9);
}

static void put_header(uint8_t *table, const char *signature, uint32_t bytes)
{
    put_text(table, signature);
    put(table + 4, bytes, 4);
}

/* Cores with APIC ids 0 to 3, the third not enabled; one with a large id; an I/O APIC. */
static void put_madt(void)
{
    uint8_t *entry = tables.madt + 44;
    put_header(tables.madt, "APIC", MADT_BYTES);
    for (unsigned i = 0; i < CORES; i++, entry += 8) {
        put(entry + 1, 8, 1);
        put(entry + 3, i, 1);
        put(entry + 4, i != 2, 4);
    }
    put(entry, 9, 1);
    put(entry + 1, 16, 1);
    put(entry + 4, 0x12345, 4);
    put(entry + 8, 1, 4);
    put(entry + 16, 1, 1);
    put(entry + 17, 12, 1);
}

static void tables_make(void)
{
    tables = (struct tables){0};
    put_text(tables.rsdp, "RSD PTR ");
    put(tables.rsdp + 15, 2, 1);
    put(tables.rsdp + 20, RSDP_BYTES, 4);
    put(tables.rsdp + 24, (uintptr_t)tables.xsdt, 8);
    put_header(tables.xsdt, "XSDT", XSDT_BYTES);
    put(tables.xsdt + 36, (uintptr_t)tables.other, 8);
    put(tables.xsdt + 44, (uintptr_t)tables.madt, 8);
    put_header(tables.other, "FACP", sizeof(tables.other));
    put_madt();
    put_checksums();
}

/* With the tables' last bytes out of reach. */
static size_t cores_within(size_t bytes, uint32_t *ids, size_t max)
{
    struct acpi_reach reach = {(uintptr_t)&tables, (uintptr_t)&tables + bytes};
    return acpi_cores((uintptr_t)&tables, &reach, ids, max);
}

static size_t cores_in_tables(uint32_t *ids, size_t max)
{
    return cores_within(sizeof(tables), ids, max);
}

TEST(acpi_lists_the_cores)
{
    uint32_t ids[8] = {0};
    tables_make();
    EXPECT_EQ(cores_in_tables(ids, 8), 4);
    EXPECT_EQ(ids[0], 0);
    EXPECT_EQ(ids[1], 1);
    EXPECT_EQ(ids[2], 3);
    EXPECT_EQ(ids[3], 0x12345);
    ids[1] = 77;
    EXPECT_EQ(cores_in_tables(ids, 1), 4);
    EXPECT_EQ(ids[1], 77); /* no more than there is room for */
}

TEST(acpi_refuses_broken_tables)
{
    uint32_t ids[8];
    tables_make();
    for (size_t bytes = 0; bytes < sizeof(tables); bytes++)
        EXPECT_EQ(cores_within(bytes, ids, 8), 0);
    tables.rsdp[9] ^= 1;
    EXPECT_EQ(cores_in_tables(ids, 8), 0);
    tables_make();
    tables.xsdt[10] ^= 1;
    EXPECT_EQ(cores_in_tables(ids, 8), 0);
    tables_make();
    tables.madt[50] ^= 1;
    EXPECT_EQ(cores_in_tables(ids, 8), 0);
    tables_make();
    put(tables.madt + 4, 0x7fffffff, 4);
    EXPECT_EQ(cores_in_tables(ids, 8), 0);
}

/* What looks like a core at the table's end but is too short for one is none, and is not read. */
TEST(acpi_leaves_out_entries_that_are_cut_off)
{
    uint32_t ids[8];
    uint8_t *last = tables.madt + MADT_BYTES - 8;
    tables_make();
    put(last - 4, 4, 2); /* type 4, all zeros but for its length */
    put(last - 3, 4, 1);
    put(last, 9, 1);
    put(last + 1, 8, 1);
    put_checksums();
    EXPECT_EQ(cores_in_tables(ids, 8), 4);
}

/* Bytes anywhere, but more often where lengths and pointers are small in number: in the MADT. */
static void mutate(void)
{
    uint8_t *bytes = (uint8_t *)&tables;
    size_t lo = harness_random_below(2) ? 0 : sizeof(tables) - MADT_BYTES;
    for (uint64_t changes = 1 + harness_random_below(4); changes > 0; changes--)
        bytes[lo + harness_random_below(sizeof(tables) - lo)] = (uint8_t)harness_random();
    if (harness_random_below(2))
        put_checksums();
}

TEST(acpi_reader_trusts_nothing)
{
    uint32_t ids[2];
    uint64_t found = 0;
    bool host = string_equal(board_name(), "host");
    uint64_t rounds = harness_option("rounds", host ? ROUNDS_HOST : ROUNDS_BOARD);
    for (uint64_t i = 0; i < rounds; i++) {
        tables_make();
        mutate();
        size_t cores = cores_in_tables(ids, 2);
        EXPECT(cores <= MADT_BYTES / 8);
        found += cores != 0;
    }
    EXPECT(found > rounds / 100); /* the mutants were not all refused at the door */
}
