/* SPDX-License-Identifier: MIT */
/*
 * What a board gives to the image that runs on it: tests, the replay, a user's own main. Each
 * board implements this and port.h. (The library itself knows only port.h.)
 *
 * Life of an image: the board boots core 0 on a guarded stack, brings up the other cores, which
 * wait with interrupts on for the jobs of board_start(), registers .data and .bss with
 * bh_gc_add_root(), and calls board_main() on core 0. bh_init() is left to the image.
 */
#ifndef BOARDS_BOARD_H
#define BOARDS_BOARD_H

#include <bareheap/alloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOARD_MAX_CORES 16

/* The image supplies this; what it returns ends the image as board_exit() would. */
int board_main(void);

/* "qemu-x86_64", "qemu-aarch64" or "host". */
const char *board_name(void);

/* The cores that are up, 1 to BOARD_MAX_CORES; this one is bh_port_core(). */
unsigned board_cores(void);

/* RAM the board does not use itself: free for bh_init(). Constant after boot. */
const struct bh_region *board_ram(size_t *count);

/* The image's command line (QEMU's -append; on the host the arguments joined by blanks). */
const char *board_command_line(void);

/* The file that was loaded beside the image (QEMU's -initrd), in RAM of its own that is in no
 * region of board_ram(). NULL and 0 bytes without one, and always on the host. */
const void *board_initrd(size_t *bytes);

/*
 * Runs fn(arg) on core `core` (which may be this one: then at once) and returns without waiting.
 * Only from board_main()'s thread on core 0. A core takes one job at a time.
 */
void board_start(unsigned core, void (*fn)(void *arg), void *arg);

/* Waits until core `core` has finished its job, with interrupts on. */
void board_wait(unsigned core);

/* Waits a moment in a loop that waits for another core. On the host it gives the processor away;
 * the weak default (tests/harness) is the CPU's pause. */
void board_yield(void);

/* Rests until this core has taken an interrupt, or for no reason; interrupts are on. For waits that
 * last: there must be an interrupt to come, such as that of a running timer. */
void board_rest(void);

/* Calls `handler` on this core every `period_ns`, from the timer interrupt (on the host a signal),
 * until stopped. Under emulation periods below 50 microseconds are not kept. */
void board_timer_start(uint64_t period_ns, void (*handler)(void));
void board_timer_stop(void);

/* Unmasks, masks interrupts of this core: what a kernel's own code would do. */
void board_irq_on(void);
void board_irq_off(void);

/* One character to the console at once; bh_port_log() is the usual way. */
void board_putc(char c);

/* Ends the machine: 0 is success (x86-64: QEMU exits 33, AArch64 and host: 0), else failure (35,
 * 1). */
_Noreturn void board_exit(int status);

/* What became of an interrupt at a certain instruction. */
enum board_interrupted {
    BOARD_RETURNED, /* none: there are not that many instructions */
    BOARD_MASKED,   /* none: interrupts were off there */
    BOARD_TAKEN,
};

/*
 * Calls fn(arg), and `handler` as an interrupt behind instruction number `n` of it (from 1; those
 * of everything it calls count). Called with interrupts on; one at a time per core.
 */
enum board_interrupted board_interrupt_at(uint64_t n, void (*handler)(void), void (*fn)(void *arg),
                                          void *arg);

/* Where board_interrupt_at() works. AArch64 cannot be stepped through a lock (step.c), so there the
 * first `n` instructions must take none. */
enum board_stepping {
    BOARD_STEPS_NOWHERE,
    BOARD_STEPS_OUTSIDE_LOCKS,
    BOARD_STEPS_ANYWHERE,
};
enum board_stepping board_stepping(void);

/*
 * Called at every interrupt that is taken, before its handler and behind bh_restart_fixup(), with
 * the saved program counter and what it was before: they differ when a restartable sequence was
 * interrupted. The weak default does nothing. Tests count restarts in here, and write `interrupted`
 * back to see that the fixup is missed.
 */
void board_on_interrupt(uintptr_t *pc, uintptr_t interrupted);

/* What bh_port_now_ns() answers when the board's clock says `ns`; the weak default says the same.
 * Tests put a clock of their own in here (tests/unit/clock.h). */
uint64_t board_on_clock(uint64_t ns);

/*
 * Called by bh_port_panic() before the machine ends, with the message; a test that expects a
 * panic ends the run itself in here. The weak default does nothing.
 */
void board_on_panic(const char *message);

/* Called at the end of bh_port_pages_released(), with what it was given. The weak default does
 * nothing. */
void board_on_pages_released(void *base, size_t bytes);

/* Called first at every exception the board reports, with its report's first line (without the
 * addresses that vary) and the address that was accessed; 0 when it was no access that failed. The
 * weak default does nothing. */
void board_on_exception(const char *what, uintptr_t address);

#endif
