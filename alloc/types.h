/* SPDX-License-Identifier: MIT */
/*
 * The nouns of the allocator and the equations that tie their fields together. The design note,
 * alloc/README.md, has the invariants by tag; verify.c checks them.
 *
 *   region   a stretch of RAM: [metadata | pages...]
 *   page     8 KiB; has one struct bh_span, its record, in the region's metadata
 *   run      pages that belong together: a free run, or a span. Only the record of its first page
 *            (its head) means anything, and for free runs the map entry of its last
 *   span     a run in use: objects of one size class, or one large object
 *   page map from a page to its class byte, and to the head of its span
 */
#ifndef ALLOC_TYPES_H
#define ALLOC_TYPES_H

#include "alloc/size_classes.h"
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/bits.h"
#include "kernel-lib/check.h"
#include "kernel-lib/list.h"
#include <bareheap/config.h>

#define PAGE_SHIFT 13
#define PAGE_BYTES ((size_t)1 << PAGE_SHIFT)

/* What the collector does with a span's objects. */
enum bh_kind {
    KIND_MANUAL, /* nothing: malloc'd */
    KIND_NOSCAN, /* collects, never looks inside */
    KIND_SCAN,   /* collects, every word may be a pointer */
    KIND_TYPED,  /* + n: collects, the pointers are where layout n says (layout.h) */
    KIND_LAST = 255
};

#define KIND_FIRST_COLLECTED KIND_NOSCAN

/* Kinds of typed spans there can be. */
#define LAYOUT_MOST 250

/* The collected kinds that are there from the start. */
#define KIND_PLAIN_COUNT (KIND_TYPED - KIND_FIRST_COLLECTED)

enum span_state {
    SPAN_NONE,    /* not the head of a run */
    SPAN_FREE,    /* the head of a free run, in the page heap's tree */
    SPAN_PRIVATE, /* pages for ourselves (metadata cells, mark queue), or a run in transit */
    SPAN_IN_USE,  /* a span that is in no list: manual and full, or large */
    SPAN_LISTED,  /* a span in a list of its central: partial; full or unswept too if collected */
    SPAN_CACHED,  /* collected: one core's cursor allocates from it */
};

enum run_flags {
    RUN_ZEROED = 1,   /* a span whose every byte was zero when its pages were taken */
    RUN_MARKED = 2,   /* free, and some of its pages may have another class byte than PAGE_FREE */
    RUN_GUARDED = 4,  /* a large span with a guard page before and behind it (guard.h) */
    RUN_GUARD = 8,    /* private: one of the two */
    RUN_SPECIAL = 16, /* collected: an object of it has, or had, a finalizer or the like */
    RUN_QUEUED = 32,  /* collected, while marking: waits for a marker to look for grey objects */
    RUN_MANY = 64,    /* the same: its marks were changed more than once */
};

/*
 * The record of a run, 56 bytes (72 in hardened builds). For a span:
 *   objs * object_bytes <= pages * PAGE_BYTES
 *   manual:    free_objs == bits set in `bits` (those with the central tier's spans)
 *              objs - free_objs == handed out + in core caches + in the transfer cache
 *   collected: while swept, and nobody marks (walk.h), a set bit in `bits` is an allocated object;
 *              free_objs == bits clear, exact while the span is in a list
 * Constant from page_heap_publish() until the span is freed: base, pages (but for a large object
 * that is resized), kind, size_class, objs, object_bytes, reciprocal, where the bitmaps are.
 */
