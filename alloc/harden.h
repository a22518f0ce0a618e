/* SPDX-License-Identifier: MIT */
/*
 * The hardened heap (config.h, BH_HARDEN): what it keeps beside objects, and its checks on the way
 * out and back. In other builds all of this is empty.
 *
 * 1. Every page of small manual objects has a cell of state bytes, one for every 16 bytes of it,
 *    found from an address by two loads and no arithmetic to speak of. That of an object's first
 *    byte tells its class and whether it is handed out; all others are zero. So one comparison
 *    finds a pointer that is no object, or one that is free already, at the call.
 * 2. A free object is filled with a pattern: up to 64 bytes whole, of longer ones the first 48 and
 *    the last 16; it is looked at when the object is handed out again. Objects on pages that nobody
 *    had before are not filled.
 * 3. What comes out of a core's cache must be a free object of the class asked for.
 * 4. The records of spans are sealed: a keyed sum of what is constant in them is kept in each, and
 *    compared when its span is taken from, given to, swept, or freed.
 * 5. Objects of a refill are handed out in random order: harden_shuffle().
 * 6. Large objects have guard pages (guard.h), and their first 64 bytes the pattern while they are
 *    kept for the next request.
 *
 * State bytes are read and written with plain loads and stores, for an atomic exchange costs more
 * than all the rest. Two cores that free one object in the same few instructions may both find it
 * handed out; then it is in the caches twice, and the second time that it is taken out of one
 * (harden_out: it is handed out already), or goes back to its span, is the panic.
 *
 * With red zones (redzone.h) the pattern is theirs, for objects are filled by them anyway.
 * The generator of random numbers is no cryptographic one, and the key is made of the clock and of
 * addresses: against bugs, and against an attacker who cannot read memory.
 *
 * Locks: states_of of the page map is written under the page heap's. Cost: 1/16 of the pages with
 * small manual objects, 8 bytes per page of the map, 16 per record.
 */
#ifndef ALLOC_HARDEN_H
#define ALLOC_HARDEN_H

#include "alloc/page_heap.h"
#include "alloc/redzone.h"
#include "alloc/span.h"
#include "alloc/types.h"

#define HARDEN_POISON (BH_HARDEN && !REDZONE)

#if BH_HARDEN

#define HARDEN_GRANULE_BYTES 16
#define HARDEN_STATES_BYTES  (PAGE_BYTES / HARDEN_GRANULE_BYTES)

/*
 * A state byte: 0 where no object begins, the class of one that is free and filled, the class and
 * HARDEN_OUT of one that is its owner's, or HARDEN_FRESH for one that is free and not filled: never
 * handed out, on pages that never were.
 */
#define HARDEN_OUT   0x80u
#define HARDEN_FRESH 0x7fu
BH_STATIC_ASSERT(SIZE_CLASS_COUNT <= HARDEN_FRESH, "a state byte has room for the class");

/* What of a free object is filled: all up to the sum of the two, else so much at each end. */
#define HARDEN_FILL_HEAD_BYTES ((size_t)48)
#define HARDEN_FILL_TAIL_BYTES ((size_t)16)

/* Repeated from an object's first byte on: no address on either CPU, no small number, no text. */
#define HARDEN_FILL_WORD 0xdedfdedfdedfdedfu

/* ---- for the front door ---- */

/*
 * `object`, from the cache's bin `size_class` or past it from the central tier, is about to be its
 * owner's. Panics when it is no free object of that class or has been written to since it was
 * freed. Before a sanitizer is told, any context.
 */
BH_INLINE void harden_out(void *object, size_t size_class);

/*
 * `object` is about to be given back by `call`, called from `caller`. Returns its class byte.
 * Panics when it lies among small manual objects but is none that is handed out; what lies
 * elsewhere is for the slow path. Any context; the object is still its owner's, to a sanitizer too.
 */
BH_INLINE size_t harden_back(void *object, const char *call, uintptr_t caller);

