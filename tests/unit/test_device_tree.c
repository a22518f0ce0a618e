/* SPDX-License-Identifier: MIT */
/*
 * The device tree's format and meaning (boards/qemu-aarch64/fdt.c, hardware.c), on every board.
 *
 * 1. A small writer makes a tree like that of QEMU's virt.
 * 2. hardware_read() must find in it what was put in, and refuse trees that lack something in
 * words.
 * 3. Mutations: bytes and words of the tree are overwritten at random, its end is cut off, and a
 *    visitor asks for everything there is to ask for. Whatever comes out lies inside the tree. The
 *    tree ends where its buffer does, so that ASan sees a read past its end.
 */
#include "boards/qemu-aarch64/fdt.h"
#include "boards/qemu-aarch64/hardware.h"
#include "kernel-lib/string.h"
#include "tests/harness/harness.h"

#define TREE_MAX_BYTES 2048u
#define HEADER_BYTES   40u
#define STRINGS_BYTES  512u

#define BEGIN_NODE 1u
#define END_NODE   2u
#define PROPERTY   3u
#define END        9u

/* On a board a round takes a hundred times longer than on the host. */
#define ROUNDS_HOST  20000u
#define ROUNDS_BOARD 500u

/* --- A writer of trees -------------------------------------------------------------------- */

/* Header, reservations and structure grow in `bytes`, names apart; finish() puts them behind. */
static struct {
    uint8_t bytes[TREE_MAX_BYTES];
    uint32_t size;
    uint32_t struct_start;
    char strings[STRINGS_BYTES];
    uint32_t strings_bytes;
} tree;

