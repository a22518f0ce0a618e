/* SPDX-License-Identifier: MIT */
/*
 * The rest of port.h on the host: log, panic, clock; and how the process ends.
 *
 * A log text is one write(): the kernel keeps those of several threads apart (on a pipe up to
 * 4096 bytes, eight times the longest print_log). No lock, so a core stopped or interrupted in the
 * middle of one holds up nobody.
 */
#define _GNU_SOURCE
#include "boards/board.h"
#include "boards/host/internal.h"
#include "boards/posix.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>
#include <stdlib.h>
#include <unistd.h>

/* Of a wait: how often the processor is given away before the thread sleeps, and how long then. */
#define WAIT_YIELDS   64
#define WAIT_SLEEP_NS 20000

/* NULL in an image that is linked without the collector. */
bool bh_gc_add_root(const void *lo, const void *hi) __attribute__((weak));

/* The executable's .data and .bss, by its linker. Shared libraries have their own, which are not
 * roots: none of them refers to our heap. */
extern char __data_start[] __attribute__((weak));
extern char _end[] __attribute__((weak));

static int log_file = STDERR_FILENO;
static bool is_board;
static uint32_t exiting;

__attribute__((weak)) void board_on_panic(const char *message)
{
    (void)message;
}

__attribute__((weak)) uint64_t board_on_clock(uint64_t ns)
{
    return ns;
}

void host_become_board(void)
{
    log_file = STDOUT_FILENO;
    is_board = true;
}

void host_register_roots(void)
{
    if (bh_gc_add_root && __data_start != NULL && _end != NULL)
        BH_CHECK(bh_gc_add_root(__data_start, _end),
                 "host: the collector refused .data and .bss as a root");
}

void bh_port_log(const char *text, size_t bytes)
{
    posix_write(log_file, text, bytes);
}

void board_putc(char c)
{
    bh_port_log(&c, 1);
}

uint64_t bh_port_now_ns(void)
{
    return board_on_clock(posix_now_ns());
}

void bh_port_wait(unsigned round)
{
    posix_wait(round, WAIT_YIELDS, WAIT_SLEEP_NS);
}

void host_exit(int status)
{
    /* Relaxed: only who is first matters. */
    if (atomic_add_relaxed(&exiting, 1) != 0 && !host_self.in_fault) {
        for (;;)
            pause();
    }
    /* After a fault the C library may be in any state: no destructors, no sanitizer's last word. */
    if (host_self.in_fault)
        _exit(status);
    exit(status);
}

/* The first core to panic says how the run ends; others leave it to that one. A hook that panics
 * itself is not called for ever. */
void bh_port_panic(const char *message)
{
    static uint32_t first; /* its core, plus 1 */
    (void)bh_port_irq_save();
    if (!is_board)
        abort(); /* before the core is asked for: a thread that is none panics here too */
    uint32_t me = bh_port_core() + 1, who = 0;
    if (atomic_cas_acquire(&first, &who, me)) /* acquire: no reason; there is no relaxed one */
        board_on_panic(message);
    else if (who != me)
        for (;;)
            pause();
    host_exit(EXIT_FAILURE);
}