/* Whether the manual object is handed out; panics in the name of `call` when it is not. */
bool harden_is_out(const struct bh_span *span, const void *object);
void harden_check_out(const struct bh_span *span, void *object, const char *call, uintptr_t caller);

/* Puts objects in random order. Interrupts off. */
void harden_shuffle(void **objects, size_t count);

/* ---- for spans ---- */

/* A new manual span of small objects, whose record is filled in but for `states`, gets them and
 * has its objects filled; false when memory is out. harden_end(), which a span without any may be
 * given too, takes them back. */
bool harden_begin(struct bh_span *span);
void harden_end(struct bh_span *span);

/* Under the page heap's lock: the span is about to be found in the page map. Seals its record,
 * whose constant fields are right, and enters its states. */
void harden_publish(struct bh_span *span);

/* Seals the record anew: the length of a large object has changed. */
void harden_seal(struct bh_span *span);

/* Panics when the record of a published span is not as it was sealed. */
void harden_check_record(const struct bh_span *span);

/* For bh_heap_verify(): panics when the states of a small manual span are not those of its objects.
 */
void harden_verify(const struct bh_span *span);

/* ---- the pattern ---- */

/* Two words at a time, which the compiler takes for a vector where it may use those. */
typedef uint64_t __attribute__((vector_size(16), may_alias)) harden_pair;

#define HARDEN_FILL_PAIR ((harden_pair){HARDEN_FILL_WORD, HARDEN_FILL_WORD})

/*
 * The pairs of an object that are filled; of a short one some are the same. No loop and no branch:
 * sizes come in any order, and to guess wrong costs more than to fill twice.
 */
struct harden_pairs {
    harden_pair *first, *second, *third, *last;
};

BH_INLINE struct harden_pairs harden_pairs_of(uintptr_t object, size_t bytes)
{
    harden_pair *first = (harden_pair *)object; /* NOLINT: an address becomes memory */
    harden_pair *last = first + bytes / sizeof(*first) - 1;
    return (struct harden_pairs){.first = first,
                                 .second = first + 1 < last ? first + 1 : last,
                                 .third = first + 2 < last ? first + 2 : last,
                                 .last = last};
}

BH_INLINE void harden_fill(uintptr_t object, size_t bytes)
{
    struct harden_pairs pairs = harden_pairs_of(object, bytes);
    *pairs.first = HARDEN_FILL_PAIR;
    *pairs.second = HARDEN_FILL_PAIR;
    *pairs.third = HARDEN_FILL_PAIR;
    *pairs.last = HARDEN_FILL_PAIR;
}

BH_INLINE bool harden_is_filled(uintptr_t object, size_t bytes)
{
    struct harden_pairs pairs = harden_pairs_of(object, bytes);
    harden_pair diff = (*pairs.first ^ HARDEN_FILL_PAIR) | (*pairs.second ^ HARDEN_FILL_PAIR) |
                       (*pairs.third ^ HARDEN_FILL_PAIR) | (*pairs.last ^ HARDEN_FILL_PAIR);
    return !(diff[0] | diff[1]);
}

/* A large object that nobody has: its head is filled, or looked at before somebody has it again. */
static inline void harden_fill_head(uintptr_t object)
{
    if (HARDEN_POISON)
        harden_fill(object, HARDEN_FILL_HEAD_BYTES + HARDEN_FILL_TAIL_BYTES);
}

/* ---- the inline part ---- */

/*
 * The state byte for an address; NULL where there are no small manual objects. Relaxed, here and
 * for the state: an object passes from core to core by way of a lock of ours or of whatever its
 * owners use, and what is known of it with it; accesses without that are the crime itself.
 */
BH_INLINE uint8_t *harden_state_of(uintptr_t address)
{
    const struct pagemap *map = atomic_load_dependent(&pagemap_current);
    uintptr_t page = (address >> PAGE_SHIFT) - map->first_page;
    if (BH_UNLIKELY(page >= map->pages))
        return NULL;
    uint8_t *states = atomic_load_relaxed(&map->states_of[page]);
    return BH_LIKELY(states) ? &states[address % PAGE_BYTES / HARDEN_GRANULE_BYTES] : NULL;
}

