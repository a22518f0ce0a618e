/* SPDX-License-Identifier: MIT */
/*
 * Every register that may hold a pointer, one after the other: one file per CPU, in assembly, as
 * compiled code cannot be asked to have a value in one place only.
 *
 * A loop takes the pointer complemented, brings it to its true form in its register, says that it
 * is ready, waits for `go` without a call or a store, and hands the pointer out complemented again.
 */
#ifndef TESTS_GC_REGISTERS_H
#define TESTS_GC_REGISTERS_H

#include <stddef.h>
#include <stdint.h>

struct spin {
    uint32_t ready;   /* offset 0 */
    uint32_t go;      /* offset 4 */
    uintptr_t hidden; /* offset 8: in and out */
};

/* A loop for each register: all general ones but the stack pointer and those that hold the loop's
 * argument, and each half of all vector registers. */
extern void (*const registers_spin[])(struct spin *spin);
extern const char *const registers_name[];
extern const size_t registers_count;

/* Three of them that calls do not preserve: a general register, the link register (without one, the
 * frame pointer), the upper half of a vector register. */
void spin_scratch(struct spin *spin);
void spin_link(struct spin *spin);
void spin_vector_high(struct spin *spin);

/* In a register that calls preserve, between bh_gc_park() and bh_gc_unpark(). */
void spin_parked(struct spin *spin);

/*
 * Calls arch_call_with_registers(fn, arg) with register n of registers_kept_count (general ones,
 * then both halves of vector registers) being REGISTERS_VALUE + n: those that
 * arch_call_with_registers() is to store, but for those that hold its arguments and the way back.
 */
#define REGISTERS_VALUE 0x1234500000000000
void registers_fill_and_call(void (*fn)(void *arg, uintptr_t sp), void *arg);
extern const size_t registers_kept_count;

/* Clears all registers that a C function may change: what they held is then where others saved it.
 */
void registers_wipe(void);

/*
 * Calls fn(arg) with the hidden pointer in a register that calls preserve, and nowhere else;
 * returns it, hidden again.
 */
uintptr_t hold_in_register(uintptr_t hidden, void (*fn)(void *arg), void *arg);

#endif
