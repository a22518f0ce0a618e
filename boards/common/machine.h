/* SPDX-License-Identifier: MIT */
/*
 * What boards/common/ needs of one machine, beside board.h and port.h: a QEMU board implements
 * these few functions, and the files here give it the rest.
 *
 *   common file   gives                                             is called by
 *   string.c      memcpy memmove memset memcmp                      everybody
 *   console.c     bh_port_log, console_claim                        everybody
 *   ram.c         board_ram, the list of free RAM                   the board while it boots
 *   jobs.c        board_start, board_wait, jobs_idle                secondaries end in jobs_idle()
 *   start.c       start_main, bh_port_panic, the command line       core 0 ends in start_main()
 *   report.c      lines of an exception's report                    the board's own report
 *   symbols.c     bh_symbol_name, from the image's symbol table     reports and backtraces
 */
#ifndef BOARDS_COMMON_MACHINE_H
#define BOARDS_COMMON_MACHINE_H

#include <stddef.h>

/* Writes text to the console, polling. Any context, any time after the first instructions of
 * core 0; calls of two cores do not overlap (console.c), but for a core that has faulted. */
void machine_write(const char *text, size_t bytes);

/*
 * Called with interrupts off: waits until an interrupt is pending (one that came since they went
 * off counts), takes it, and returns with interrupts off again. May return early.
 */
void machine_sleep(void);

/* Interrupts core `core` (never the caller's), so that it leaves machine_sleep(). */
void machine_wake(unsigned core);

#endif
