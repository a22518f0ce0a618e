/* SPDX-License-Identifier: MIT */
/*
 * void arch_call_with_saved_registers(void (*fn)(void *arg, uintptr_t sp), void *arg)
 * void arch_call_with_registers(void (*fn)(void *arg, uintptr_t sp), void *arg)
 *
 * Store x18 to x30 and, the first, q8 to q15, the second, q0 to q31 on the stack and call fn(arg, sp).
 * The first is for code that was called, by the AAPCS64: no other register survives a call.
 * The second is for interrupt handlers.
 *
 * 1. The frame starts with the frame record {x29, x30}, so that a walk over frame pointers passes
 *    through; the link register is thereby in memory too: a pointer can be nowhere else.
 * 2. x0 to x17 are dead at a call (AAPCS64): the caller has what it still needs elsewhere, and an
 *    interrupt entry has saved them before it called C. Storing them would keep garbage alive.
 * 3. x18 is stored because a kernel may use it as it likes (-ffixed-x18), and q0 to q31 all, though
 *    only the low halves of q8 to q15 survive a call (with SVE too): interrupt entries of kernels
 *    whose handlers use no vector registers leave the interrupted code's in place.
 * 4. Nothing is loaded back but the frame record and sp: fn, a C function, preserves the rest.
 * 5. With -mgeneral-regs-only the vector registers are not touched: such a kernel may not have
 *    enabled them. Give this file the same flags as the C files.
 *
 *   sp + 0     x29 x30        frame record
 *   sp + 16    x18 ... x28    (and 8 bytes zero)
 *   sp + 112   q0 ... q31, or q8 ... q15
 */
#ifdef __ARM_NEON
#define FRAME_BYTES       624
#define SAVED_FRAME_BYTES 240
#else
#define FRAME_BYTES       112
#define SAVED_FRAME_BYTES 112
#endif

.macro enter_frame bytes
    sub     sp, sp, #\bytes
    .cfi_def_cfa_offset \bytes
    stp     x29, x30, [sp]
    .cfi_offset x29, -\bytes
    .cfi_offset x30, -\bytes + 8
    mov     x29, sp
    stp     x18, x19, [sp, #16]
    stp     x20, x21, [sp, #32]
    stp     x22, x23, [sp, #48]
    stp     x24, x25, [sp, #64]
    stp     x26, x27, [sp, #80]
    stp     x28, xzr, [sp, #96]
.endm

.macro call_and_leave bytes
    mov     x2, x0
    mov     x0, x1
    mov     x1, sp
    blr     x2
    ldp     x29, x30, [sp]
    add     sp, sp, #\bytes
    .cfi_restore x29
    .cfi_restore x30
    .cfi_def_cfa_offset 0
    ret
.endm

    .cfi_sections .debug_frame
    .text
    .balign 16
    .globl arch_call_with_saved_registers
    .hidden arch_call_with_saved_registers
    .type arch_call_with_saved_registers, %function
arch_call_with_saved_registers:
    .cfi_startproc
    enter_frame SAVED_FRAME_BYTES
#ifdef __ARM_NEON
    stp     q8, q9, [sp, #112]
    stp     q10, q11, [sp, #144]
    stp     q12, q13, [sp, #176]
    stp     q14, q15, [sp, #208]
#endif
    call_and_leave SAVED_FRAME_BYTES
    .cfi_endproc
    .size arch_call_with_saved_registers, . - arch_call_with_saved_registers

    .balign 16
    .globl arch_call_with_registers
    .hidden arch_call_with_registers
    .type arch_call_with_registers, %function
arch_call_with_registers:
    .cfi_startproc
    enter_frame FRAME_BYTES
#ifdef __ARM_NEON
    stp     q0, q1, [sp, #112]
    stp     q2, q3, [sp, #144]
    stp     q4, q5, [sp, #176]
    stp     q6, q7, [sp, #208]
    stp     q8, q9, [sp, #240]
    stp     q10, q11, [sp, #272]
    stp     q12, q13, [sp, #304]
    stp     q14, q15, [sp, #336]
    stp     q16, q17, [sp, #368]
    stp     q18, q19, [sp, #400]
    stp     q20, q21, [sp, #432]
    stp     q22, q23, [sp, #464]
    stp     q24, q25, [sp, #496]
    stp     q26, q27, [sp, #528]
    stp     q28, q29, [sp, #560]
    stp     q30, q31, [sp, #592]
#endif
    call_and_leave FRAME_BYTES
    .cfi_endproc
    .size arch_call_with_registers, . - arch_call_with_registers

    .section .note.GNU-stack, "", %progbits
