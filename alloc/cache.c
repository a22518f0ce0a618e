/* SPDX-License-Identifier: MIT */
/* The core cache's slow paths. See cache.h. Bins are touched with interrupts off, on their own
 * core. */
#include "alloc/cache.h"
#include "alloc/budget.h"
#include "alloc/central.h"
#include "alloc/harden.h"
#include "alloc/meta.h"
#include "alloc/span.h"
#include "kernel-lib/memory.h"

PER_CORE(struct core_cache *, core_caches);

/* The empty bin: its one slot is the zero, and it has no room. Never written, because top is end.
 */
static void *empty_slot[1];

/* What the slot of a core without a cache points to. */
const struct arch_bins cache_no_bins = {.top = {[0 ... ARCH_BINS - 1] = empty_slot},
                                        .end = {[0 ... ARCH_BINS - 1] = empty_slot}};

#if BH_PROTECT == BH_PROTECT_NONE
/* Every thread starts with the empty cache: its first allocation is a miss like any other. */
__thread void *bh_core_slot __attribute__((tls_model("initial-exec"))) = (void *)&cache_no_bins;
#endif

BH_COLD void bh_core_init(void)
{
    uintptr_t irq = arch_irq_save();
    const struct core_cache *cache = per_core_here(core_caches);
    cache_slot_set(cache ? &cache->bins : &cache_no_bins);
    arch_irq_restore(irq);
}

/* In a cell from meta_alloc() or meta_alloc_spare(). */
static BH_COLD struct core_cache *cache_make(unsigned core, struct core_cache *cache)
{
    if (!cache)
        return NULL;
    for (size_t i = 0; i < ARCH_BINS; i++)
        cache->bins.top[i] = cache->bins.end[i] = empty_slot;
    budget_add_cache();
    /* Release: pairs with bin_look() in stats.c, which looks into other cores' caches. */
    atomic_store_release(&core_caches[core], cache);
    cache_slot_set(&cache->bins);
    return cache;
}

/* This core's cache, made if need be. NULL when there is no memory for one, or when this is an
 * interrupt handler in the middle of a fast path of it. */
static struct core_cache *cache_own(void)
{
    unsigned core = bh_port_core();
    struct core_cache *cache = core_caches[core];
    if (BH_UNLIKELY(!cache))
        return cache_make(core, meta_alloc_spare(sizeof(*cache)));
    return BH_PROTECT == BH_PROTECT_BUSY && cache->busy ? NULL : cache;
}

struct core_cache *cache_own_must(void)
{
    unsigned core = bh_port_core();
    struct core_cache *cache = core_caches[core];
    return BH_LIKELY(cache) ? cache : cache_make(core, meta_alloc(sizeof(*cache)));
}

/* Classes with so many slots begin with two, larger objects with one. */
#define FIRST_LIMIT_SLOTS 8

/* The slots of the smallest array: a cache line, which then no other core's slots share. */
#define ROOM_MIN (ARCH_CACHE_LINE / sizeof(void *))

/* Batches that a full bin gives away: more than one, for the others are moved for it. */
#define FLUSH_BATCHES 4

/* Bins that one miss may shrink: bounds the time with interrupts off. */
#define SHRINK_MOST 8

static void **bin_base(const struct core_cache *cache, unsigned size_class)
{
    return cache->bins.end[size_class] - cache->limit[size_class];
}

/* What a limit costs: the objects, and the slots that they are in. */
static size_t limit_bytes(unsigned limit, unsigned size_class)
{
    return limit * (size_classes[size_class].object_bytes + sizeof(void *));
}

/* Hands the bin's first `count` objects to central_give() or central_give_home(): those that have
 * been in it longest. The others move down. */
static void bin_empty(struct core_cache *cache, unsigned size_class, size_t count,
                      void (*give)(unsigned size_class, void **objects, size_t count))
{
    void **first = bin_base(cache, size_class) + 1;
    size_t left = cache_bin_count(cache, size_class) - count;
    size_t batch = size_classes[size_class].batch;
    for (size_t done = 0; done < count; done += batch)
        give(size_class, first + done, count - done < batch ? count - done : batch);
    memmove(first, first + count, left * sizeof(*first));
    cache_set_top(cache, size_class, first + left - 1);
}

static void bin_give(struct core_cache *cache, unsigned size_class, size_t count)
{
    bin_empty(cache, size_class, count, central_give);
}