struct bh_span {
    uintptr_t base;        /* address of the first page */
    uint32_t object_bytes; /* 0 for large: span_object_bytes() */
    uint32_t pages;        /* of the run */
    uint32_t reciprocal;   /* offset / object_bytes == (offset * reciprocal) >> 32; 0 for large */
    uint16_t objs;         /* objects there is room for */
    uint16_t free_objs;    /* see above; protected by the central's lock */
    uint16_t next_idx;     /* collected: no free object is before this one */
    uint8_t sweep_cycle;   /* collected: swept when equal to the sweeper's cycle */
    uint8_t mark_shift;    /* collected: log2 of half the cell that `bits` is a half of */
    uint8_t state;         /* enum span_state */
    uint8_t kind;          /* enum bh_kind */
    uint8_t size_class;    /* 0: one large object */
    uint8_t flags;         /* enum run_flags */
    union {
        uint64_t *bits;    /* manual: free, with the span; collected: allocated */
        uint64_t own_bits; /* manual, if 64 bits are enough: span_bits() */
    };
    union {
        struct list link; /* span: in a list of its central */
        struct {          /* free run: in the page heap's tree */
            struct bh_span *left;
            struct bh_span *right;
        } tree;
    };
#if BH_HARDEN        /* harden.h */
    uint8_t *states; /* in every page's record: of its manual small objects */
    uint64_t seal;
#endif
};
BH_STATIC_ASSERT(sizeof(struct bh_span) == (BH_HARDEN ? 72 : 56),
                 "records are what metadata costs");
BH_STATIC_ASSERT(SIZE_CLASS_MAX_OBJS <= UINT16_MAX, "the numbers of a span's objects fit");

/* The room that each object of a span has. */
static inline size_t span_object_bytes(const struct bh_span *span)
{
    return span->size_class ? span->object_bytes : (size_t)span->pages << PAGE_SHIFT;
}

/* A manual span of few objects has its bitmap in its record, on a line that is needed anyway. Not
 * in hardened builds, where that part of the record is sealed. */
static inline bool span_manual_has_own_bits(const struct bh_span *span)
{
    return !BH_HARDEN && span->objs <= 64;
}

static inline bool span_has_own_bits(const struct bh_span *span)
{
    return span->kind == KIND_MANUAL && span_manual_has_own_bits(span);
}

/* The bitmap of any span. */
static inline uint64_t *span_bits(const struct bh_span *span)
{
    uintptr_t own =
        (uintptr_t)&span->own_bits; /* a look that promises nothing may lead to a change */
    return span_has_own_bits(span) ? (uint64_t *)own : span->bits; /* NOLINT: memory */
}

/* Of a collected span, the objects reached in this cycle: the other half of the cell, which is
 * aligned to its size. When the span is swept the halves change places. */
static inline uint64_t *span_mark_bits(const struct bh_span *span)
{
    uintptr_t half_bytes = (uintptr_t)1 << span->mark_shift;
    return (uint64_t *)((uintptr_t)span->bits ^ half_bytes); /* NOLINT: an address becomes memory */
}

/* The word of `bits` that goes with a word of the mark bits. */
static inline uint64_t *span_bits_beside(const struct bh_span *span, const uint64_t *marks)
{
    uintptr_t half_bytes = (uintptr_t)1 << span->mark_shift;
    return (uint64_t *)((uintptr_t)marks ^ half_bytes); /* NOLINT: an address becomes memory */
}

/* The cell: of a manual span that is `bits`, for half_bytes is 1. */
static inline void *span_cell(const struct bh_span *span)
{
    uintptr_t half_bytes = (uintptr_t)1 << span->mark_shift;
    return (void *)((uintptr_t)span->bits & ~half_bytes); /* NOLINT: an address becomes memory */
}

/*
 * A run's state is changed by whoever owns the run: the page heap (SPAN_FREE, and what becomes of
 * it), a central, a core. The page heap looks at its neighbours' too, under its own lock, but only
 * to tell SPAN_FREE from the rest, and only it writes that. So relaxed both ways: a look that
 * races with an owner sees one of two values that mean the same to it.
 */
static inline void span_set_state(struct bh_span *span, enum span_state state)
{
    atomic_store_relaxed(&span->state, (uint8_t)state);
}

static inline bool span_is_free_run(const struct bh_span *span)
{
    return atomic_load_relaxed(&span->state) == SPAN_FREE;
}

