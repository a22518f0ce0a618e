/* SPDX-License-Identifier: MIT */
/*
 * Layouts: which words of typed objects may be pointers.
 *
 * 1. A layout is {words of an element, their bitmap, whether elements repeat}. Types that agree in
 *    that share one; its number, added to KIND_TYPED, is the kind of its spans, so an object needs
 *    no header. Of their types it knows the first, for who looks at the heap.
 * 2. A layout has a central per size class, made with its first object, and every such central a
 *    cursor in the rows of the cores.
 * 3. A type remembers where its cursor is (bh_gc_type.layout: the row in the upper half, the word
 *    in the lower): that is all the fast path asks of it. 0: ask here.
 * 4. Types without pointers are noscan objects. When there is no number or cursor left for a type,
 *    its objects are scanned conservatively; when there is no memory for it, so is this one.
 *
 * Layouts and their centrals are cells of metadata and are never given back. Their number and links
 * change under layout_lock (LOCK_CENTRAL, nothing taken inside); they are read without it, for an
 * entry that was set is never changed.
 */
#ifndef ALLOC_LAYOUT_H
#define ALLOC_LAYOUT_H

#include "alloc/collected.h"
#include "alloc/walk.h"
#include <bareheap/gc.h>

struct layout {
    struct walk_layout walk; /* first: walk_layouts[] points here */
    struct layout *array;    /* the same pattern repeated; NULL until the first array */
    struct collected_central *centrals[SIZE_CLASS_COUNT]; /* NULL until the first object */
    uint8_t kind;
    uint64_t pointers[]; /* the bitmap */
};
BH_STATIC_ASSERT(offsetof(struct layout, walk) == 0, "a walk_layout is the beginning of a layout");

#endif