/* Each says what is wrong. */
_Noreturn void harden_out_panic(void *object, size_t size_class);
_Noreturn void harden_fill_panic(const void *object, size_t size_class);
_Noreturn void harden_head_panic(const void *object, size_t bytes);
_Noreturn void harden_back_panic(void *object, const char *call, uintptr_t caller);

static inline void harden_check_head(uintptr_t object, size_t bytes)
{
    if (HARDEN_POISON && !harden_is_filled(object, HARDEN_FILL_HEAD_BYTES + HARDEN_FILL_TAIL_BYTES))
        harden_head_panic((const void *)object, bytes); /* NOLINT: an address becomes memory */
}

/* A free object, of which there is nothing to compare. */
BH_INLINE bool harden_is_fresh(uint8_t state, uintptr_t address, size_t size_class)
{
    return state == HARDEN_FRESH && pagemap_class(address) == size_class;
}

BH_INLINE void harden_out(void *object, size_t size_class)
{
    uintptr_t address = (uintptr_t)object;
    uint8_t *state = harden_state_of(address);
    uint8_t was = BH_LIKELY(state) ? atomic_load_relaxed(state) : 0;
    bool fresh = was != size_class;
    if (BH_UNLIKELY(fresh && !harden_is_fresh(was, address, size_class)) ||
        address % HARDEN_GRANULE_BYTES)
        harden_out_panic(object, size_class);
    if (HARDEN_POISON && !fresh &&
        BH_UNLIKELY(!harden_is_filled(address, size_classes[size_class].object_bytes)))
        harden_fill_panic(object, size_class);
    atomic_store_relaxed(state, (uint8_t)(size_class | HARDEN_OUT));
}

BH_INLINE size_t harden_back(void *object, const char *call, uintptr_t caller)
{
    uintptr_t address = (uintptr_t)object;
    uint8_t *state = harden_state_of(address);
    if (BH_UNLIKELY(!state))
        return pagemap_class_fast(address);
    uint8_t was = atomic_load_relaxed(state);
    if (BH_UNLIKELY(!(was & HARDEN_OUT) || address % HARDEN_GRANULE_BYTES))
        harden_back_panic(object, call, caller);
    size_t size_class = was ^ HARDEN_OUT;
    atomic_store_relaxed(state, (uint8_t)size_class);
    if (HARDEN_POISON)
        harden_fill(address, size_classes[size_class].object_bytes);
    return size_class;
}

#else

static inline void harden_out(void *object, size_t size_class)
{
    (void)object, (void)size_class;
}
static inline size_t harden_back(void *object, const char *call, uintptr_t caller)
{
    (void)call, (void)caller;
    return pagemap_class_fast((uintptr_t)object);
}
static inline bool harden_is_out(const struct bh_span *span, const void *object)
{
    (void)span, (void)object;
    return true;
}
static inline void harden_check_out(const struct bh_span *span, void *object, const char *call,
                                    uintptr_t caller)
{
    (void)span, (void)object, (void)call, (void)caller;
}
static inline void harden_shuffle(void **objects, size_t count)
{
    (void)objects, (void)count;
}
static inline void harden_fill_head(uintptr_t object)
{
    (void)object;
}
static inline void harden_check_head(uintptr_t object, size_t bytes)
{
    (void)object, (void)bytes;
}
static inline bool harden_begin(struct bh_span *span)
{
    (void)span;
    return true;
}
static inline void harden_end(struct bh_span *span)
{
    (void)span;
}
static inline void harden_publish(struct bh_span *span)
{
    (void)span;
}
static inline void harden_seal(struct bh_span *span)
{
    (void)span;
}
static inline void harden_check_record(const struct bh_span *span)
{
    (void)span;
}
static inline void harden_verify(const struct bh_span *span)
{
    (void)span;
}

#endif

#endif
