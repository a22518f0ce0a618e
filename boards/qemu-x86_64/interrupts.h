/* SPDX-License-Identifier: MIT */
/* Interrupt vectors: the frame they leave on the stack, and who handles them. */
#ifndef BOARDS_QEMU_X86_64_INTERRUPTS_H
#define BOARDS_QEMU_X86_64_INTERRUPTS_H

#include <stdint.h>

/* As vectors.S and the CPU push it, in ascending order of address. */
struct interrupt_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector;
    uint64_t error_code; /* 0 where the CPU gives none */
    uintptr_t rip;
    uint64_t cs, rflags, rsp, ss;
};

/* Fills the interrupt descriptor table. Core 0, once. */
void interrupts_init(void);

/* Loads it on this core. */
void interrupts_load(void);

/* Called by vectors.S on the vector's stack, interrupts off. */
void interrupt_dispatch(struct interrupt_frame *frame);

/* The handler of the debug exception, which comes behind each instruction (step.c). */
void step_on_debug(struct interrupt_frame *frame);

/* Reports what is no interrupt of ours, in words, and ends the machine. */
_Noreturn void exception_report(const struct interrupt_frame *frame);

#endif
