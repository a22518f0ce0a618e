/* SPDX-License-Identifier: MIT */
/*
 * The last steps of core 0's boot, and how an image ends.
 *
 * An image ends by board_main() returning, by board_exit(), by bh_panic() (which ends in
 * bh_port_panic() here) or by an exception (which logs its report and ends there as well).
 * Where several cores come to an end at once, the first to claim the console decides; the others
 * stay where they are, deaf to interrupts, until the machine is gone.
 */
#include "boards/common/start.h"

#include "arch/arch.h"
#include "boards/board.h"
#include "boards/common/console.h"
#include "boards/common/image.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>

/* NULL in an image that is linked without the collector. */
bool bh_gc_add_root(const void *lo, const void *hi) __attribute__((weak));

static char command_line[START_COMMAND_LINE_BYTES];
static const void *initrd;
static size_t initrd_bytes;

/* What the core that claimed the console is busy with; only that core reads or writes them. */
static bool reporting;
static bool panicking;

__attribute__((weak)) void board_on_panic(const char *message)
{
    (void)message;
}

__attribute__((weak)) void board_on_pages_released(void *base, size_t bytes)
{
    (void)base;
    (void)bytes;
}

__attribute__((weak)) void board_on_interrupt(uintptr_t *pc, uintptr_t interrupted)
{
    (void)pc;
    (void)interrupted;
}

__attribute__((weak)) uint64_t board_on_clock(uint64_t ns)
{
    return ns;
}

__attribute__((weak)) void board_on_exception(const char *what, uintptr_t address)
{
    (void)what;
    (void)address;
}

void start_set_command_line(const char *text)
{
    print_format(command_line, sizeof(command_line), "%s", text ? text : "");
}

const char *board_command_line(void)
{
    return command_line;
}

void start_set_initrd(uintptr_t lo, uintptr_t hi)
{
    initrd = (const void *)lo;
    initrd_bytes = hi - lo;
}

const void *board_initrd(size_t *bytes)
{
    *bytes = initrd_bytes;
    return initrd;
}

_Noreturn void start_main(void)
{
    if (bh_gc_add_root)
        BH_CHECK(bh_gc_add_root(__data_start, __bss_end),
                 "board: the collector refused .data and .bss as a root");
    board_irq_on();
    board_exit(board_main());
}

/* Another core is ending the machine: wait for it. Interrupts are off and stay off: a core that has
 * failed runs no handler any more, so no machine_sleep() here, which takes them. */
static _Noreturn void stay(void)
{
    for (;;)
        arch_pause();
}

void start_report_exception(const char *what, uintptr_t address)
{
    if (!console_claim())
        stay();
    if (reporting) {
        print_log("board: a second exception (%s) inside the report of the first\n", what);
        board_exit(1);
    }
    reporting = true;
    board_on_exception(what, address);
    print_log("exception: %s on core %u\n", what, bh_port_core());
}

_Noreturn void bh_port_panic(const char *message)
{
    board_irq_off();
    if (!console_claim())
        stay();
    if (!panicking) {
        panicking = true;
        board_on_panic(message);
    }
    board_exit(1);
}

/* Nobody else is there to use the memory. */
void bh_port_pages_released(void *base, size_t bytes)
{
    board_on_pages_released(base, bytes);
}
