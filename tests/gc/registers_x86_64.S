/* SPDX-License-Identifier: MIT */
/* tests/gc/registers.h for x86-64. rdi: struct spin, or the function to call; rsi: its argument. */
#ifdef __x86_64__

#define READY 0
#define GO    4
#define HIDDEN 8
#define VALUE 0x1234500000000000

.macro push_saved
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
.endm

.macro pop_saved
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
.endm

/* Until go: reads memory, keeps all other registers. The stores before it are seen first (TSO). */
.macro wait_for_go
        movl    $1, READY(%rdi)
1:      pause
        cmpl    $0, GO(%rdi)
        je      1b
.endm

        .section .text.registers, "ax", @progbits

.macro spin_general register
spin_\register:
        push_saved
        movq    HIDDEN(%rdi), %\register
        notq    %\register
        movq    $0, HIDDEN(%rdi)
        wait_for_go
        notq    %\register
        movq    %\register, HIDDEN(%rdi)
        pop_saved
        ret
.endm

/* By way of rax, which is cleared while the loop runs. */
.macro spin_vector register
spin_low_\register:
        movq    HIDDEN(%rdi), %rax
        notq    %rax
        movq    %rax, %\register
        xorl    %eax, %eax
        movq    %rax, HIDDEN(%rdi)
        wait_for_go
        jmp     spin_end_\register
spin_high_\register:
        movq    HIDDEN(%rdi), %rax
        notq    %rax
        movq    %rax, %\register
        pslldq  $8, %\register
        xorl    %eax, %eax
        movq    %rax, HIDDEN(%rdi)
        wait_for_go
        psrldq  $8, %\register
spin_end_\register:
        movq    %\register, %rax
        notq    %rax
        movq    %rax, HIDDEN(%rdi)
        pxor    %\register, %\register
        ret
.endm

        .irp    register, rax, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
        spin_general \register
        .endr
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        spin_vector xmm\n
        .endr

        .globl  spin_scratch, spin_link, spin_vector_high
        .set    spin_scratch, spin_r10
        .set    spin_link, spin_rbp
        .set    spin_vector_high, spin_high_xmm9

/* rbx keeps the struct, r14 the pointer, across both calls. Three pushes align the stack. */
        .globl  spin_parked
        .type   spin_parked, @function
spin_parked:
        pushq   %rbx
        pushq   %r14
        pushq   %rbp
        movq    %rdi, %rbx
        movq    HIDDEN(%rdi), %r14
        notq    %r14
        movq    $0, HIDDEN(%rdi)
        call    bh_gc_park
        movq    %rbx, %rdi
        wait_for_go
        call    bh_gc_unpark
        notq    %r14
        movq    %r14, HIDDEN(%rbx)
        popq    %rbp
        popq    %r14
        popq    %rbx
        ret

.macro fill_vector n
        movabsq $VALUE + 13 + 2 * \n, %rax
        movq    %rax, %xmm\n
        incq    %rax
        movq    %rax, %xmm8
        punpcklqdq %xmm8, %xmm\n
.endm

/* The last one used, xmm8, and rax come at the end. */
        .globl  registers_fill_and_call
        .type   registers_fill_and_call, @function
registers_fill_and_call:
        push_saved
        subq    $8, %rsp
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15
        fill_vector \n
        .endr
        movabsq $VALUE + 13 + 2 * 8 + 1, %rax
        movq    %rax, %xmm8
        pslldq  $8, %xmm8
        decq    %rax
        movq    %rax, -8(%rsp)
        movlps  -8(%rsp), %xmm8
        .set    value, VALUE
        .irp    register, rax, rbx, rcx, rdx, rbp, r8, r9, r10, r11, r12, r13, r14, r15
        movabsq $value, %\register
        .set    value, value + 1
        .endr
        call    arch_call_with_registers
        addq    $8, %rsp
        pop_saved
        ret

        .globl  registers_wipe
        .type   registers_wipe, @function
registers_wipe:
        .irp    register, eax, ecx, edx, esi, edi, r8d, r9d, r10d, r11d
        xorl    %\register, %\register
        .endr
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        pxor    %xmm\n, %xmm\n
        .endr
        ret

/* uintptr_t hold_in_register(uintptr_t hidden, void (*fn)(void *), void *arg) */
        .globl  hold_in_register
        .type   hold_in_register, @function
hold_in_register:
        pushq   %r15
        movq    %rdi, %r15
        notq    %r15
        movq    %rdx, %rdi
        call    *%rsi
        movq    %r15, %rax
        notq    %rax
        popq    %r15
        ret

        .section .rodata.registers, "a", @progbits
.macro text register
9:      .asciz  "\register"
        .pushsection .data.rel.ro.registers_name, "aw", @progbits
        .quad   9b
        .popsection
.endm

        .section .data.rel.ro.registers_name, "aw", @progbits
        .balign 8
        .globl  registers_name
registers_name:
        .section .rodata.registers, "a", @progbits
        .irp    register, rax, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
        text    \register
        .endr
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        text    "xmm\n low"
        text    "xmm\n high"
        .endr

        .section .data.rel.ro.registers_spin, "aw", @progbits
        .balign 8
        .globl  registers_spin
registers_spin:
        .irp    register, rax, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
        .quad   spin_\register
        .endr
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        .quad   spin_low_xmm\n, spin_high_xmm\n
        .endr

        .section .rodata.registers_count, "a", @progbits
        .balign 8
        .globl  registers_count, registers_kept_count
registers_count:
        .quad   14 + 2 * 16
registers_kept_count:
        .quad   13 + 2 * 16

#endif
        .section .note.GNU-stack, "", %progbits
