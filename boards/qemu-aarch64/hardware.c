/* SPDX-License-Identifier: MIT */
/*
 * From device tree to struct hardware: a table says which nodes matter and who reads them.
 *
 * Devices are taken from children of the root only: their `reg` is then a physical address
 * without translation, which holds for all that QEMU virt has on board.
 */
#include "boards/qemu-aarch64/hardware.h"

#include "boards/qemu-aarch64/fdt.h"
#include "boards/qemu-aarch64/layout.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"

/* Interrupt numbers in the tree are <type, number, flags>; private ones (type 1) start at 16. */
#define INTERRUPT_CELLS        3
#define INTERRUPT_TYPE_PRIVATE 1
#define INTERRUPT_PRIVATE_BASE 16

/* The timer's interrupts, in this order: secure, non-secure physical, virtual, hypervisor. */
#define TIMER_VIRTUAL_IDX 2

static bool is_enabled(const struct fdt *fdt, const struct fdt_node *node)
{
    struct fdt_value status = fdt_property(fdt, node, "status");
    return !status.data || fdt_value_has(status, "okay") || fdt_value_has(status, "ok");
}

static void add_range(struct hardware_range *ranges, unsigned *count, uint64_t address,
                      uint64_t bytes, const char *what)
{
    if (bytes == 0)
        return;
    BH_CHECK(address + bytes > address, "board: device tree: %s at %#llx is too long", what,
             (unsigned long long)address);
    BH_CHECK(*count < HARDWARE_MAX_RANGES,
             "board: device tree: more than %d ranges of %s; raise HARDWARE_MAX_RANGES",
             HARDWARE_MAX_RANGES, what);
    ranges[(*count)++] = (struct hardware_range){address, address + bytes};
}

static void read_memory(const struct fdt *fdt, const struct fdt_node *node, struct hardware *hw)
{
    uint64_t address, bytes;
    if (!fdt_value_has(fdt_property(fdt, node, "device_type"), "memory"))
        return;
    for (uint32_t i = 0; fdt_reg(fdt, node, i, &address, &bytes); i++)
        add_range(hw->memory, &hw->memory_count, address, bytes, "memory");
}

/* A child of /reserved-memory; one without `reg` asks the kernel to choose a place: not for us. */
static void read_reserved(const struct fdt *fdt, const struct fdt_node *node, struct hardware *hw)
{
    uint64_t address, bytes;
    for (uint32_t i = 0; fdt_reg(fdt, node, i, &address, &bytes); i++)
        add_range(hw->reserved, &hw->reserved_count, address, bytes, "reserved memory");
}

static void read_core(const struct fdt *fdt, const struct fdt_node *node, struct hardware *hw)
{
    uint64_t mpidr, unused;
    if (!fdt_value_has(fdt_property(fdt, node, "device_type"), "cpu") || !is_enabled(fdt, node))
        return;
    hw->cores_listed++;
    if (hw->cores == BOARD_MAX_CORES || !fdt_reg(fdt, node, 0, &mpidr, &unused))
        return;
    hw->mpidr[hw->cores++] = mpidr;
}

static void read_psci(const struct fdt *fdt, const struct fdt_node *node, struct hardware *hw)
{
    struct fdt_value method = fdt_property(fdt, node, "method");
    if (fdt_value_has(method, "hvc"))
        hw->psci = CONDUIT_HVC;
    if (fdt_value_has(method, "smc"))
        hw->psci = CONDUIT_SMC;
}

static void read_uart(const struct fdt *fdt, const struct fdt_node *node, struct hardware *hw)
{
    uint64_t address, bytes;
    if (hw->uart == 0 && is_enabled(fdt, node) && fdt_reg(fdt, node, 0, &address, &bytes))
        hw->uart = address;
}

static void read_gic(const struct fdt *fdt, const struct fdt_node *node, struct hardware *hw,
                     unsigned version, uint32_t regions)
{
    uint64_t address, bytes;
    if (hw->gic_version != 0)
        return;
    hw->gic_version = version;
    for (uint32_t i = 0; i < regions && fdt_reg(fdt, node, i, &address, &bytes); i++) {
        BH_CHECK(bytes != 0 && address + bytes > address,
                 "board: device tree: %s has an empty region", node->name);
        hw->gic[hw->gic_region_count++] = (struct hardware_range){address, address + bytes};
    }
    BH_CHECK(hw->gic_region_count >= 2, "board: device tree: %s needs two regions, has %u",
             node->name, hw->gic_region_count);
}

static void read_gic_v2(const struct fdt *fdt, const struct fdt_node *node, struct hardware *hw)
{
    read_gic(fdt, node, hw, 2, 2);
}

