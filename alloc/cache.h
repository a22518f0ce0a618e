/* SPDX-License-Identifier: MIT */
/*
 * The core cache for manual objects: per class an array of free objects that only its core uses.
 *
 *   base            top               end        limit == end - base
 *   | 0 | obj | obj | obj |  .  |  .  |          base[0] is a zero: popping an empty bin yields
 * NULL
 *
 * 1. malloc reads *top and, if that is no NULL, steps top down; free steps top up and stores:
 *    one committing store each. free never touches the object, so a write after free cannot
 *    corrupt a cache.
 * 2. A core that never allocated, and a class that never was, point at one shared, constant,
 *    empty bin whose top is its end: both paths go slow without a check of their own.
 * 3. A miss moves a batch from or to the central tier and lets the bin grow, doubling, as far as
 *    the budget goes (budget.h); past that another bin shrinks. A bin of limit 0 works: every
 * object goes to the central tier.
 *
 * Protection (BH_PROTECT_MASK): interrupts are off from reading the core's number to the commit,
 * so neither an interrupt on this core nor a move to another one can come between.
 */
#ifndef ALLOC_CACHE_H
#define ALLOC_CACHE_H

#include "alloc/types.h"
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/percore.h"
#include <bareheap/port.h>

struct cache_bin {
    void **top; /* the last object, or base */
    void **end; /* where top is when the bin is full */
};

struct core_cache {
    struct cache_bin bins[SIZE_CLASS_COUNT];
    uint8_t limit[SIZE_CLASS_COUNT]; /* objects a bin may hold */
    uint8_t room[SIZE_CLASS_COUNT];  /* slots in its array, the zero included; 0: none */
    uint8_t shrink_next;             /* the class whose turn it is to shrink */
    size_t limit_bytes;              /* sum of limit * object_bytes: what the budget bounds */
};

/* By core; each is the constant empty cache until that core's first miss. */
extern PER_CORE(struct core_cache *, core_caches);

/* Interrupts off. */
static inline struct core_cache *cache_here(void)
{
    return per_core_here(core_caches);
}

/* Objects in a bin. */
static inline size_t cache_bin_count(const struct core_cache *cache, unsigned size_class)
{
    const struct cache_bin *bin = &cache->bins[size_class];
    return (size_t)cache->limit[size_class] - (size_t)(bin->end - bin->top);
}

/* The commit. Relaxed: only this core reads the bin to act on it; others look, for statistics. */
static inline void cache_set_top(struct cache_bin *bin, void **top)
{
    atomic_store_relaxed(&bin->top, top);
}

/* An object, or NULL when this core's bin is empty. Any context. */
static inline void *cache_pop(unsigned size_class)
{
    uintptr_t irq = arch_irq_save();
    struct cache_bin *bin = &cache_here()->bins[size_class];
    void *object = *bin->top;
    if (BH_LIKELY(object))
        cache_set_top(bin, bin->top - 1);
    arch_irq_restore(irq);
    return object;
}

/* False when this core's bin is full. Any context. */
static inline bool cache_push(unsigned size_class, void *object)
{
    uintptr_t irq = arch_irq_save();
    struct cache_bin *bin = &cache_here()->bins[size_class];
    bool room = bin->top != bin->end;
    if (BH_LIKELY(room)) {
        bin->top[1] = object; /* nobody looks above top */
        cache_set_top(bin, bin->top + 1);
    }
    arch_irq_restore(irq);
    return room;
}

/* An object by way of the central tier, a batch left behind in the bin; NULL when memory is out. */
void *cache_refill(unsigned size_class);

/* Takes `object` although the bin was full: a batch goes to the central tier. */
void cache_flush(unsigned size_class, void *object);

/* Empties this core's bins into the central tier. True when there was anything in them. */
bool cache_drain(void);

#endif
