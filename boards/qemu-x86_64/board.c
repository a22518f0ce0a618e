/* SPDX-License-Identifier: MIT */
/*
 * The board's front door: core 0's way from boot.S to board_main(), and the functions of board.h
 * and port.h that are a line or two on this machine.
 *
 * boot_main() is the table of contents of the boot; the order matters:
 *   console and descriptor tables first, so that anything that goes wrong is reported in words;
 *   then what the firmware says, while the boot page tables still map its tables;
 *   then our own page tables, the clock, and with it the timer and the other cores.
 */
#include "boards/board.h"

#include "boards/common/image.h"
#include "boards/common/machine.h"
#include "boards/common/start.h"
#include "boards/qemu-x86_64/apic.h"
#include "boards/qemu-x86_64/clock.h"
#include "boards/qemu-x86_64/core.h"
#include "boards/qemu-x86_64/cpu.h"
#include "boards/qemu-x86_64/interrupts.h"
#include "boards/qemu-x86_64/pages.h"
#include "boards/qemu-x86_64/pvh.h"
#include "boards/qemu-x86_64/serial.h"
#include "kernel-lib/print.h"
#include <bareheap/port.h>

/* QEMU's isa-debug-exit device: its process exits with (value << 1) | 1. */
#define EXIT_PORT    0xf4
#define EXIT_SUCCESS 0x10
#define EXIT_FAILURE 0x11

#define PAGE_BYTES 4096u

_Noreturn void boot_main(const struct hvm_start_info *info);

static void map_ram(uintptr_t lo, uintptr_t hi)
{
    pages_map(lo, hi, PAGES_DATA);
}

/* All RAM is data; the image's parts and the page at 0 get what they need on top of that. */
static void map_machine(void)
{
    pages_init();
    pvh_for_each_ram(map_ram);
    pages_unmap(0, PAGE_BYTES);
    pages_map((uintptr_t)__text_start, (uintptr_t)__text_end, PAGES_CODE);
    pages_map((uintptr_t)__rodata_start, (uintptr_t)__rodata_end, PAGES_CONSTANT);
    stacks_unmap_guards();
    pages_map(apic_address(), apic_address() + PAGE_BYTES, PAGES_DEVICE);
    pages_load();
}

_Noreturn void boot_main(const struct hvm_start_info *info)
{
    serial_init();
    interrupts_init();
    core_load(0);
    pvh_read(info);
    apic_init();
    apic_enable();
    cores_find();
    map_machine();
    clock_init();
    apic_timer_calibrate();
    cores_start();
    start_main();
}

const char *board_name(void)
{
    return "qemu-x86_64";
}

void board_irq_on(void)
{
    cpu_irq_on();
}

void board_irq_off(void)
{
    cpu_irq_off();
}

void board_timer_start(uint64_t period_ns, void (*handler)(void))
{
    core_here()->tick = handler;
    apic_timer_start(period_ns);
}

void board_timer_stop(void)
{
    apic_timer_stop();
    core_here()->tick = NULL;
}

void machine_sleep(void)
{
    cpu_wait_for_irq();
}

void machine_wake(unsigned core)
{
    apic_send(cores[core].apic_id, VECTOR_WAKE);
}

void bh_port_signal_core(unsigned core)
{
    apic_send(cores[core].apic_id, VECTOR_STOP);
}

bool bh_port_guard(void *base, size_t bytes, bool guard)
{
    return pages_guard((uintptr_t)base, (uintptr_t)base + bytes, guard);
}

_Noreturn void board_exit(int status)
{
    cpu_irq_off();
    cpu_out32(EXIT_PORT, status == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    print_log("board: the machine did not exit: run QEMU with "
              "-device isa-debug-exit,iobase=0xf4,iosize=0x04\n");
    for (;;)
        __asm__ volatile("cli; hlt");
}
