/* SPDX-License-Identifier: MIT */
/*
 * AArch64's answers to arch/arch.h, for EL1 of a kernel and, with BH_PORT_IRQ, for a process.
 *
 * 1. Interrupts are masked with DAIF, IRQ and FIQ together: kernels use either (some timers come
 *    as FIQ). SError and debug exceptions stay as they are: their handlers must not allocate.
 * 2. MSR DAIFSET takes effect for what follows it without an ISB: writes to PSTATE are seen in
 *    program order (Arm ARM, "Synchronization requirements for PSTATE"). The memory clobbers keep
 *    the compiler from moving accesses out of the masked stretch.
 * 3. The counter is the virtual count: constant rate, the same on all cores, readable at EL0.
 *
 * arch_call_with_registers() is in registers.S.
 */
#ifndef ARCH_AARCH64_OPS_H
#define ARCH_AARCH64_OPS_H

#define AARCH64_DAIF_I ((uintptr_t)1 << 7)

#if !BH_PORT_IRQ

static inline bool arch_irq_enabled(void)
{
    uintptr_t daif;
    __asm__ volatile("mrs %0, daif" : "=r"(daif));
    return !(daif & AARCH64_DAIF_I);
}

static inline uintptr_t arch_irq_save(void)
{
    uintptr_t daif;
    __asm__ volatile("mrs %0, daif\n\tmsr daifset, #3" : "=r"(daif) : : "memory");
    return daif;
}

static inline void arch_irq_restore(uintptr_t state)
{
    __asm__ volatile("msr daif, %0" : : "r"(state) : "memory");
}

#endif

static inline void arch_pause(void)
{
    __asm__ volatile("yield" : : : "memory");
}

static inline void arch_prefetch_write(const void *address)
{
    __builtin_prefetch(address, 1); /* PRFM PSTL1KEEP */
}

static inline uint64_t arch_cycles(void)
{
    uint64_t count;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(count));
    return count;
}

static inline uintptr_t arch_stack_pointer(void)
{
    uintptr_t sp;
    __asm__ volatile("mov %0, sp" : "=r"(sp));
    return sp;
}

/* A frame record is {caller's x29, return address}. The hint is XPACLRI: it strips the signature
 * of a kernel built with -mbranch-protection and does nothing on older cores. */
static inline void arch_frame_step(uintptr_t frame, uintptr_t *caller, uintptr_t *caller_frame)
{
    const uintptr_t *record = (const uintptr_t *)frame;
    register uintptr_t link __asm__("x30") = record[1];
    __asm__("hint #7" : "+r"(link));
    *caller_frame = record[0];
    *caller = link;
}

#endif
