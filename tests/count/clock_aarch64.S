/* SPDX-License-Identifier: MIT */
/*
 * Under -icount shift=0 QEMU's cycle counter counts instructions: it gives its cores 1 GHz of
 * virtual time. (The generic timer is too coarse: a tick is 16 instructions.)
 */
#ifdef __aarch64__
    .text
    .globl count_clock_init
    .type count_clock_init, %function
count_clock_init:
    msr     pmccfiltr_el0, xzr      /* counts at EL1 */
    mov     x0, #(1 << 31)
    msr     pmcntenset_el0, x0
    mov     x0, #(1 << 6 | 1 << 0)  /* all 64 bits; on */
    msr     pmcr_el0, x0
    isb                             /* it counts on return */
    ret
    .size count_clock_init, . - count_clock_init

    .globl count_clock
    .type count_clock, %function
count_clock:
    mrs     x0, pmccntr_el0
    ret
    .size count_clock, . - count_clock

    .globl count_nothing
    .type count_nothing, %function
count_nothing:
    ret
    .size count_nothing, . - count_nothing
#endif

    .section .note.GNU-stack, "", %progbits
