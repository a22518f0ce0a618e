/* SPDX-License-Identifier: MIT */
/*
 * The fast path of collected objects: a step of one of this core's cursors.
 *
 * 1. A core has rows of cursors (arch/arch.h): one row for noscan objects, one for scanned ones,
 *    each with a cursor per size class; and rows for typed ones, where cursors are given to layouts
 *    and classes as they come (layout.c).
 * 2. A cursor stands in a run of free objects of one span that was zeroed when it was taken, and
 *    whose bits are set: handing one out is a step, with one committing store, and nothing else.
 * 3. A row is made with the core's first object of it. Cursors that were never used are all zero,
 *    so used up; cursor 0 always is.
 *
 * Protection (config.h, BH_PROTECT). With RESTART the step is a restartable sequence, with NONE
 * nothing interrupts. With MASK, and with BUSY too, interrupts are off meanwhile: a collection
 * empties the cursors of the cores it has stopped, so a core may not be stopped between reading a
 * cursor and stepping it, and a flag would not keep it from that.
 */
#ifndef ALLOC_CURSOR_H
#define ALLOC_CURSOR_H

#include "alloc/cache.h"
#include "alloc/types.h"
#include "arch/arch.h"

#define CURSOR_WORDS (sizeof(struct arch_cursor) / sizeof(uintptr_t))
BH_STATIC_ASSERT(SIZE_CLASS_COUNT < ARCH_CURSORS, "a cursor for every class, and the tiny one");

/* The rows. That of a plain kind: cursor_row(). */
#define CURSOR_ROW_TYPED KIND_PLAIN_COUNT

/* The last cursor of the noscan row is the block that tiny objects share. It has no step. */
#define CURSOR_TINY (ARCH_CURSORS - 1)

/* Where a cursor is: its row, and the word of it where the cursor begins. */
static inline size_t cursor_row(enum bh_kind kind)
{
    return kind - KIND_FIRST_COLLECTED;
}

static inline size_t cursor_word(size_t number)
{
    return number * CURSOR_WORDS;
}

/* The step on a cursor that nothing else uses meanwhile. */
BH_INLINE void *cursor_bump(struct arch_cursor *cursor)
{
    uintptr_t object = cursor->next;
    if (BH_UNLIKELY(object == cursor->end))
        return NULL;
    cursor->next = object + cursor->step;
    return (void *)object; /* NOLINT: an address becomes memory */
}

/* NULL when the core does not have the row. */
static inline struct arch_cursor *cursor_in(const struct arch_bins *bins, size_t row, size_t word)
{
    return bins->rows[row] ? bins->rows[row] + word / CURSOR_WORDS : NULL;
}

/*
 * cursor_pop(row, word): the next object, zeroed, or NULL when this core's cursor is used up. Any
 * context. Functions that use it are CACHE_FAST.
 */
#if BH_PROTECT == BH_PROTECT_RESTART

BH_INLINE void *cursor_pop(size_t row, size_t word)
{
    return arch_restart_bump(row, word);
}

#elif BH_PROTECT == BH_PROTECT_NONE

BH_INLINE void *cursor_pop(size_t row, size_t word)
{
    struct arch_cursor *cursor = cursor_in((const struct arch_bins *)bh_core_slot, row, word);
    return BH_LIKELY(cursor) ? cursor_bump(cursor) : NULL;
}

#else

BH_INLINE void *cursor_pop(size_t row, size_t word)
{
    uintptr_t irq = arch_irq_save();
    const struct core_cache *cache = per_core_here(core_caches);
    struct arch_cursor *cursor = BH_LIKELY(cache) ? cursor_in(&cache->bins, row, word) : NULL;
    void *object = BH_LIKELY(cursor) ? cursor_bump(cursor) : NULL;
    arch_irq_restore(irq);
    return object;
}

#endif

#endif