/* The class byte of the page map: one load tells free() all it wants to know. It is the index of a
 * bin in the core cache; of those that are no class, the bin is always full. */
enum page_class {
    PAGE_FREE =
        0, /* not ours, metadata, in a free run, or in a large manual object but not first */
    /* 1 .. SIZE_CLASS_COUNT - 1: a manual span of that class */
    PAGE_RELEASED = SIZE_CLASS_COUNT, /* in a free run, and with bh_port_pages_released() */
    PAGE_IDLE,                        /* in a free run, and was when the scavenger last came by */
    PAGE_IDLE_LAST = PAGE_IDLE + 1,
    PAGE_MANUAL_LARGE, /* the first page of a large object */
    PAGE_COLLECTED,    /* any collected span */
    PAGE_CLASS_COUNT
};

/* Class bytes from PAGE_RELEASED on that are marks on free pages. */
#define PAGE_MARKS (PAGE_MANUAL_LARGE - PAGE_RELEASED)

/* Whether the class byte is that of a manual span of small objects. */
static inline bool page_class_is_small(size_t class_byte)
{
    return class_byte - 1 < SIZE_CLASS_COUNT - 1;
}

/*
 * The page map: two parallel arrays over [first_page, first_page + pages), the hull of all
 * regions. Entries are written under the page heap's lock. A heap that grows past the hull gets a
 * new map; the old one stays readable for whoever still holds it, and right for every object
 * that was allocated when they took it.
 */
struct pagemap {
    uintptr_t first_page;     /* page number: address >> PAGE_SHIFT */
    uintptr_t pages;          /* entries in each array */
    uint8_t *class_of;        /* enum page_class */
    struct bh_span **span_of; /* head of the span, for every page whose class byte is not free */
#if BH_HARDEN
    uint8_t **states_of; /* as in its record, for every page of a manual small span; else NULL */
#endif
} __attribute__((aligned(ARCH_CACHE_LINE))); /* read by every free: no array begins in its line */

/* Hidden: in position-independent code, free() would load its address before it. */
extern struct pagemap *pagemap_current __attribute__((visibility("hidden")));

/* What the generator knows of a class. Its spans are long or short (span_new_small()). */
struct size_class {
    uint32_t object_bytes;
    uint32_t reciprocal;
    uint16_t objs;       /* of a long span */
    uint8_t pages;       /* of a long span */
    uint8_t batch;       /* objects moved between a core and the central tier at a time */
    uint16_t slots;      /* the most objects in one core's cache */
    uint8_t short_pages; /* of a short span */
    uint8_t short_spans; /* as long as a class has fewer spans, a new one is short */
};

/* The class of the smallest request: that of 8 or of 16 bytes. (A hardened heap has a state for
 * every 16 bytes.) */
#define SIZE_CLASS_LEAST (BH_MIN_ALIGN > 8 || BH_HARDEN ? 2 : 1)

extern const struct size_class size_classes[SIZE_CLASS_COUNT];
extern const uint8_t size_class_fine[SIZE_CLASS_FINE_MAX / 8 + 1];
extern const uint8_t size_class_mid[(SIZE_CLASS_MID_MAX - SIZE_CLASS_FINE_MAX) / 64];
extern const uint8_t size_class_coarse[(SIZE_CLASS_MAX - SIZE_CLASS_MID_MAX) / 256];

/* The class for a request of `bytes` <= SIZE_CLASS_MAX; 0 bytes counts as 1. */
static inline unsigned size_class_for(size_t bytes)
{
    if (bytes <= SIZE_CLASS_FINE_MAX)
        return size_class_fine[(bytes + 7) / 8];
    if (bytes <= SIZE_CLASS_MID_MAX)
        return size_class_mid[(bytes - 1) / 64 - SIZE_CLASS_FINE_MAX / 64];
    return size_class_coarse[(bytes - 1) / 256 - SIZE_CLASS_MID_MAX / 256];
}

#endif
