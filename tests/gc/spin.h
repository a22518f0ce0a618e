/* SPDX-License-Identifier: MIT */
/*
 * Loops in assembly that keep a pointer in one register and nowhere else: one file per CPU.
 *
 * Each takes the pointer complemented, brings it to its true form in the register, says that it is
 * ready, waits for `go` without a call or a store, and hands the pointer out complemented again.
 * Compiled code may not be asked to do that.
 */
#ifndef TESTS_GC_SPIN_H
#define TESTS_GC_SPIN_H

#include <stdint.h>

struct spin {
    uint32_t ready;   /* offset 0 */
    uint32_t go;      /* offset 4 */
    uintptr_t hidden; /* offset 8: in and out */
};

void spin_scratch(struct spin *spin);     /* a register that calls do not preserve */
void spin_saved(struct spin *spin);       /* one that they do */
void spin_link(struct spin *spin);        /* the link register; without one, the frame pointer */
void spin_vector_low(struct spin *spin);  /* the first word of a vector register */
void spin_vector_high(struct spin *spin); /* the second word of one */

/* Parked: spin_saved() between bh_gc_park() and bh_gc_unpark(). */
void spin_parked(struct spin *spin);

#endif
