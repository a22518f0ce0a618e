/* SPDX-License-Identifier: MIT */
/*
 * What Bareheap asks of the kernel around it, and all it asks, besides memcpy, memmove and memset
 * with their standard meaning. Implement these functions in one file of the kernel.
 *
 * Unless a hook says otherwise: it may be called on any core, with interrupts on or off, from an
 * interrupt handler, and with locks of ours held. It must not call back into Bareheap.
 * Hooks marked optional have a default in the library; define them only to replace it.
 *
 * A default is a weak definition, and a linker that has one looks into no archive for another: a
 * hook that lies alone in an archive is left out without a word. Link hooks as objects; or name
 * their archive with --whole-archive; or before ours and with -u bh_port_for_each_stack, and so on.
 */
#ifndef BAREHEAP_PORT_H
#define BAREHEAP_PORT_H

#include <bareheap/config.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The index of the calling core, 0 to count - 1. On the path of every allocation: a register
 * read, not a lookup. Called with interrupts off where a migration would matter. */
unsigned bh_port_core(void);

/* The number of cores that will ever call us. Constant from bh_init() on where there is a
 * collector, whose first cycle needs all of them up, or parked: one that does not answer has it
 * abandoned after BH_STOP_TIMEOUT_NS, with nothing freed. Without a collector it may grow, as cores
 * (or threads that play them) come: it is then more than the index of any core that has called us.
 * The caches share their budget between so many. */
unsigned bh_port_core_count(void);

/* Writes `bytes` bytes of text to the kernel's log. Never fails; may drop. */
void bh_port_log(const char *text, size_t bytes);

/* Ends the kernel, or this use of it, with `message` (a line without newline, already logged).
 * Does not return. */
void bh_port_panic(const char *message) __attribute__((noreturn));

/*
 * Nanoseconds since some fixed moment, never going backwards on one core. Optional: without it the
 * clock stands still, and with it
 *   - traces and the durations in statistics: they say 0;
 *   - the period: no cycle starts because there was none for two minutes;
 *   - the limiter: cycles for bh_gc_set_limit() may take more than half of the time, bounded only
 *     by the step of growth that each needs;
 *   - the stop timeout: a core that does not stop is waited for by a count of polls (2^26 looks,
 *     with bh_port_wait() between them: seconds, if that does not sleep);
 *   - backing off after that: by a count of requests, from 64 to 4096, instead of a time;
 *   - bh_scavenge(): caches of cores that rest are not asked for, and no page is handed over
 *     gradually unless the delay is 0.
 */
uint64_t bh_port_now_ns(void);

/*
 * The name of the function that holds `address`, and in *offset how far into it, from whatever
 * table of symbols the kernel has; NULL when it has none, as the default does. The text is
 * constant. Called on the way into a panic and for the leak report, on any core and in any state:
 * it must take no lock and not fault. Optional.
 */
const char *bh_symbol_name(uintptr_t address, size_t *offset);

/*
 * Interrupts core `core` (never the caller's), whose handler calls bh_handle_signal(). What the
 * caller wrote before must be seen by the handler (AArch64: DSB before the SGI). An interrupt that
 * masking holds back, so not an NMI. The entry code saves on the stack every register, vector
 * registers included, that its own C code may change before the call. May be repeated while one is
 * pending. Required when a collector runs on more than one core or
 * bh_drain_core() is used; the default panics saying so. Called with interrupts off.
 */
void bh_port_signal_core(unsigned core);

/*
 * The end (highest address, exclusive) of the stack that holds address `sp` on this core: the
 * stack in use, or the one it interrupted. Required by the collector; the default panics.
 * Called on that core, interrupts off.
 */
uintptr_t bh_port_stack_top(uintptr_t sp);

/*
 * Calls `visit(lo, hi, arg)` for every stack that no core runs on now (for a core that allows
 * interrupts inside a handler on another stack also the one it left): [lo, hi) from the saved
 * stack pointer (with the saved registers on it, or passed as a range of their own) to its
 * top. Called while all cores are stopped: take no lock that a stopped core may hold. Optional:
 * the default lists none, right for a kernel without threads.
 */
void bh_port_for_each_stack(void (*visit)(const void *lo, const void *hi, void *arg), void *arg);

