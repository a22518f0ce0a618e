/* SPDX-License-Identifier: MIT */
/* tests/unit/float_control.h for AArch64: FPCR, with rounding in bits 23 and 22. */
#ifdef __aarch64__

    .text
    .globl float_control_read
    .type float_control_read, %function
float_control_read:
    mrs     x0, fpcr
    ret
    .size float_control_read, . - float_control_read

    .globl float_control_write
    .type float_control_write, %function
float_control_write:
    mov     w0, w0
    msr     fpcr, x0
    ret
    .size float_control_write, . - float_control_write

    .section .rodata.float_control_up, "a", %progbits
    .globl float_control_up
    .type float_control_up, %object
    .balign 4
float_control_up:
    .long   0x400000
    .size float_control_up, . - float_control_up

#endif

    .section .note.GNU-stack, "", %progbits
