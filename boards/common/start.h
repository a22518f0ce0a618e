/* SPDX-License-Identifier: MIT */
/*
 * The last steps of core 0's boot, and the end of an image: command line, initrd, roots,
 * board_main(), panic and the first line of an exception report.
 */
#ifndef BOARDS_COMMON_START_H
#define BOARDS_COMMON_START_H

#include <stdint.h>

/* Copies the command line for board_command_line(), cut at START_COMMAND_LINE_BYTES - 1. NULL is
 * the empty one. Before start_main(). */
#define START_COMMAND_LINE_BYTES 2048
void start_set_command_line(const char *text);

/* What board_initrd() returns from now on: [lo, hi), which is mapped and in no range of free RAM.
 */
void start_set_initrd(uintptr_t lo, uintptr_t hi);

/*
 * Registers .data and .bss as roots where the collector is linked, turns interrupts on, calls
 * board_main() and ends the machine with what it returns. All cores are up.
 */
_Noreturn void start_main(void);

/*
 * Opens the report of a fatal exception named `what` ("page fault"), interrupts off: claims the
 * console, calls board_on_exception(what, address) and logs "exception: <what> on core <n>\n". The
 * address is that of the access that failed, 0 where none did. A second exception inside a report
 * ends the machine; a core that comes while another reports stays here. The board logs registers,
 * addresses and backtrace after it and ends with bh_port_panic(what).
 */
void start_report_exception(const char *what, uintptr_t address);

#endif
