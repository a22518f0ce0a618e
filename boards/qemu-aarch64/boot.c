/* SPDX-License-Identifier: MIT */
/*
 * Core 0's boot in C, from start.S to board_main(): the order is the content.
 *
 * On entry: EL1, MMU and caches on with the boot tables (devices in the first GiB, RAM in the
 * second), interrupts masked, on core 0's main stack, .bss zeroed.
 */
#include "boards/qemu-aarch64/boot.h"
#include "boards/board.h"
#include "boards/common/image.h"
#include "boards/common/ram.h"
#include "boards/common/start.h"
#include "boards/qemu-aarch64/cores.h"
#include "boards/qemu-aarch64/firmware.h"
#include "boards/qemu-aarch64/hardware.h"
#include "boards/qemu-aarch64/interrupts.h"
#include "boards/qemu-aarch64/layout.h"
#include "boards/qemu-aarch64/mmu.h"
#include "boards/qemu-aarch64/timer.h"
#include "boards/qemu-aarch64/uart.h"
#include "kernel-lib/check.h"
#include <bareheap/port.h>

#define TREE_MAX_BYTES 0x200000u /* the most a device tree may have */

#define UART_BYTES 0x1000u

static struct hardware hardware;

const char *board_name(void)
{
    return "qemu-aarch64";
}

bool bh_port_guard(void *base, size_t bytes, bool guard)
{
    return mmu_guard((uintptr_t)base, (uintptr_t)base + bytes, guard);
}

static void find_hardware(uintptr_t tree)
{
    BH_CHECK(tree % 8 == 0 && tree >= VIRT_RAM_START && tree < VIRT_BOOT_MAP_END,
             "board: the device tree at %#zx is not in the first GiB of RAM", tree);
    size_t room = VIRT_BOOT_MAP_END - tree;
    hardware_read(&hardware, (const void *)tree, room < TREE_MAX_BYTES ? room : TREE_MAX_BYTES);
    uart_init(hardware.uart);
    firmware_init(hardware.psci);
    start_set_command_line(hardware.command_line);
    if (hardware.initrd.hi != 0)
        start_set_initrd(hardware.initrd.lo, hardware.initrd.hi);
    hardware.command_line = NULL; /* the tree's memory is about to become free RAM */
}

/* The tree itself is not reserved: find_hardware() has copied what is needed. */
static void list_free_ram(void)
{
    for (unsigned i = 0; i < hardware.memory_count; i++)
        ram_add(hardware.memory[i].lo, hardware.memory[i].hi);
    for (unsigned i = 0; i < hardware.reserved_count; i++)
        ram_reserve(hardware.reserved[i].lo, hardware.reserved[i].hi);
    ram_reserve((uintptr_t)__image_start, (uintptr_t)__image_end);
    ram_reserve(hardware.initrd.lo, hardware.initrd.hi);
}

static void map_ram(void)
{
    for (unsigned i = 0; i < hardware.memory_count; i++)
        mmu_map(hardware.memory[i].lo, hardware.memory[i].hi, MMU_READ_WRITE);
    /* Nobody uses reserved memory, and what is not mapped is not fetched into a cache either. */
    for (unsigned i = 0; i < hardware.reserved_count; i++)
        mmu_map(hardware.reserved[i].lo, hardware.reserved[i].hi, MMU_NOTHING);
}

static void map_image(void)
{
    mmu_map((uintptr_t)__text_start, (uintptr_t)__text_end, MMU_EXECUTE);
    mmu_map((uintptr_t)__rodata_start, (uintptr_t)__rodata_end, MMU_READ_ONLY);
    cores_map_guards();
}

static void map_devices(void)
{
    uintptr_t uart = hardware.uart ? hardware.uart : VIRT_UART;
    mmu_map(uart, uart + UART_BYTES, MMU_DEVICE);
    for (unsigned i = 0; i < hardware.gic_region_count; i++)
        mmu_map(hardware.gic[i].lo, hardware.gic[i].hi, MMU_DEVICE);
}

_Noreturn void boot_first_core(uintptr_t tree)
{
    timer_init();
    find_hardware(tree);
    list_free_ram();
    map_ram();
    map_image();
    map_devices();
    mmu_switch(mmu_root());
    cores_init(&hardware);
    bh_core_init();
    interrupts_init(&hardware);
    interrupts_init_core();
    cores_start();
    start_main();
}
