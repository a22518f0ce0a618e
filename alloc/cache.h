/* SPDX-License-Identifier: MIT */
/*
 * The core cache for manual objects: per class a bin, an array of free objects that only its core
 * uses.
 *
 *   base            top               end        limit == end - base
 *   | 0 | obj | obj | obj |  .  |  .  |          base[0] is a zero: popping an empty bin yields
 *                                                NULL
 *
 * 1. malloc reads *top and, if that is no NULL, steps top down; free steps top up and stores:
 *    one committing store each. free never touches the object, so a write after free cannot
 *    corrupt a cache.
 * 2. Bins are indexed by the class byte of the page map. A class that never was used, and the bytes
 *    that are no class, have an empty bin whose top is its end: both paths go slow without a check
 *    of their own.
 * 3. A miss moves a batch from or to the central tier and lets the bin grow, doubling, as far as
 *    the budget goes (budget.h); past that another bin shrinks. A bin of limit 0 works: every
 *    object goes to the central tier.
 *
 * Protection (config.h, BH_PROTECT) of the two fast paths below; everything else here runs with
 * interrupts off.
 *   MASK     interrupts are off from reading the core's number to the commit.
 *   BUSY     the cache's flag is set meanwhile. A handler that finds it set uses no bin but the
 *            central tier, whose locks are never held with interrupts on.
 *   RESTART  arch/arch.h: an interrupt between the start and the commit starts it anew.
 *   NONE     nothing interrupts.
 * With RESTART and NONE the core finds its cache through its slot; a core without one has the
 * constant empty cache there.
 */
#ifndef ALLOC_CACHE_H
#define ALLOC_CACHE_H

#include "alloc/types.h"
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/percore.h"
#include <bareheap/port.h>

#define CACHE_HAS_SLOT (BH_PROTECT == BH_PROTECT_RESTART || BH_PROTECT == BH_PROTECT_NONE)

struct core_cache {
    struct arch_bins bins;            /* first: the slot points here */
    uint16_t limit[SIZE_CLASS_COUNT]; /* objects a bin may hold */
    uint16_t room[SIZE_CLASS_COUNT];  /* slots in its array, the zero included; 0: none */
    uint8_t shrink_next;              /* the class whose turn it is to shrink */
    uint8_t busy;                     /* BUSY: a fast path is under way */
    size_t limit_bytes;               /* what the limits cost together: bounded by the budget */
};
BH_STATIC_ASSERT(offsetof(struct core_cache, bins) == 0, "the slot points to the bins");
BH_STATIC_ASSERT(PAGE_CLASS_COUNT <= ARCH_BINS, "a bin for every class byte");

/* By core; NULL until that core's first miss. */
extern PER_CORE(struct core_cache *, core_caches);

/* The empty cache's bins: what the slot of a core without a cache points to. */
extern const struct arch_bins cache_no_bins;

/* Objects in a bin. */
static inline size_t cache_bin_count(const struct core_cache *cache, unsigned size_class)
{
    const struct arch_bins *bins = &cache->bins;
    return (size_t)cache->limit[size_class] -
           (size_t)(bins->end[size_class] - bins->top[size_class]);
}

/* The commit. Relaxed: only this core reads the bin to act on it; others look, for statistics. */
BH_INLINE void cache_set_top(struct core_cache *cache, size_t bin, void **top)
{
    atomic_store_relaxed(&cache->bins.top[bin], top);
}

/* The two fast paths on a cache that nothing else uses meanwhile. */
BH_INLINE void *cache_pop_from(struct core_cache *cache, size_t bin)
{
    void **top = cache->bins.top[bin];
    void *object = *top;
    if (BH_LIKELY(object))
        cache_set_top(cache, bin, top - 1);
    return object;
}

BH_INLINE bool cache_push_to(struct core_cache *cache, size_t bin, void *object)
{
    void **top = cache->bins.top[bin];
    if (BH_UNLIKELY(top == cache->bins.end[bin]))
        return false;
    top[1] = object; /* nobody looks above top */
    cache_set_top(cache, bin, top + 1);
    return true;
}

/*
 * cache_pop(bin): an object, or NULL when this core's bin is empty or may not be used now.
 * cache_push(bin, object): false when it is full or may not be used now. Any context.
 * Functions that use them are CACHE_FAST.
 */
#if BH_PROTECT == BH_PROTECT_RESTART

#define CACHE_FAST ARCH_RESTARTABLE

