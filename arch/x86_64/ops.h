/* SPDX-License-Identifier: MIT */
/*
 * The bodies of arch/arch.h for x86-64, ring 0 and ring 3 alike. Only the interrupt functions
 * use privileged instructions, and a build with BH_PORT_IRQ replaces those by the port's hooks.
 *
 * arch_irq_save() pushes on the stack below the compiler's knowledge: kernels are built with
 * -mno-red-zone, as they must be where interrupts share the stack.
 *
 * Not here: arch_call_with_registers(), which is in registers.S.
 */
#ifndef ARCH_X86_64_OPS_H
#define ARCH_X86_64_OPS_H

#if !BH_PORT_IRQ

/* RFLAGS.IF. Intel SDM volume 1, 3.4.3. */
#define X86_64_INTERRUPT_FLAG 0x200u

static inline bool arch_irq_enabled(void)
{
    uintptr_t flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
    return (flags & X86_64_INTERRUPT_FLAG) != 0;
}

static inline uintptr_t arch_irq_save(void)
{
    uintptr_t flags;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return flags;
}

/* A branch rather than POPFQ, which is many times the price of STI; the other flags do not matter.
 */
static inline void arch_irq_restore(uintptr_t state)
{
    __asm__ volatile("" : : : "memory");
    if (state & X86_64_INTERRUPT_FLAG)
        __asm__ volatile("sti" : : : "memory");
}

#endif

static inline void arch_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* Not __builtin_prefetch(), which is PREFETCHT0 unless the compiler may assume this instruction.
 * CPUs without it take it for a NOP. */
static inline void arch_prefetch_write(const void *address)
{
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
}

/* RDTSC may run ahead of instructions before it: good enough for differences of microseconds. */
static inline uint64_t arch_cycles(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static inline uintptr_t arch_stack_pointer(void)
{
    uintptr_t sp;
    __asm__ volatile("movq %%rsp, %0" : "=r"(sp));
    return sp;
}

/* A frame is the caller's RBP with the return address above it (System V ABI, 3.2.2). */
static inline void arch_frame_step(uintptr_t frame, uintptr_t *caller, uintptr_t *caller_frame)
{
    const uintptr_t *words = (const uintptr_t *)frame;
    *caller_frame = words[0];
    *caller = words[1];
}

#endif
