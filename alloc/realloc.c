/* SPDX-License-Identifier: MIT */
/*
 * Requests with a condition: a new size for an old object, an address of a certain alignment.
 *
 * bh_realloc() stays in place while the new size belongs to the same class, or is at most half
 * an object smaller; a large object shrinks in place always and grows into free pages behind it.
 * One that has to move because it grows by a small step gets an eighth more than was asked for, and
 * what shrinks by no more than that stays whole: an array that grows step by step among others is
 * copied a number of times that depends on how far it grows, not on how many steps it takes.
 * bh_aligned_alloc() uses the smallest class whose objects all lie at multiples of the alignment
 * (every power of two is a class and spans start on pages), above a page the page heap.
 */
#include "alloc/crime.h"
#include "alloc/large.h"
#include "alloc/malloc.h"
#include "alloc/page_heap.h"
#include "alloc/redzone.h"
#include "alloc/room.h"
#include "alloc/span.h"
#include "kernel-lib/memory.h"

/* ---- realloc ---- */

/* A small object keeps its place if a new one would be the same, or would save less than half. */
static bool small_fits(const struct bh_span *span, size_t room)
{
    if (room > span->object_bytes)
        return false;
    return 2 * size_classes[size_class_for(room)].object_bytes > span->object_bytes;
}

/* What a large object of `bytes` may have or keep over. */
static size_t large_slack(size_t bytes)
{
    return bytes / 8;
}

/* A large object that becomes small moves; else the page heap decides, unless it is a matter of
 * slack. */
static bool large_fits(struct bh_span *span, size_t room)
{
    size_t bytes = span_object_bytes(span);
    if (room <= SIZE_CLASS_MAX)
        return false;
    return room - (bytes - large_slack(bytes)) <= large_slack(bytes) || large_resize(span, room);
}

/* A large object that must move in order to grow: with slack if there is room for that just so. */
static void *grow_elsewhere(size_t bytes, size_t room)
{
    void *moved = large_alloc(room + large_slack(room), 1);
    return moved ? malloc_finish(moved, bytes) : bh_malloc(bytes);
}

BH_INLINE void *stay(void *object, size_t bytes)
{
    redzone_open(object, bytes, span_object_bytes(pagemap_span((uintptr_t)object)),
                 REDZONE_FRAME());
    return object;
}

static bool resize_in_place(void *object, size_t room)
{
    struct bh_span *span = pagemap_span((uintptr_t)object);
    return span->size_class ? small_fits(span, room) : large_fits(span, room);
}

/* A smaller object somewhere else was wanted to save memory; without memory the old one will do. */
static BH_COLD bool may_stay(void *object, size_t room)
{
    struct bh_span *span = pagemap_span((uintptr_t)object);
    return span->size_class ? room <= span->object_bytes
                            : room <= span_object_bytes(span) && large_resize(span, room);
}

/* What most resizes come to, before anything else is asked: a small object that is the right size
 * as it is. In plain builds, where nothing has to be done to it. */
static inline bool fits_as_it_is(const void *object, size_t bytes)
{
    uintptr_t address = (uintptr_t)object;
    if (!MALLOC_PLAIN || !page_class_is_small(pagemap_class(address)))
        return false; /* NULL too */
    const struct bh_span *span = pagemap_span(address);
    return bytes <= span->object_bytes && 2 * bytes > span->object_bytes &&
           span_is_object(span, address);
}

void *bh_realloc(void *object, size_t bytes)
{
    if (BH_LIKELY(fits_as_it_is(object, bytes)))
        return object;
    if (!object)
        return bh_malloc(bytes);
    size_t usable = malloc_check("bh_realloc", object, CRIME_CALLER());
    if (bytes > REQUEST_MAX)
        return room_failed();
    size_t room = bytes + REDZONE_BYTES;
    if (resize_in_place(object, room))
        return stay(object, bytes);
    bool is_step = usable > SIZE_CLASS_MAX && bytes - usable <= large_slack(usable);
    void *moved = is_step ? grow_elsewhere(bytes, room) : bh_malloc(bytes);
    if (!moved)
        return may_stay(object, room) ? stay(object, bytes) : NULL;
    memcpy(moved, object, usable < bytes ? usable : bytes);
    bh_free(object);
    return moved;
}

/* ---- aligned ---- */

/* The smallest class with room for `room` at multiples of `align` <= PAGE_BYTES; 0: none. */
static BH_COLD unsigned aligned_class(size_t align, size_t room)
{
    for (unsigned i = size_class_for(room); i < SIZE_CLASS_COUNT; i++)
        if (size_classes[i].object_bytes % align == 0)
            return i;
    return 0;
}

static void *aligned_any(size_t align, size_t room)
{
    if (align > PAGE_BYTES || room > SIZE_CLASS_MAX)
        return malloc_large(room, align);
    unsigned size_class = aligned_class(align, room);
    if (size_classes[size_class].object_bytes > bits_round_up(room, PAGE_BYTES))
        return malloc_large(room, align); /* whole pages waste less than the class */
    return malloc_class(size_class);
}

void *bh_aligned_alloc(size_t align, size_t bytes)
{
    if (!bits_is_power_of_two(align) || align > (size_t)PTRDIFF_MAX || bytes > REQUEST_MAX)
        return room_failed();
    return malloc_finish(aligned_any(align, bytes + REDZONE_BYTES), bytes);
}