/* Cast: the empty bins are constant, and no path writes to them. */
static inline void cache_slot_set(const struct arch_bins *bins)
{
    arch_core_slot_set((void *)(uintptr_t)bins);
}

BH_INLINE void *cache_pop(size_t bin)
{
    return arch_restart_pop(bin);
}

BH_INLINE bool cache_push(size_t bin, void *object)
{
    return arch_restart_push(bin, object);
}

#elif BH_PROTECT == BH_PROTECT_NONE

#define CACHE_FAST __attribute__((noinline))

/* What the slot of a core is elsewhere. */
extern __thread void *bh_core_slot __attribute__((tls_model("initial-exec")));

static inline void cache_slot_set(const struct arch_bins *bins)
{
    bh_core_slot = (void *)(uintptr_t)bins; /* cast: as above */
}

BH_INLINE void *cache_pop(size_t bin)
{
    return cache_pop_from(bh_core_slot, bin);
}

BH_INLINE bool cache_push(size_t bin, void *object)
{
    return cache_push_to(bh_core_slot, bin, object);
}

#elif BH_PROTECT == BH_PROTECT_BUSY

#define CACHE_FAST __attribute__((noinline))

static inline void cache_slot_set(const struct arch_bins *bins)
{
    (void)bins;
}

/* The barriers keep the accesses between the two stores of the flag, as this core's interrupts
 * see them: they are on the same core, so the compiler's order is all there is. */
BH_INLINE struct core_cache *cache_enter(void)
{
    struct core_cache *cache = per_core_here(core_caches);
    if (BH_UNLIKELY(!cache || cache->busy))
        return NULL;
    atomic_store_relaxed(&cache->busy, 1);
    compiler_barrier();
    return cache;
}

BH_INLINE void cache_leave(struct core_cache *cache)
{
    compiler_barrier();
    atomic_store_relaxed(&cache->busy, 0);
}

BH_INLINE void *cache_pop(size_t bin)
{
    struct core_cache *cache = cache_enter();
    if (BH_UNLIKELY(!cache))
        return NULL;
    void *object = cache_pop_from(cache, bin);
    cache_leave(cache);
    return object;
}

BH_INLINE bool cache_push(size_t bin, void *object)
{
    struct core_cache *cache = cache_enter();
    if (BH_UNLIKELY(!cache))
        return false;
    bool room = cache_push_to(cache, bin, object);
    cache_leave(cache);
    return room;
}

#else

#define CACHE_FAST __attribute__((noinline))

static inline void cache_slot_set(const struct arch_bins *bins)
{
    (void)bins;
}

BH_INLINE void *cache_pop(size_t bin)
{
    uintptr_t irq = arch_irq_save();
    struct core_cache *cache = per_core_here(core_caches);
    void *object = BH_LIKELY(cache) ? cache_pop_from(cache, bin) : NULL;
    arch_irq_restore(irq);
    return object;
}

BH_INLINE bool cache_push(size_t bin, void *object)
{
    uintptr_t irq = arch_irq_save();
    struct core_cache *cache = per_core_here(core_caches);
    bool room = BH_LIKELY(cache) && cache_push_to(cache, bin, object);
    arch_irq_restore(irq);
    return room;
}

#endif

/* This core's cache, made if need be; NULL when there is no memory for one. Not for its bins: their
 * fast path may be under way. Interrupts off. */
struct core_cache *cache_own_must(void);

/* An object by way of the central tier, a batch left behind in the bin; NULL when memory is out. */
void *cache_refill(unsigned size_class);

/* Takes `object` although the bin was full: a batch goes to the central tier. */
void cache_flush(unsigned size_class, void *object);

/* Empties this core's bins into the spans. True when there was anything in them. */
bool cache_drain(void);

/* Objects in one core's bin, looked at from any core while it may change: a figure. */
size_t cache_bin_look(unsigned core, unsigned size_class);

/* All bins of a core likewise. Two looks with the same state: it has hardly used them meanwhile. */
struct cache_look {
    size_t objs;
    uintptr_t state; /* made from all tops */
};
struct cache_look cache_look(unsigned core);

/* Whether this core's cache may not be touched now: its fast path is what this interrupted. */
static inline bool cache_is_busy(void)
{
    return BH_PROTECT == BH_PROTECT_BUSY && per_core_here(core_caches) &&
           per_core_here(core_caches)->busy;
}

#endif
