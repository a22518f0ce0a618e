/* SPDX-License-Identifier: MIT */
/* tests/gc/spin.h for AArch64. x0: struct spin. */
#ifdef __aarch64__

#define GO     4
#define HIDDEN 8

/* Until go; x1 is used. The store-release of `ready` (offset 0) comes after what is before it. */
.macro wait_for_go
        mov     w1, #1
        stlr    w1, [x0]
1:      yield
        ldr     w1, [x0, #GO]
        cbz     w1, 1b
.endm

.macro function name
        .section .text.\name, "ax", %progbits
        .balign 4
        .globl  \name
        .type   \name, %function
\name:
.endm

.macro spin_in_general register
        ldr     \register, [x0, #HIDDEN]
        mvn     \register, \register
        str     xzr, [x0, #HIDDEN]
        wait_for_go
        mvn     \register, \register
        str     \register, [x0, #HIDDEN]
.endm

function spin_scratch
        spin_in_general x12
        ret

function spin_saved
        str     x24, [sp, #-16]!
        spin_in_general x24
        ldr     x24, [sp], #16
        ret

function spin_link
        str     x30, [sp, #-16]!
        spin_in_general x30
        ldr     x30, [sp], #16
        ret

/* The other half of v21 stays all ones: no pointer. */
.macro spin_in_vector lane
        add     x2, x0, #HIDDEN
        movi    v21.2d, #0
        ld1     {v21.d}[\lane], [x2]
        mvn     v21.16b, v21.16b
        str     xzr, [x2]
        wait_for_go
        mvn     v21.16b, v21.16b
        st1     {v21.d}[\lane], [x2]
        movi    v21.2d, #0
.endm

function spin_vector_low
        spin_in_vector 0
        ret

function spin_vector_high
        spin_in_vector 1
        ret

/* x19 keeps the struct, x24 the pointer, across both calls. */
function spin_parked
        stp     x29, x30, [sp, #-32]!
        mov     x29, sp
        stp     x19, x24, [sp, #16]
        mov     x19, x0
        ldr     x24, [x0, #HIDDEN]
        mvn     x24, x24
        str     xzr, [x0, #HIDDEN]
        bl      bh_gc_park
        mov     x0, x19
        wait_for_go
        bl      bh_gc_unpark
        mvn     x24, x24
        str     x24, [x19, #HIDDEN]
        ldp     x19, x24, [sp, #16]
        ldp     x29, x30, [sp], #32
        ret

#endif
        .section .note.GNU-stack, "", %progbits
