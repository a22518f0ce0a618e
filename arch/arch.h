/* SPDX-License-Identifier: MIT */
/*
 * The contract of floor 1: what the floors above need of one CPU, and the checklist for a port.
 *
 * Every function is declared here without a body; the CPU's ops.h gives the body (but for those of
 * BH_PORT_IRQ, which know no CPU), and the compiler rejects a port that misses one that is used.
 * This is the only file with an #if on a CPU.
 * Guide: arch/README.md.
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <bareheap/config.h>
#include <bareheap/port.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that two cores should not both write in: a cache line, or two where lines come in pairs. */
#define ARCH_CACHE_LINE 64

/* Whether this core takes interrupts. */
static inline bool arch_irq_enabled(void);

/* Masks interrupts on this core and returns the state before. A compiler barrier. They nest. */
static inline uintptr_t arch_irq_save(void);

/* Puts back what arch_irq_save() returned. A compiler barrier. */
static inline void arch_irq_restore(uintptr_t state);

#if BH_PORT_IRQ
/* The port masks interrupts, on any CPU. */
static inline bool arch_irq_enabled(void)
{
    return bh_port_irq_enabled();
}

static inline uintptr_t arch_irq_save(void)
{
    return bh_port_irq_save();
}

static inline void arch_irq_restore(uintptr_t state)
{
    bh_port_irq_restore(state);
}

#endif

/* Tells the CPU that this is a waiting loop. */
static inline void arch_pause(void);

/* Fetches the cache line of `address`, any address, to be written soon: other cores lose it. */
static inline void arch_prefetch_write(const void *address);

/* A counter that runs at a constant rate and is cheap to read; differences only. */
static inline uint64_t arch_cycles(void);

/* The stack pointer, at some point of the calling function. */
static inline uintptr_t arch_stack_pointer(void);

/*
 * Stores all registers that can hold a pointer (general, vector, link) on the stack and calls
 * fn(arg, sp), where [sp, top of this stack) then holds every pointer this core can see. The
 * stack pointer is aligned as the ABI wants. Returns when fn does.
 */
void arch_call_with_registers(void (*fn)(void *arg, uintptr_t sp), void *arg);

/*
 * The same for code that was called by the ABI, and is in no interrupt handler's entry: stores the
 * registers that survive a call. All others are dead, and what is left in them would only keep
 * garbage alive.
 */
void arch_call_with_saved_registers(void (*fn)(void *arg, uintptr_t sp), void *arg);

/*
 * One step of a walk over frame pointers: given a frame pointer, stores the return address and
 * the caller's frame pointer. The caller has checked that [frame, frame + 16) can be read.
 */
static inline void arch_frame_step(uintptr_t frame, uintptr_t *caller, uintptr_t *caller_frame);

/* ---- restartable sequences, for BH_PROTECT_RESTART ---- */

/*
 * A core's bins, to which its slot points (config.h, BH_CORE_SLOT): of bin i, top[i] is the address
 * of its last object or, when it is empty, of a zero; end[i] is where top[i] is when it is full.
 *
 * And its cursors, ARCH_CURSORS in a row, each on a piece of memory of which `step` bytes at a time
 * are handed out from `next` on, and no more when that is `end`. NULL: a row that it does not have.
 */
#define ARCH_BINS    80
#define ARCH_CURSORS 80
#define ARCH_ROWS    10
struct arch_cursor {
    uintptr_t next;
    uintptr_t end;
    size_t step;
};
struct arch_bins {
    void **top[ARCH_BINS];
    void **end[ARCH_BINS];
    struct arch_cursor *rows[ARCH_ROWS];
};

/*
 * Pop steps top down and returns what it pointed at, or returns NULL when that is the zero; push
 * stores `object` above top and steps top up, or returns false when the bin is full; bump steps
 * `next` of the cursor that begins at word `word` of row `row`, and returns where it was, or NULL
 * when it is at the end.
 *
 * Each is a restartable sequence: between its start and its commit, the one instruction that steps
 * top or next, it changes nothing that anybody looks at (what lies above top is nobody's) and keeps
 * its inputs; bh_restart_fixup() (kernel-lib/restart.c) moves an interrupted program counter in
 * between back to the start. Each use enters {start, commit}, two 32-bit offsets from where they
 * stand, in the section bh_restart_table. Only in functions marked ARCH_RESTARTABLE, which lie
 * in the section bh_restart. Needs gcc 11 or clang 12: asm goto with outputs.
 */
static inline void *arch_restart_pop(size_t bin);
static inline bool arch_restart_push(size_t bin, void *object);
static inline void *arch_restart_bump(size_t row, size_t word);

#define ARCH_RESTARTABLE __attribute__((section("bh_restart"), noinline))

/* Points this core's slot to its bins. Interrupts off. */
static inline void arch_core_slot_set(void *core);

#if defined(__x86_64__)
#include "arch/x86_64/ops.h"
#include "arch/x86_64/restart.h"
#elif defined(__aarch64__)
#include "arch/aarch64/ops.h"
#include "arch/aarch64/restart.h"
#else
#error "Bareheap knows x86-64 and AArch64; arch/README.md says how to add a CPU"
#endif

#endif
