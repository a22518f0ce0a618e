/* SPDX-License-Identifier: MIT */
/* tests/gc/spin.h for x86-64. rdi: struct spin. */
#ifdef __x86_64__

#define READY 0
#define GO    4
#define HIDDEN 8

/* Until go: reads memory, keeps all other registers. The stores before it are seen first (TSO). */
.macro wait_for_go
        movl    $1, READY(%rdi)
1:      pause
        cmpl    $0, GO(%rdi)
        je      1b
.endm

.macro function name
        .section .text.\name, "ax", @progbits
        .globl  \name
        .type   \name, @function
\name:
.endm

.macro spin_in_general register
        movq    HIDDEN(%rdi), \register
        notq    \register
        movq    $0, HIDDEN(%rdi)
        wait_for_go
        notq    \register
        movq    \register, HIDDEN(%rdi)
.endm

function spin_scratch
        spin_in_general %r10
        ret

function spin_saved
        pushq   %r14
        spin_in_general %r14
        popq    %r14
        ret

function spin_link
        pushq   %rbp
        spin_in_general %rbp
        popq    %rbp
        ret

/* All ones in xmm14 complement what comes into xmm9. */
function spin_vector_low
        pcmpeqd %xmm14, %xmm14
        movq    HIDDEN(%rdi), %xmm9
        pxor    %xmm14, %xmm9
        movq    $0, HIDDEN(%rdi)
        wait_for_go
        pcmpeqd %xmm14, %xmm14
        pxor    %xmm14, %xmm9
        movq    %xmm9, HIDDEN(%rdi)
        pxor    %xmm9, %xmm9
        ret

function spin_vector_high
        pcmpeqd %xmm14, %xmm14
        pxor    %xmm9, %xmm9
        movhps  HIDDEN(%rdi), %xmm9
        pxor    %xmm14, %xmm9
        movq    $0, HIDDEN(%rdi)
        wait_for_go
        pcmpeqd %xmm14, %xmm14
        pxor    %xmm14, %xmm9
        movhps  %xmm9, HIDDEN(%rdi)
        pxor    %xmm9, %xmm9
        ret

/* rbx keeps the struct, r14 the pointer, across both calls. Three pushes align the stack. */
function spin_parked
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

#endif
        .section .note.GNU-stack, "", %progbits
