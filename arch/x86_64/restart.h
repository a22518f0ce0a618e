/* SPDX-License-Identifier: MIT */
/*
 * The restartable sequences of arch/arch.h for x86-64. The slot is at
 * %BH_CORE_REGISTER:BH_CORE_SLOT and is read inside the sequence, so a sequence that was restarted
 * on another core works on that core's bins.
 *
 * The commit is a read-modify-write of the bin's top or the cursor's next: one instruction, so an
 * interrupt comes before or after it. It need not be locked: other cores only look.
 */
#ifndef ARCH_X86_64_RESTART_H
#define ARCH_X86_64_RESTART_H

#define X86_64_TEXT_(x) #x
#define X86_64_TEXT(x)  X86_64_TEXT_(x)
#define X86_64_SLOT     "%%" X86_64_TEXT(BH_CORE_REGISTER) ":" X86_64_TEXT(BH_CORE_SLOT)

/* An entry of the table: local label 1 is the start, 2 the commit. */
#define X86_64_TABLE_ENTRY                              \
    ".pushsection bh_restart_table, \"a\", @progbits\n" \
    ".long 1b - ., 2b - .\n"                            \
    ".popsection\n"

static inline __attribute__((always_inline)) void *arch_restart_pop(size_t bin)
{
    void *object;
    void *core;
    __asm__ volatile goto("1:  movq " X86_64_SLOT ", %[core]\n"
                          "    movq (%[core], %[bin], 8), %[object]\n"
                          "    movq (%[object]), %[object]\n"
                          "    testq %[object], %[object]\n"
                          "    jz %l[empty]\n"
                          "2:  subq $8, (%[core], %[bin], 8)\n" X86_64_TABLE_ENTRY
                          : [object] "=&a"(object), [core] "=&r"(core)
                          : [bin] "r"(bin)
                          : "memory", "cc"
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
    __asm__ volatile goto(
        "1:  movq " X86_64_SLOT ", %[core]\n"
        "    movq (%[core], %[bin], 8), %[top]\n"
        "    cmpq %[top], %c[ends](%[core], %[bin], 8)\n"
        "    je %l[full]\n"
        "    movq %[object], 8(%[top])\n"
        "2:  addq $8, (%[core], %[bin], 8)\n" X86_64_TABLE_ENTRY
        : [core] "=&r"(core), [top] "=&r"(top)
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
    void *cursors;
    size_t step;
    __asm__ volatile goto(
        "1:  movq " X86_64_SLOT ", %[cursors]\n"
        "    movq %c[rows](%[cursors], %[row], 8), %[cursors]\n"
        "    testq %[cursors], %[cursors]\n"
        "    jz %l[empty]\n"
        "    movq (%[cursors], %[word], 8), %[object]\n"
        "    cmpq 8(%[cursors], %[word], 8), %[object]\n"
        "    je %l[empty]\n"
        "    movq 16(%[cursors], %[word], 8), %[step]\n"
        "2:  addq %[step], (%[cursors], %[word], 8)\n" X86_64_TABLE_ENTRY
        : [object] "=&a"(object), [cursors] "=&r"(cursors), [step] "=&r"(step)
        : [row] "r"(row), [word] "r"(word), [rows] "i"(offsetof(struct arch_bins, rows))
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
    __asm__ volatile("movq %0, " X86_64_SLOT : : "r"(core) : "memory");
}

#endif
