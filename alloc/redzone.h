/* SPDX-License-Identifier: MIT */
/*
 * Red zones: in debug builds, and in those for a sanitizer, every manual object carries, behind
 * what was asked for, a pattern up to its last word, and in that word its state.
 *
 *   | n bytes for the caller | pattern 0xbd ... | word |      word = n ^ address ^ tag
 *
 * 1. At least 16 bytes are added to every request; bh_usable_size() is then exactly n.
 * 2. The tag tells an object handed out from a free one: a second free is seen at the call.
 * 3. A free small object is filled with 0xdf; at BH_DEBUG >= 2 it is looked at again when handed
 *    out. A large one goes back to the page heap, where nobody keeps its contents.
 *
 *
 * What a sanitizer may see of an object changes here as well (poison.h). In other builds all of
 * this is empty. Not for collected objects.
 */
#ifndef ALLOC_REDZONE_H
#define ALLOC_REDZONE_H

#include "alloc/types.h"

#define REDZONE       (BH_DEBUG >= 1 || BH_SANITIZE)
#define REDZONE_BYTES (REDZONE ? (size_t)16 : 0)

#if REDZONE
/* A new span's objects become free ones. */
void redzone_prepare(struct bh_span *span);

/* At BH_DEBUG >= 2: panics when a free small object was written to. `room` as below. */
void redzone_check_free(void *object, size_t room);

/* `object`, with room for `room` bytes, is handed out for a request of `bytes`. */
void redzone_open(void *object, size_t bytes, size_t room);

/* Panics unless the object is handed out and its zone whole; returns the bytes asked for. */
size_t redzone_check(const char *call, void *object, size_t room, uintptr_t caller);

/* The small object is free from here on: filled and tagged. */
void redzone_close(void *object, size_t room);
#else
static inline void redzone_prepare(struct bh_span *span)
{
    (void)span;
}
static inline void redzone_check_free(void *object, size_t room)
{
    (void)object, (void)room;
}
static inline void redzone_open(void *object, size_t bytes, size_t room)
{
    (void)object, (void)bytes, (void)room;
}
static inline size_t redzone_check(const char *call, void *object, size_t room, uintptr_t caller)
{
    (void)call, (void)object, (void)caller;
    return room;
}
static inline void redzone_close(void *object, size_t room)
{
    (void)object, (void)room;
}
#endif

#endif
