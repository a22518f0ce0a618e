/* SPDX-License-Identifier: MIT */
/* tests/unit/float_control.h for x86-64: MXCSR, with rounding in bits 14 and 13. */
#ifdef __x86_64__

        .text
        .globl  float_control_read
        .type   float_control_read, @function
float_control_read:
        pushq   $0
        stmxcsr (%rsp)
        popq    %rax
        ret
        .size   float_control_read, . - float_control_read

        .globl  float_control_write
        .type   float_control_write, @function
float_control_write:
        pushq   %rdi
        ldmxcsr (%rsp)
        popq    %rdi
        ret
        .size   float_control_write, . - float_control_write

        .section .rodata.float_control_up, "a", @progbits
        .globl  float_control_up
        .type   float_control_up, @object
        .balign 4
float_control_up:
        .long   0x4000
        .size   float_control_up, . - float_control_up

#endif

        .section .note.GNU-stack, "", %progbits