static BH_COLD void bin_set_limit(struct core_cache *cache, unsigned size_class, void **base,
                                  unsigned limit)
{
    cache->limit_bytes -= limit_bytes(cache->limit[size_class], size_class);
    cache->limit_bytes += limit_bytes(limit, size_class);
    atomic_store_relaxed(&cache->limit[size_class], (uint16_t)limit); /* as top */
    atomic_store_relaxed(&cache->bins.end[size_class], base + limit);
}

static BH_COLD void bin_shrink(struct core_cache *cache, unsigned size_class)
{
    unsigned limit = cache->limit[size_class] / 2;
    size_t count = cache_bin_count(cache, size_class);
    if (count > limit)
        bin_give(cache, size_class, count - limit);
    bin_set_limit(cache, size_class, bin_base(cache, size_class), limit);
}

/* Takes limit from the other classes, in turn, until `bytes` more fit; false when they do not. */
static BH_COLD bool make_budget(struct core_cache *cache, unsigned size_class, size_t bytes)
{
    size_t budget = budget_core_bytes();
    if (bytes > budget / 2)
        return false; /* never empty everybody for one class */
    for (unsigned i = 0; i < SHRINK_MOST && cache->limit_bytes + bytes > budget; i++) {
        unsigned victim = cache->shrink_next % (SIZE_CLASS_COUNT - 1) + 1;
        cache->shrink_next = (uint8_t)victim;
        if (victim != size_class && cache->limit[victim])
            bin_shrink(cache, victim);
    }
    return cache->limit_bytes + bytes <= budget;
}

/* Moves the bin into an array of `room` slots. False: no memory. */
static BH_COLD bool bin_move(struct core_cache *cache, unsigned size_class, unsigned room)
{
    size_t count = cache_bin_count(cache, size_class);
    void **old = bin_base(cache, size_class);
    void **base = meta_alloc_spare(room * sizeof(void *));
    if (!base)
        return false;
    memcpy(base, old, (count + 1) * sizeof(void *));
    if (cache->room[size_class])
        meta_free(old, cache->room[size_class] * sizeof(void *));
    cache->room[size_class] = (uint16_t)room;
    cache_set_top(cache, size_class, base + count);
    atomic_store_relaxed(&cache->bins.end[size_class],
                         base + cache->limit[size_class]); /* as top */
    return true;
}

/* The slots for the zero, `limit` objects and the one that a refill hands out: a whole cell, so a
 * few doublings suffice. */
static unsigned room_for(unsigned limit)
{
    return limit + 2 < ROOM_MIN ? (unsigned)ROOM_MIN : 2u << bits_log2(limit + 1);
}

/* Objects of a class that fill whole cache lines. */
static unsigned line_objs(unsigned size_class)
{
    return (unsigned)span_line_objs(size_classes[size_class].object_bytes);
}

/* The first limit of a class of `most` slots: whole cache lines of small objects, which a core
 * that takes but one then shares with nobody. */
static unsigned first_limit(unsigned size_class, unsigned most)
{
    unsigned usual = most >= FIRST_LIMIT_SLOTS ? 2 : 1;
    unsigned lines = line_objs(size_class);
    return lines > usual ? lines : usual;
}

/* After a miss: twice the limit, if the class, the budget and memory allow. */
static BH_COLD void bin_grow(struct core_cache *cache, unsigned size_class)
{
    unsigned limit = cache->limit[size_class];
    unsigned most = size_classes[size_class].slots;
    if (limit >= most)
        return;
    unsigned wanted = limit ? 2 * limit : first_limit(size_class, most);
    wanted = wanted < most ? wanted : most;
    if (!make_budget(cache, size_class, limit_bytes(wanted - limit, size_class)))
        return;
    if (cache->room[size_class] < wanted + 2 && !bin_move(cache, size_class, room_for(wanted)))
        return;
    bin_set_limit(cache, size_class, bin_base(cache, size_class), wanted);
}

/* Objects to move at a time: a batch, but no more than half the bin once it is warm. */
static size_t batch_for(const struct core_cache *cache, unsigned size_class)
{
    size_t batch = size_classes[size_class].batch;
    size_t half = (cache->limit[size_class] + 1u) / 2;
    return batch < half ? batch : half;
}

