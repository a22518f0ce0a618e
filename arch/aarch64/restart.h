/* SPDX-License-Identifier: MIT */
/*
 * The restartable sequences of arch/arch.h for AArch64. The slot is at offset BH_CORE_SLOT from the
 * address in BH_CORE_REGISTER, which is read inside the sequence: a sequence that was restarted on
 * another core works on that core's bins.
 *
 * The commit is a plain store. No barrier: what else reads the bins to act on them runs on the
 * same core, and the order of one core's own accesses is program order to itself.
 */
#ifndef ARCH_AARCH64_RESTART_H
#define ARCH_AARCH64_RESTART_H

#define AARCH64_TEXT_(x) #x
#define AARCH64_TEXT(x)  AARCH64_TEXT_(x)

#define AARCH64_READ_SLOT             \
    "    mrs %[core], " AARCH64_TEXT( \
        BH_CORE_REGISTER) "\n"        \
                          "    ldr %[core], [%[core], #" AARCH64_TEXT(BH_CORE_SLOT) "]\n"

/* An entry of the table: local label 1 is the start, 2 the commit. */
#define AARCH64_TABLE_ENTRY                              \
    ".pushsection bh_restart_table, \"a\", %%progbits\n" \
    ".long 1b - ., 2b - .\n"                             \
    ".popsection\n"

static inline __attribute__((always_inline)) void *arch_restart_pop(size_t bin)
{
    void *object;
    void *core;
    void *top;
    __asm__ volatile goto("1:\n" AARCH64_READ_SLOT "    ldr %[top], [%[core], %[bin], lsl #3]\n"
                          "    ldr %[object], [%[top]], #-8\n"
                          "    cbz %[object], %l[empty]\n"
                          "2:  str %[top], [%[core], %[bin], lsl #3]\n" AARCH64_TABLE_ENTRY
                          : [object] "=&r"(object), [core] "=&r"(core), [top] "=&r"(top)
                          : [bin] "r"(bin)
                          : "memory"
                          : empty);
    if (!object)
        __builtin_unreachable();
    return object;
empty:
    return NULL;
}

static inline __attribute__((always_inline)) bool arch_restart_push(size_t bin, void *object)
{
    void *core;
    void *top;
    void *end;
    __asm__ volatile goto(
        "1:\n" AARCH64_READ_SLOT "    add %[core], %[core], %[bin], lsl #3\n"
        "    ldr %[top], [%[core]]\n"
        "    ldr %[end], [%[core], %[ends]]\n"
        "    cmp %[top], %[end]\n"
        "    b.eq %l[full]\n"
        "    str %[object], [%[top], #8]!\n"
        "2:  str %[top], [%[core]]\n" AARCH64_TABLE_ENTRY
        : [core] "=&r"(core), [top] "=&r"(top), [end] "=&r"(end)
        : [bin] "r"(bin), [object] "r"(object), [ends] "i"(ARCH_BINS * sizeof(void *))
        : "memory", "cc"
        : full);
    return true;
full:
    return false;
}

static inline __attribute__((always_inline)) void *arch_restart_bump(size_t row, size_t word)
{
    void *object;
    void *core;
    uintptr_t next;
    __asm__ volatile goto(
        "1:\n" AARCH64_READ_SLOT "    ldr %[core], [%[core], %[row], lsl #3]\n"
        "    cbz %[core], %l[empty]\n"
        "    add %[core], %[core], %[word], lsl #3\n"
        "    ldr %[object], [%[core]]\n"
        "    ldr %[next], [%[core], #8]\n"
        "    cmp %[object], %[next]\n"
        "    b.eq %l[empty]\n"
        "    ldr %[next], [%[core], #16]\n"
        "    add %[next], %[next], %[object]\n"
        "2:  str %[next], [%[core]]\n" AARCH64_TABLE_ENTRY
        : [object] "=&r"(object), [core] "=&r"(core), [next] "=&r"(next)
        : [row] "r"(offsetof(struct arch_bins, rows) / sizeof(void *) + row), [word] "r"(word)
        : "memory", "cc"
        : empty);
    if (!object)
        __builtin_unreachable();
    return object;
empty:
    return NULL;
}

static inline void arch_core_slot_set(void *core)
{
    uintptr_t base;
    __asm__ volatile("mrs %0, " AARCH64_TEXT(BH_CORE_REGISTER) "\n"
                                                               "    str %1, [%0, #" AARCH64_TEXT(
                                                                   BH_CORE_SLOT) "]"
                     : "=&r"(base)
                     : "r"(core)
                     : "memory");
}

#endif
