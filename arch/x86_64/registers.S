/* SPDX-License-Identifier: MIT */
/*
 * void arch_call_with_saved_registers(void (*fn)(void *arg, uintptr_t sp), void *arg)
 * void arch_call_with_registers(void (*fn)(void *arg, uintptr_t sp), void *arg)
 *
 * The first is for code that was called, by the ABI: RBX, RBP and R12 to R15 are all that its callers
 * may count on afterwards. No vector register survives a call. The second is for interrupt handlers,
 * which find everything as the interrupted code left it:
 *
 * 1. All general registers are pushed: those the caller owns may hold its caller's pointers, the
 *    others are dead by the ABI at a call, but an interrupt handler written in assembler may
 *    keep that to itself.
 * 2. The vector registers follow: gcc and clang carry pairs of pointers in them at -O2. Where the
 *    kernel has enabled XSAVE (CPUID.1:ECX.OSXSAVE) it stores every component that XCR0
 *    enables, AVX and AVX-512 included; CPUID.(EAX=0DH,ECX=0):EBX is the size. Else FXSAVE stores
 *    XMM0 to XMM15. A build without SSE (-mgeneral-regs-only) has no pointers in them and
 *    must not touch them: the kernel may not have enabled them.
 * 3. fn is called with the stack pointer under all that, aligned to 64.
 *
 * Nothing but the registers that the ABI says survive is loaded back. CPUID, XSAVE and FXSAVE
 * work in ring 3 as well. Intel SDM volume 1, 13.7 (XSAVE) and 10.5 (FXSAVE).
 */

#define OSXSAVE_BIT       27
#define XSAVE_CPUID_LEAF  0xd
#define FXSAVE_AREA_BYTES 512

#ifdef __SSE2__
#define SAVE_VECTOR_REGISTERS save_vector_registers
#else
#define SAVE_VECTOR_REGISTERS
#endif

/* Clobbers RAX, RBX, RCX, RDX and moves RSP down. */
.macro save_vector_registers
        movl    $1, %eax
        cpuid
        btl     $OSXSAVE_BIT, %ecx
        jnc     1f
        movl    $XSAVE_CPUID_LEAF, %eax
        xorl    %ecx, %ecx
        cpuid
        subq    %rbx, %rsp
        andq    $-64, %rsp
        movl    $-1, %eax
        movl    $-1, %edx
        xsave64 (%rsp)
        jmp     2f
1:      subq    $FXSAVE_AREA_BYTES, %rsp
        andq    $-64, %rsp
        fxsave64 (%rsp)
2:
.endm

/* The frame of both: RBP points to it, and the five registers are under it. */
.macro enter_frame
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        .cfi_offset %rbx, -24
        .cfi_offset %r12, -32
        .cfi_offset %r13, -40
        .cfi_offset %r14, -48
        .cfi_offset %r15, -56
.endm

.macro leave_frame
        leaq    -40(%rbp), %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        .cfi_def_cfa %rsp, 8
        ret
.endm

        .section .text.arch_call_with_saved_registers, "ax", @progbits
        .globl  arch_call_with_saved_registers
        .hidden arch_call_with_saved_registers
        .type   arch_call_with_saved_registers, @function
        .balign 16
arch_call_with_saved_registers:
        .cfi_startproc
        enter_frame
        movq    %rdi, %rax
        movq    %rsi, %rdi
        movq    %rsp, %rsi
        andq    $-16, %rsp
        call    *%rax
        leave_frame
        .cfi_endproc
        .size   arch_call_with_saved_registers, . - arch_call_with_saved_registers

        .section .text.arch_call_with_registers, "ax", @progbits
        .globl  arch_call_with_registers
        .hidden arch_call_with_registers
        .type   arch_call_with_registers, @function
        .balign 16
arch_call_with_registers:
        .cfi_startproc
        enter_frame
        pushq   %rax
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        movq    %rdi, %r12
        movq    %rsi, %r13
        SAVE_VECTOR_REGISTERS
        andq    $-64, %rsp
        movq    %r13, %rdi
        movq    %rsp, %rsi
        call    *%r12
        leave_frame
        .cfi_endproc
        .size   arch_call_with_registers, . - arch_call_with_registers

        .section .note.GNU-stack, "", @progbits
