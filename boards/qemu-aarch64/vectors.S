/* SPDX-License-Identifier: MIT */
/*
 * The exception vectors.
 *
 * 1. All code runs in EL1t, on SP_EL0. An interrupt pushes its frame on that same stack: all that
 *    the collector must see of a core is then one stretch, from the stack pointer to the top.
 * 2. The frame holds x0 to x30, q0 to q31, FPSR, FPCR, ELR and SPSR, because handlers may call
 *    anything: they allocate, and the compiler uses vector registers at will. FPCR is 0 in them,
 *    whatever rounding the interrupted code had set.
 * 3. The frame opens with the record {x29, ELR}: backtraces pass through it into what was
 *    interrupted.
 * 4. Interrupts stay masked in a handler. The handler's own stores may fault when the main stack is
 *    full: the exception arrives on SP_EL1 like any other.
 * 5. Synchronous exceptions and SErrors are fatal. They are reported on SP_EL1; one inside the
 *    report starts that stack anew (what was on it is of no use any more).
 * 6. But for software steps, with which tests run code instruction by instruction (step.c): they go
 *    the way of interrupts, to step_dispatch().
 */
#include "boards/qemu-aarch64/layout.h"

/* x4 to x27, and q0 to q31: by stp to [sp + at] and on, by ldp from there. */
    .macro general_registers op, at
    \op     x4, x5, [sp, #\at]
    \op     x6, x7, [sp, #\at + 16]
    \op     x8, x9, [sp, #\at + 32]
    \op     x10, x11, [sp, #\at + 48]
    \op     x12, x13, [sp, #\at + 64]
    \op     x14, x15, [sp, #\at + 80]
    \op     x16, x17, [sp, #\at + 96]
    \op     x18, x19, [sp, #\at + 112]
    \op     x20, x21, [sp, #\at + 128]
    \op     x22, x23, [sp, #\at + 144]
    \op     x24, x25, [sp, #\at + 160]
    \op     x26, x27, [sp, #\at + 176]
    .endm

    .macro vector_registers op, at
    \op     q0, q1, [sp, #\at]
    \op     q2, q3, [sp, #\at + 32]
    \op     q4, q5, [sp, #\at + 64]
    \op     q6, q7, [sp, #\at + 96]
    \op     q8, q9, [sp, #\at + 128]
    \op     q10, q11, [sp, #\at + 160]
    \op     q12, q13, [sp, #\at + 192]
    \op     q14, q15, [sp, #\at + 224]
    \op     q16, q17, [sp, #\at + 256]
    \op     q18, q19, [sp, #\at + 288]
    \op     q20, q21, [sp, #\at + 320]
    \op     q22, q23, [sp, #\at + 352]
    \op     q24, q25, [sp, #\at + 384]
    \op     q26, q27, [sp, #\at + 416]
    \op     q28, q29, [sp, #\at + 448]
    \op     q30, q31, [sp, #\at + 480]
    .endm

/* From EL1t: SP_EL1 is the top of this core's exception stack, where core_setup has left it. */
    .macro vector_from_main kind
    .balign 128
    sub     sp, sp, #EXCEPTION_FRAME_BYTES
    stp     x0, x1, [sp]
    mov     x1, #\kind
    b       exception_entry
    .endm

/* The same, but a software step goes the way of interrupts. The flags are in SPSR. */
    .macro vector_synchronous
    .balign 128
    sub     sp, sp, #EXCEPTION_FRAME_BYTES
    stp     x0, x1, [sp]
    mrs     x0, esr_el1
    lsr     x0, x0, #ESR_CLASS_SHIFT
    cmp     x0, #ESR_CLASS_STEP
    mov     x1, #0
    b.ne    exception_entry
    ldp     x0, x1, [sp]
    add     sp, sp, #EXCEPTION_FRAME_BYTES
    b       step_entry
    .endm

/* From inside a report (or the boot), which may be what has failed: the stack begins anew at its top,
 * which TPIDRRO_EL0 holds. The main stack's pointer, a free register here, lends a hand. */
    .macro vector_from_report kind
    .balign 128
    msr     sp_el0, x0
    mrs     x0, tpidrro_el0
    sub     sp, x0, #EXCEPTION_FRAME_BYTES
    mrs     x0, sp_el0
    stp     x0, x1, [sp]
    mov     x1, #\kind
    b       exception_entry
    .endm

    .text
    .balign 2048
    .globl exception_vectors
    .type exception_vectors, %object
exception_vectors:
    /* EL1t: where everything runs. */
    vector_synchronous
    .balign 128
    b       interrupt_entry
    vector_from_main 2
    vector_from_main 3
    /* EL1h: inside a report. Interrupts are masked there. */
    vector_from_report 0
    vector_from_report 1
    vector_from_report 2
    vector_from_report 3
    /* EL0, 64-bit and 32-bit: nothing runs there. */
    .rept 8
    vector_from_report 4
    .endr
    .balign 128
    .size exception_vectors, . - exception_vectors

/* x1 = kind; x0 and x1 of the moment are in place. Fills the rest of struct exception_frame
 * (exception.h) at the stack pointer. Does not return. */
    .type exception_entry, %function
exception_entry:
    stp     x2, x3, [sp, #16]
    general_registers stp, 32
    stp     x28, x29, [sp, #224]
    str     x30, [sp, #240]
    mrs     x2, sp_el0
    str     x2, [sp, #EXCEPTION_FRAME_SP]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x2, x3, [sp, #EXCEPTION_FRAME_PC]
    mrs     x2, esr_el1
    mrs     x3, far_el1
    stp     x2, x3, [sp, #EXCEPTION_FRAME_ESR]
    mov     x0, sp
    mov     x29, xzr
    mov     x30, xzr
    bl      exception_report
    b       core_halt
    .size exception_entry, . - exception_entry

/*
 * The interrupt frame:
 *   sp + 0     x29 ELR        frame record
 *   sp + 16    x30 SPSR
 *   sp + 32    FPSR FPCR
 *   sp + 48    x0 ... x28     (and 8 bytes unused)
 *   sp + 288   q0 ... q31
 *
 * `dispatch` gets its address, which is a struct interrupt_frame *, and the interrupted stack pointer.
 */
    .macro interrupt_way name, dispatch
    .type \name, %function
\name:
    msr     spsel, #0               /* back to the stack that was interrupted */
    sub     sp, sp, #INTERRUPT_FRAME_BYTES
    stp     x0, x1, [sp, #48]
    stp     x2, x3, [sp, #64]
    mrs     x0, elr_el1
    mrs     x1, spsr_el1
    stp     x29, x0, [sp]
    stp     x30, x1, [sp, #16]
    mov     x29, sp
    general_registers stp, 80
    str     x28, [sp, #272]
    mrs     x0, fpsr
    mrs     x1, fpcr
    stp     x0, x1, [sp, #32]
    vector_registers stp, 288
    msr     fpcr, xzr               /* what C expects: round to nearest, nothing trapped */
    mov     x0, sp
    add     x1, sp, #INTERRUPT_FRAME_BYTES
    bl      \dispatch
    vector_registers ldp, 288
    ldp     x0, x1, [sp, #32]
    msr     fpsr, x0
    msr     fpcr, x1
    ldr     x28, [sp, #272]
    general_registers ldp, 80
    ldp     x29, x0, [sp]
    ldp     x30, x1, [sp, #16]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    ldp     x2, x3, [sp, #64]
    ldp     x0, x1, [sp, #48]
    add     sp, sp, #INTERRUPT_FRAME_BYTES
    eret
    .size \name, . - \name
    .endm

    interrupt_way interrupt_entry, interrupt_dispatch
    interrupt_way step_entry, step_dispatch

    .section .note.GNU-stack, "", %progbits