/*
 * The heap is out of `bytes` bytes of pages. The kernel may hand over more by calling
 * bh_add_region() (the one exception to the rule above) and return true, or return false.
 * Called with no lock of ours held and only when the caller's interrupts are on; may wait.
 * Optional: default false.
 */
bool bh_port_pages_wanted(size_t bytes);

/*
 * [base, base + bytes) is free and whole pages of ours (8 KiB); the kernel may take the
 * memory behind it away, provided that it can be read and written again (contents zero or
 * unchanged) without telling us. Called with no lock of ours held, and interrupts on unless
 * bh_release_pages() was called with them off; may wait. Optional.
 */
void bh_port_pages_released(void *base, size_t bytes);

/*
 * In hardened builds (BH_HARDEN), on a kernel with an MMU: [base, base + bytes), whole pages of
 * ours (8 KiB) in the heap, are to fault at every access (`guard`), or to be ordinary memory again,
 * contents as they please. True when done. False to `guard`: the object has no guard there; nothing
 * else is lost. False to the reverse: the heap never uses the pages again. Cores that have used the
 * pages may go on for a while: a port that does not interrupt them for it finds fewer errors, but
 * what is ordinary again must be so on all cores at once. Called with no lock of ours held; in
 * interrupt handlers where bh_malloc() is. Takes time: four calls per large object
 * (BH_GUARD_BYTES). Optional: without it there are no guards.
 */
bool bh_port_guard(void *base, size_t bytes, bool guard);

/*
 * A lock of ours has been looked at for a while and is still held. Holders run to their end in
 * less than a microsecond unless somebody takes the processor away from them: a hypervisor, or the
 * scheduler of the system whose threads play the cores. Such a port gives the processor away here.
 * `round` counts the calls, from 0, while the lock is waited for. Interrupts off, no lock of
 * ours held but by others. Also called by cores that stand still for a collection and have nothing
 * to do in it, and by one that waits for others to stand still: there too, `round` says how long
 * it has been. Optional.
 */
void bh_port_wait(unsigned round);

/* A request is about to be answered with NULL: memory is out, or no memory could be enough. For a
 * log, or errno. Called with no lock of ours held. Optional. */
void bh_port_out_of_memory(void);

/* Finalizers or cleanups are due: have somebody call bh_gc_run_finalizers() soon. Called after a
 * stop, on the core that collected, with interrupts on and no lock of ours held. Optional: the
 * default does nothing. */
void bh_port_finalizers_due(void);

#if BH_PORT_ALONE
/*
 * Whether no other core will call us, or is in the middle of a call, from here until this core's
 * interrupts come on. A port whose first core brings up the others may say so before that.
 * Called with interrupts off, at every lock.
 */
bool bh_port_alone(void);
#endif

/* ---- what the kernel calls in its turn ---- */

/*
 * Gives the calling core its slot (BH_CORE_SLOT), interrupts off, before the core's first
 * allocation; again when its core base register has moved. Does nothing unless BH_PROTECT is
 * RESTART or NONE. bh_init() does it for its own core.
 */
void bh_core_init(void);

/*
 * In a RESTART build, the first thing at every interrupt, exception and inter-processor interrupt
 * taken from kernel mode whose handler may allocate or switch context: `*pc` is the interrupted
 * program counter in the saved frame. If it lies inside a restartable sequence it is moved back to
 * the sequence's start. Takes no lock, touches nothing else. In other builds it does nothing.
 */
void bh_restart_fixup(uintptr_t *pc);

/*
 * The handler of the interrupt that bh_port_signal_core() causes calls this, first thing after the
 * fixup: it empties this core's cache if another core asked for that, and stands still for a
 * collection. `interrupted_sp` is the stack pointer at the interruption. Interrupts off.
 */
void bh_handle_signal(uintptr_t interrupted_sp);

#if BH_PORT_IRQ
/* Masks this core's interrupts and returns what bh_port_irq_restore needs. They nest. */
uintptr_t bh_port_irq_save(void);
void bh_port_irq_restore(uintptr_t state);
bool bh_port_irq_enabled(void);
#endif

#ifdef __cplusplus
}
#endif

#endif
