/* SPDX-License-Identifier: MIT */
/*
 * Large manual objects: more than SIZE_CLASS_MAX bytes, or aligned to more than a page. A span
 * each, straight from the page heap, in no list and no cache. Any context.
 */
#ifndef ALLOC_LARGE_H
#define ALLOC_LARGE_H

#include "alloc/types.h"

/* `align` a power of two. NULL when memory is out (makes no room, counts nothing). */
void *large_alloc(size_t bytes, size_t align);

/* False when `object` is not the first byte of a large manual object. */
bool large_free(void *object);

/* Makes the object `bytes` long where it is; false when it cannot grow there. */
bool large_resize(struct bh_span *span, size_t bytes);

#endif
