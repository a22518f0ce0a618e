/* SPDX-License-Identifier: MIT */
/* Under -icount shift=0 QEMU's time stamp counter counts instructions. */
#ifdef __x86_64__
        .text
        .globl  count_clock_init
        .type   count_clock_init, @function
count_clock_init:
        ret
        .size   count_clock_init, . - count_clock_init

        .globl  count_clock
        .type   count_clock, @function
count_clock:
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        ret
        .size   count_clock, . - count_clock

        .globl  count_nothing
        .type   count_nothing, @function
count_nothing:
        ret
        .size   count_nothing, . - count_nothing
#endif

        .section .note.GNU-stack, "", @progbits
