/* SPDX-License-Identifier: MIT */
/*
 * The entries of all 256 interrupt vectors, 16 bytes each, and the way from there to
 * interrupt_dispatch(frame) and back.
 *
 * 1. An entry pushes its number, and a zero where the CPU pushed no error code.
 * 2. All general registers are pushed: `struct interrupt_frame` in interrupts.h.
 * 3. A frame record is made, so that a walk over frame pointers from the handler finds the
 *    interrupted function and its callers.
 * 4. FXSAVE keeps the x87 and SSE registers: handlers are ordinary C and may allocate. They get
 *    both units as the ABI promises them to a C function, whatever rounding or unmasked exceptions
 *    the interrupted code had set.
 *
 * All of that lies on the interrupted stack (but for the exceptions with a stack of their own), so
 * the collector finds every register of an interrupted core between its stack pointer and its top.
 */

/* Exceptions for which the CPU pushes an error code. Intel SDM volume 3, 6.3.1 and table 6-1. */
#define ERROR_CODE_MASK 0x60227d00

        .section .text.vectors, "ax", @progbits
        .globl  vectors
        .type   vectors, @function
        .balign 16
vectors:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     vector >= 32 || ((ERROR_CODE_MASK >> (vector & 31)) & 1) == 0
        pushq   $0
        .endif
        pushq   $vector
        jmp     vector_common
        .set    vector, vector + 1
        .endr
        .size   vectors, . - vectors

        .type   vector_common, @function
vector_common:
        pushq   %rax
        pushq   %rbx
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %rbp
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        cld
        movq    %rsp, %rdi              /* the frame, 22 words */
        pushq   17 * 8(%rsp)            /* the record: interrupted RIP and RBP */
        pushq   %rbp
        movq    %rsp, %rbp
        movq    %rdi, %rbx
        subq    $512, %rsp
        andq    $-64, %rsp
        fxsave64 (%rsp)
        fninit
        ldmxcsr initial_mxcsr(%rip)
        call    interrupt_dispatch
        fxrstor64 (%rsp)
        movq    %rbx, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rbp
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rbx
        popq    %rax
        addq    $16, %rsp               /* number and error code */
        iretq
        .size   vector_common, . - vector_common

        .section .rodata.initial_mxcsr, "a", @progbits
        .balign 4
initial_mxcsr:
        .long   0x1f80                  /* all exceptions masked, round to nearest */

        .section .note.GNU-stack, "", @progbits