/* Behind the redistributors come GICv2-compatible regions, which are not for us. */
static void read_gic_v3(const struct fdt *fdt, const struct fdt_node *node, struct hardware *hw)
{
    struct fdt_value value = fdt_property(fdt, node, "#redistributor-regions");
    uint32_t regions = value.data ? fdt_value_word(value, 0) : 1;
    if (regions > HARDWARE_MAX_GIC_REGIONS - 1)
        regions = HARDWARE_MAX_GIC_REGIONS - 1;
    read_gic(fdt, node, hw, 3, 1 + regions);
}

static void read_timer(const struct fdt *fdt, const struct fdt_node *node, struct hardware *hw)
{
    struct fdt_value value = fdt_property(fdt, node, "interrupts");
    uint32_t at = TIMER_VIRTUAL_IDX * INTERRUPT_CELLS;
    uint32_t number = fdt_value_word(value, at + 1);
    if (fdt_value_word(value, at) == INTERRUPT_TYPE_PRIVATE && number < 16)
        hw->timer_interrupt = INTERRUPT_PRIVATE_BASE + number;
}

/* An address in one word or two: boot loaders write either. */
static uint64_t address_value(struct fdt_value value)
{
    uint64_t first = fdt_value_word(value, 0);
    return value.bytes >= 8 ? first << 32 | fdt_value_word(value, 1) : first;
}

static void read_initrd(const struct fdt *fdt, const struct fdt_node *node, struct hardware *hw)
{
    struct hardware_range range = {
        address_value(fdt_property(fdt, node, "linux,initrd-start")),
        address_value(fdt_property(fdt, node, "linux,initrd-end")),
    };
    if (range.lo < range.hi)
        hw->initrd = range;
}

/* The string must end inside the value. */
static void read_chosen(const struct fdt *fdt, const struct fdt_node *node, struct hardware *hw)
{
    struct fdt_value text = fdt_property(fdt, node, "bootargs");
    if (text.bytes > 0 && text.data[text.bytes - 1] == 0)
        hw->command_line = (const char *)text.data;
    read_initrd(fdt, node, hw);
}

/* Which nodes matter: by the parent's name and their own name or `compatible`. */
struct node_reader {
    const char *parent;     /* "" is the root */
    const char *name;       /* NULL: any */
    const char *compatible; /* NULL: any */
    void (*read)(const struct fdt *fdt, const struct fdt_node *node, struct hardware *hw);
};

static const struct node_reader readers[] = {
    {"", "memory", NULL, read_memory},
    {"reserved-memory", NULL, NULL, read_reserved},
    {"cpus", "cpu", NULL, read_core},
    {"", NULL, "arm,psci-0.2", read_psci},
    {"", NULL, "arm,psci-1.0", read_psci},
    {"", NULL, "arm,pl011", read_uart},
    {"", NULL, "arm,cortex-a15-gic", read_gic_v2},
    {"", NULL, "arm,gic-400", read_gic_v2},
    {"", NULL, "arm,gic-v3", read_gic_v3},
    {"", NULL, "arm,armv8-timer", read_timer},
    {"", "chosen", NULL, read_chosen},
};

static bool reader_wants(const struct node_reader *reader, const struct fdt *fdt,
                         const struct fdt_node *node)
{
    if (!fdt_name_is(node->parent, reader->parent))
        return false;
    if (reader->name && !fdt_name_is(node, reader->name))
        return false;
    return !reader->compatible ||
           fdt_value_has(fdt_property(fdt, node, "compatible"), reader->compatible);
}

static void visit(const struct fdt *fdt, const struct fdt_node *node, void *arg)
{
    if (!node->parent)
        return;
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        if (reader_wants(&readers[i], fdt, node))
            readers[i].read(fdt, node, arg);
    }
}

static void read_reservations(const struct fdt *fdt, struct hardware *hw)
{
    uint64_t address, bytes;
    for (uint32_t i = 0; fdt_reservation(fdt, i, &address, &bytes); i++)
        add_range(hw->reserved, &hw->reserved_count, address, bytes, "reserved memory");
}

static void check_complete(const struct hardware *hw)
{
    BH_CHECK(hw->memory_count > 0, "board: the device tree lists no memory");
    BH_CHECK(hw->gic_version != 0,
             "board: the device tree has no GICv2 or GICv3; use -M virt,gic-version=2 or 3");
    BH_CHECK(hw->timer_interrupt != 0,
             "board: the device tree has no arm,armv8-timer with a virtual timer");
}

void hardware_read(struct hardware *hardware, const void *tree, size_t max_bytes)
{
    struct fdt fdt;
    *hardware = (struct hardware){0};
    if (!fdt_open(&fdt, tree, max_bytes) || !fdt_walk(&fdt, visit, hardware))
        bh_panic("board: the device tree at %p is malformed: %s (at offset %u); link an ELF "
                 "image at 0x40100000 or above, or check the file given with -dtb",
                 tree, fdt.error, fdt.error_at);
    read_reservations(&fdt, hardware);
    check_complete(hardware);
}
