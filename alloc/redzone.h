/* SPDX-License-Identifier: MIT */
/*
 * Red zones: in debug builds, and in those for a sanitizer, every manual object carries, behind
 * what was asked for, a pattern, at BH_DEBUG >= 2 who asked for it, and in its last word its state.
 *
 *   | n bytes for the caller | pattern 0xbd ... | calls | word |      word = n ^ address ^ tag
 *
 * 1. At least 16 bytes, and those for the calls, are added to every request; bh_usable_size() is
 *    then exactly n.
 * 2. The tag tells an object handed out from a free one: a second free is seen at the call.
 * 3. A free small object is filled with 0xdf; at BH_DEBUG >= 2 it is looked at again when handed
 *    out. A large one goes back to the page heap, where nobody keeps its contents.
 * 4. The calls are return addresses, innermost first: what frame pointers lead to in the page of
 *    the stack that the allocation was called in, all of which can be read whatever they are worth.
 *
 * What a sanitizer may see of an object changes here as well (poison.h). In other builds all of
 * this is empty. Not for collected objects.
 */
#ifndef ALLOC_REDZONE_H
#define ALLOC_REDZONE_H

#include "alloc/types.h"

#define REDZONE       (BH_DEBUG >= 1 || BH_SANITIZE)
#define REDZONE_CALLS (BH_DEBUG >= 2 ? 4 : 0)
#define REDZONE_BYTES (REDZONE ? 16 + REDZONE_CALLS * sizeof(uintptr_t) : 0)

/* Where the walk over frame pointers begins, in a function that is called by the allocator's user,
 * or all but: the frame of the function this is in. */
#define REDZONE_FRAME() (REDZONE_CALLS != 0 ? (uintptr_t)__builtin_frame_address(0) : 0)

#if REDZONE
/* A new span's objects become free ones. */
void redzone_prepare(struct bh_span *span);

/* At BH_DEBUG >= 2: panics when a free small object was written to. `room` as below. */
void redzone_check_free(void *object, size_t room);

/* `object`, with room for `room` bytes, is handed out for a request of `bytes` that was made by the
 * caller of the function with `frame`. */
void redzone_open(void *object, size_t bytes, size_t room, uintptr_t frame);

/* Panics unless the object is handed out and its zone whole; returns the bytes asked for. */
size_t redzone_check(const char *call, void *object, size_t room, uintptr_t caller);

/* The small object is free from here on: filled and tagged. */
void redzone_close(void *object, size_t room);

/* Whether it is so. */
bool redzone_is_free(const void *object, size_t room);

/* Of an object that is handed out: returns the bytes asked for (`room` if its zone is not whole),
 * and stores REDZONE_CALLS return addresses, zeros behind the last one. */
size_t redzone_origin(const void *object, size_t room, uintptr_t *calls);
#else
static inline void redzone_prepare(struct bh_span *span)
{
    (void)span;
}
static inline void redzone_check_free(void *object, size_t room)
{
    (void)object, (void)room;
}
static inline void redzone_open(void *object, size_t bytes, size_t room, uintptr_t frame)
{
    (void)object, (void)bytes, (void)room, (void)frame;
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
static inline bool redzone_is_free(const void *object, size_t room)
{
    (void)object, (void)room;
    return false;
}
static inline size_t redzone_origin(const void *object, size_t room, uintptr_t *calls)
{
    (void)object, (void)calls;
    return room;
}
#endif

#endif
