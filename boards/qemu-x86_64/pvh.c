/* SPDX-License-Identifier: MIT */
/*
 * Reads the boot information of the PVH protocol (Xen, public/arch-x86/hvm/start_info.h): RAM map,
 * command line, modules, ACPI root pointer.
 *
 * What the board needs later is copied, so the information itself may be overwritten; modules
 * are in use by the image and are kept out of the free RAM, and so are the image and the
 * first MiB, where the firmware keeps its tables and the trampoline lies.
 */
#include "boards/qemu-x86_64/pvh.h"

#include "boards/common/image.h"
#include "boards/common/ram.h"
#include "boards/common/start.h"
#include "kernel-lib/check.h"

#define PVH_MAGIC      0x336ec578u
#define PVH_RAM        1u
#define PVH_MAX_RANGES 32
#define LOW_BYTES      0x100000u

struct hvm_start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules;
    uint64_t command_line;
    uint64_t rsdp;
    uint64_t memory_map; /* from version 1 on */
    uint32_t memory_map_count;
    uint32_t reserved;
};

struct hvm_module {
    uint64_t address;
    uint64_t bytes;
    uint64_t command_line;
    uint64_t reserved;
};

struct hvm_memory_range {
    uint64_t address;
    uint64_t bytes;
    uint32_t type;
    uint32_t reserved;
};

static struct {
    uintptr_t lo;
    uintptr_t hi;
} ram[PVH_MAX_RANGES];

static size_t ram_count;
static uintptr_t rsdp;

static void info_check(const struct hvm_start_info *info)
{
    BH_CHECK(info->magic == PVH_MAGIC,
             "board: no PVH start information at %p (magic 0x%x, not 0x%x): boot the image with "
             "QEMU's -kernel",
             (const void *)info, info->magic, PVH_MAGIC);
    BH_CHECK(info->version >= 1 && info->memory_map_count > 0,
             "board: the PVH start information (version %u) has no RAM map", info->version);
}

static void ranges_read(const struct hvm_start_info *info)
{
    const struct hvm_memory_range *range = (const struct hvm_memory_range *)info->memory_map;
    for (uint32_t i = 0; i < info->memory_map_count; i++, range++) {
        if (range->type != PVH_RAM)
            continue;
        BH_CHECK(ram_count < PVH_MAX_RANGES, "board: more than %d ranges of RAM", PVH_MAX_RANGES);
        ram[ram_count].lo = range->address;
        ram[ram_count].hi = range->address + range->bytes;
        ram_count++;
    }
}

/* The first module is what the image finds with board_initrd(); QEMU gives no other. */
static void modules_read(const struct hvm_start_info *info)
{
    const struct hvm_module *module = (const struct hvm_module *)info->modules;
    for (uint32_t i = 0; i < info->module_count; i++)
        ram_reserve(module[i].address, module[i].address + module[i].bytes);
    if (info->module_count > 0)
        start_set_initrd(module->address, module->address + module->bytes);
}

void pvh_read(const struct hvm_start_info *info)
{
    info_check(info);
    ranges_read(info);
    pvh_for_each_ram(ram_add);
    ram_reserve(0, LOW_BYTES);
    ram_reserve((uintptr_t)__image_start, (uintptr_t)__image_end);
    modules_read(info);
    start_set_command_line((const char *)info->command_line);
    rsdp = info->rsdp;
}

void pvh_for_each_ram(void (*visit)(uintptr_t lo, uintptr_t hi))
{
    for (size_t i = 0; i < ram_count; i++)
        visit(ram[i].lo, ram[i].hi);
}

uintptr_t pvh_rsdp(void)
{
    return rsdp;
}