static void store_word(uint32_t at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        tree.bytes[at + i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put_word(uint32_t value)
{
    store_word(tree.size, value);
    tree.size += 4;
}

static void put_long(uint64_t value)
{
    put_word((uint32_t)(value >> 32));
    put_word((uint32_t)value);
}

static void put_bytes(const char *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        tree.bytes[tree.size++] = (uint8_t)from[i];
    while (tree.size % 4 != 0)
        tree.bytes[tree.size++] = 0;
}

static void begin_node(const char *name)
{
    put_word(BEGIN_NODE);
    put_bytes(name, string_length(name) + 1);
}

static void end_node(void)
{
    put_word(END_NODE);
}

/* A property whose value, `bytes` long, the caller puts next. */
static void begin_property(const char *name, size_t bytes)
{
    put_word(PROPERTY);
    put_word((uint32_t)bytes);
    put_word(tree.strings_bytes);
    for (size_t i = 0; i <= string_length(name); i++)
        tree.strings[tree.strings_bytes++] = name[i];
}

static void put_text(const char *name, const char *text)
{
    begin_property(name, string_length(text) + 1);
    put_bytes(text, string_length(text) + 1);
}

static void put_number(const char *name, uint32_t value)
{
    begin_property(name, 4);
    put_word(value);
}

static void put_range(uint64_t address, uint64_t bytes)
{
    begin_property("reg", 16);
    put_long(address);
    put_long(bytes);
}

static void tree_begin(void)
{
    tree.size = HEADER_BYTES;
    tree.strings_bytes = 0;
    put_long(0x4f000000);
    put_long(0x1000);
    put_long(0);
    put_long(0);
    tree.struct_start = tree.size;
    begin_node("");
    put_number("#address-cells", 2);
    put_number("#size-cells", 2);
}

static void tree_finish(void)
{
    end_node();
    put_word(END);
    uint32_t struct_bytes = tree.size - tree.struct_start;
    uint32_t strings_start = tree.size;
    put_bytes(tree.strings, tree.strings_bytes);
    const uint32_t header[] = {
        0xd00dfeed, tree.size, tree.struct_start,  strings_start, HEADER_BYTES, 17,
        16,         0,         tree.strings_bytes, struct_bytes,
    };
    for (uint32_t i = 0; i < sizeof(header) / sizeof(header[0]); i++)
        store_word(4 * i, header[i]);
}

static void put_memory(void)
{
    begin_node("memory@40000000");
    put_text("device_type", "memory");
    put_range(0x40000000, 0x10000000);
    end_node();
}

static void put_cores(void)
{
    begin_node("cpus");
    put_number("#address-cells", 1);
    put_number("#size-cells", 0);
    for (uint32_t i = 0; i < 3; i++) {
        begin_node("cpu@n");
        put_text("device_type", "cpu");
        put_number("reg", 0x100 + i);
        if (i == 1)
            put_text("status", "disabled");
        end_node();
    }
    end_node();
}

static void put_reserved(void)
{
    begin_node("reserved-memory");
    put_number("#address-cells", 2);
    put_number("#size-cells", 2);
    begin_node("firmware@4e000000");
    put_range(0x4e000000, 0x2000);
    end_node();
    end_node();
}

static void put_gic(void)
{
    begin_node("intc@8000000");
    put_text("compatible", "arm,cortex-a15-gic");
    begin_property("reg", 32);
    put_long(0x08000000);
    put_long(0x10000);
    put_long(0x08010000);
    put_long(0x10000);
    end_node();
}

/* Secure, physical, virtual, hypervisor: <1, number, flags> each. */
static void put_timer(void)
{
    begin_node("timer");
    put_text("compatible", "arm,armv8-timer");
    begin_property("interrupts", 48);
    for (uint32_t i = 0; i < 4; i++) {
        put_word(1);
        put_word(i == 2 ? 11 : 12);
        put_word(4);
    }
    end_node();
}

static void put_chosen(void)
{
    begin_node("chosen");
    put_text("bootargs", "seed=7 case=x");
    put_number("linux,initrd-start", 0x48000000);
    begin_property("linux,initrd-end", 8);
    put_long(0x48000123);
    end_node();
}

static void put_devices(void)
{
    begin_node("psci");
    put_text("compatible", "arm,psci-1.0");
    put_text("method", "hvc");
    end_node();
    begin_node("pl011@9000000");
    put_text("compatible", "arm,pl011");
    put_range(0x09000000, 0x1000);
    end_node();
}

static void tree_like_virt(void)
{
    tree_begin();
    put_memory();
    put_cores();
    put_reserved();
    put_devices();
    put_gic();
    put_timer();
    put_chosen();
    tree_finish();
}

/* --- What it means ------------------------------------------------------------------------ */

static struct hardware hw;

static void expect_range(struct hardware_range range, uintptr_t lo, uintptr_t bytes)
{
    EXPECT_EQ(range.lo, lo);
    EXPECT_EQ(range.hi, lo + bytes);
}

TEST(device_tree_tells_what_there_is)
{
    tree_like_virt();
    hardware_read(&hw, tree.bytes, sizeof(tree.bytes));
    EXPECT_EQ(hw.memory_count, 1);
    expect_range(hw.memory[0], 0x40000000, 0x10000000);
    EXPECT_EQ(hw.reserved_count, 2);
    expect_range(hw.reserved[0], 0x4e000000, 0x2000);
    expect_range(hw.reserved[1], 0x4f000000, 0x1000);
    EXPECT_EQ(hw.cores, 2);
    EXPECT_EQ(hw.mpidr[0], 0x100);
    EXPECT_EQ(hw.mpidr[1], 0x102);
    EXPECT_EQ(hw.psci, CONDUIT_HVC);
    EXPECT_EQ(hw.uart, 0x09000000);
    EXPECT_EQ(hw.gic_version, 2);
    EXPECT_EQ(hw.gic_region_count, 2);
    expect_range(hw.gic[1], 0x08010000, 0x10000);
    EXPECT_EQ(hw.timer_interrupt, 27);
    expect_range(hw.initrd, 0x48000000, 0x123);
    EXPECT(string_equal(hw.command_line, "seed=7 case=x"));
}

TEST_PANICS(device_tree_without_memory_is_refused, "board: the device tree lists no memory")
{
    tree_begin();
    put_gic();
    put_timer();
    tree_finish();
    hardware_read(&hw, tree.bytes, sizeof(tree.bytes));
}

TEST_PANICS(device_tree_cut_off_is_refused,
            "board: the device tree at 0x* is malformed: its size is absurd (at offset 4); link an"
            " ELF image at 0x40100000 or above, or check the file given with -dtb")
{
    tree_like_virt();
    hardware_read(&hw, tree.bytes, tree.size - 1);
}

/* --- Mutations ---------------------------------------------------------------------------- */

static const char *const names[] = {"reg", "compatible", "device_type", "interrupts", "no such"};

/* Reads what the tree says lies at `data`: ASan sees whether it does. */
static void expect_inside(const struct fdt *fdt, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    uint32_t sum = 0;
    EXPECT(at >= fdt->blob && bytes <= fdt->total_bytes &&
           (size_t)(at - fdt->blob) <= fdt->total_bytes - bytes);
    for (size_t i = 0; i < bytes; i++)
        sum += at[i];
    __asm__ volatile("" : : "r"(sum));
}

static void ask_for_all(const struct fdt *fdt, const struct fdt_node *node, void *arg)
{
    uint64_t address, bytes;
    unsigned *nodes = arg;
    (*nodes)++;
    expect_inside(fdt, node->name, string_length(node->name) + 1);
    (void)fdt_name_is(node, "memory");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct fdt_value value = fdt_property(fdt, node, names[i]);
        if (value.data)
            expect_inside(fdt, value.data, value.bytes);
        (void)fdt_value_has(value, "arm,pl011");
        (void)fdt_value_word(value, value.bytes / 4);
    }
    for (uint32_t i = 0; fdt_reg(fdt, node, i, &address, &bytes); i++)
        continue;
}

TEST(device_tree_nested_too_deep_is_refused)
{
    struct fdt fdt;
    unsigned nodes = 0;
    tree_begin();
    for (unsigned i = 0; i < FDT_MAX_DEPTH; i++)
        begin_node("deeper");
    for (unsigned i = 0; i < FDT_MAX_DEPTH; i++)
        end_node();
    tree_finish();
    EXPECT(fdt_open(&fdt, tree.bytes, tree.size));
    EXPECT(!fdt_walk(&fdt, ask_for_all, &nodes));
    EXPECT(fdt.error != NULL && string_equal(fdt.error, "nodes are nested too deep"));
    EXPECT_EQ(nodes, FDT_MAX_DEPTH);
}

/* Where the last bytes of a tree lie at the end of an array. */
static uint8_t buffer[TREE_MAX_BYTES];

static uint8_t *mutant(uint32_t bytes)
{
    uint8_t *copy = buffer + sizeof(buffer) - bytes;
    __builtin_memcpy(copy, tree.bytes, bytes);
    for (uint64_t changes = harness_random_below(4); changes > 0; changes--) {
        uint64_t at = harness_random_below(bytes);
        uint64_t run = harness_random_below(2) ? 1 : 4;
        uint64_t value = harness_random_below(3) ? harness_random() : harness_random_below(48);
        for (uint64_t i = 0; i < run && at + i < bytes; i++)
            copy[at + i] = (uint8_t)(value >> (8 * (run - 1 - i)));
    }
    return copy;
}

/* Returns the nodes that were visited. */
static unsigned walk_mutant(void)
{
    struct fdt fdt;
    unsigned nodes = 0;
    uint64_t address, bytes;
    bool cut = harness_random_below(4) == 0;
    uint32_t size = cut ? (uint32_t)harness_random_below(tree.size) + 1 : tree.size;
    if (!fdt_open(&fdt, mutant(size), size))
        return EXPECT(fdt.error != NULL) ? 0 : 1;
    if (!fdt_walk(&fdt, ask_for_all, &nodes))
        EXPECT(fdt.error != NULL && fdt.error_at <= size);
    for (uint32_t i = 0; fdt_reservation(&fdt, i, &address, &bytes); i++)
        continue;
    return nodes;
}

TEST(device_tree_reader_trusts_nothing)
{
    uint64_t nodes = 0;
    bool host = string_equal(board_name(), "host");
    uint64_t rounds = harness_option("rounds", host ? ROUNDS_HOST : ROUNDS_BOARD);
    tree_like_virt();
    for (uint64_t i = 0; i < rounds; i++)
        nodes += walk_mutant();
    EXPECT(nodes > rounds); /* the mutants were not all refused at the door */
}
