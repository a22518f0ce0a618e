/* SPDX-License-Identifier: MIT */
/*
 * Restartable sequences: the fixup at interrupt entry. arch/arch.h says what a sequence is.
 *
 * 1. All code with sequences lies in the section bh_restart, so most interrupts are told by one
 *    subtraction and one comparison.
 * 2. The table has two offsets per sequence, each from where it stands itself: the addresses of
 *    the start and of the commit instruction, right wherever the image was loaded.
 * 3. start < pc <= commit: nothing has been committed; back to the start, where the sequence reads
 *    the core's slot and its bin anew. At the start or past the commit: nothing to do.
 *
 * This must run before the handler allocates or switches context: either may change the bin that
 * the sequence has looked at. (Bershad, Redell, Ellis: Fast Mutual Exclusion for Uniprocessors,
 * ASPLOS 1992.) The linker defines the symbols around a section whose name is that of a C object.
 */
#include "arch/arch.h"
#include <bareheap/port.h>

#if BH_PROTECT == BH_PROTECT_RESTART

struct restart_entry {
    int32_t start;
    int32_t commit;
};

extern const char __start_bh_restart[];
extern const char __stop_bh_restart[];
extern const struct restart_entry __start_bh_restart_table[];
extern const struct restart_entry __stop_bh_restart_table[];

static uintptr_t address_of(const int32_t *offset)
{
    return (uintptr_t)offset + (uintptr_t)(intptr_t)*offset;
}

static void fixup_slow(uintptr_t *pc)
{
    for (const struct restart_entry *entry = __start_bh_restart_table;
         entry < __stop_bh_restart_table; entry++) {
        uintptr_t start = address_of(&entry->start);
        if (*pc > start && *pc <= address_of(&entry->commit))
            *pc = start;
    }
}

void bh_restart_fixup(uintptr_t *pc)
{
    uintptr_t bytes = (uintptr_t)__stop_bh_restart - (uintptr_t)__start_bh_restart;
    if (*pc - (uintptr_t)__start_bh_restart < bytes)
        fixup_slow(pc);
}

#else

void bh_restart_fixup(uintptr_t *pc)
{
    (void)pc;
}

#endif