/* Objects to ask for at a miss: one to hand out and a batch to keep, in whole cache lines. */
static size_t refill_count(const struct core_cache *cache, unsigned size_class)
{
    size_t want = bits_round_up(batch_for(cache, size_class) + 1, line_objs(size_class));
    size_t most = cache->limit[size_class] + 1u;
    return want < most ? want : most;
}

/* A batch goes straight into the bin, which is empty, and its last object to the caller. */
static void *bin_refill(struct core_cache *cache, unsigned size_class, size_t want)
{
    void **objects = cache->bins.top[size_class] + 1;
    size_t n = central_take(size_class, objects, want);
    harden_shuffle(objects, n);
    if (n == 0)
        return NULL;
    cache_set_top(cache, size_class, objects + n - 2);
    return objects[n - 1];
}

/* By the central tier alone. */
static void *take_one(unsigned size_class)
{
    void *object;
    return central_take(size_class, &object, 1) ? object : NULL;
}

void *cache_refill(unsigned size_class)
{
    uintptr_t irq = arch_irq_save();
    struct core_cache *cache = cache_own();
    /* An interrupt between the miss and here may have filled the bin. */
    void *object = cache ? cache_pop_from(cache, size_class) : NULL;
    size_t want = 1;
    if (cache && !object) {
        bin_grow(cache, size_class);
        want = refill_count(cache, size_class);
    }
    if (!object)
        object = want > 1 ? bin_refill(cache, size_class, want) : take_one(size_class);
    arch_irq_restore(irq);
    return object;
}

/* Objects that a full bin gives away: never more than half of it. */
static size_t flush_count(const struct core_cache *cache, unsigned size_class)
{
    size_t batches = FLUSH_BATCHES * batch_for(cache, size_class);
    size_t half = (cache->limit[size_class] + 1u) / 2;
    return batches < half ? batches : half;
}

/* A core that frees an object of a class before it ever asked for one got it from another core,
 * which may use the rest of its cache line: it goes home, where whole lines are given out. */
static bool is_foreign(const struct core_cache *cache, unsigned size_class)
{
    return cache->limit[size_class] == 0;
}

void cache_flush(unsigned size_class, void *object)
{
    uintptr_t irq = arch_irq_save();
    struct core_cache *cache = cache_own();
    bool foreign = cache && is_foreign(cache, size_class);
    if (cache) {
        bin_grow(cache, size_class);
        if (cache->bins.top[size_class] == cache->bins.end[size_class])
            bin_give(cache, size_class, flush_count(cache, size_class));
    }
    if (foreign)
        central_give_home(size_class, &object, 1);
    else if (!cache || !cache_push_to(cache, size_class, object))
        central_give(size_class, &object, 1);
    arch_irq_restore(irq);
}

/* Of whatever core this is: moving to another one between two bins does no harm. */
static BH_COLD bool drain_bin(unsigned size_class)
{
    uintptr_t irq = arch_irq_save();
    struct core_cache *cache = per_core_here(core_caches);
    size_t count = 0;
    if (cache && !cache_is_busy()) {
        count = cache_bin_count(cache, size_class);
        bin_empty(cache, size_class, count, central_give_home);
    }
    arch_irq_restore(irq);
    return count > 0;
}

BH_COLD bool cache_drain(void)
{
    bool any = false;
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++)
        any |= drain_bin(i);
    return any;
}

/* ---- looks from other cores ---- */

BH_COLD size_t cache_bin_look(unsigned core, unsigned size_class)
{
    /* Acquire: pairs with cache_make(); a cache is filled in before it is shown. */
    const struct core_cache *cache = atomic_load_acquire(&core_caches[core]);
    if (!cache)
        return 0;
    /* Relaxed: three looks that may not belong together; a nonsensical difference counts as 0. */
    size_t limit = atomic_load_relaxed(&cache->limit[size_class]);
    void **top = atomic_load_relaxed(&cache->bins.top[size_class]);
    size_t left = (size_t)(atomic_load_relaxed(&cache->bins.end[size_class]) - top);
    return left <= limit ? limit - left : 0;
}

BH_COLD struct cache_look cache_look(unsigned core)
{
    struct cache_look look = {0, 0};
    const struct core_cache *cache = atomic_load_acquire(&core_caches[core]); /* as above */
    for (unsigned i = 1; cache && i < SIZE_CLASS_COUNT; i++) {
        look.objs += cache_bin_look(core, i);
        look.state = look.state * 31 + (uintptr_t)atomic_load_relaxed(&cache->bins.top[i]); /* " */
    }
    return look;
}
