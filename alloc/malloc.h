/* SPDX-License-Identifier: MIT */
/* What the front door's files share: requests by class and by page, and the check of a pointer. */
#ifndef ALLOC_MALLOC_H
#define ALLOC_MALLOC_H

#include "alloc/redzone.h"
#include <bareheap/alloc.h>

/* The most that may be asked for. */
#define REQUEST_MAX ((size_t)PTRDIFF_MAX - REDZONE_BYTES)

/* An object of a class; room is made where there is none; NULL counts as a failure. */
void *malloc_class(unsigned size_class);

/* A large object, likewise. `bytes` includes any red zone. */
void *malloc_large(size_t bytes, size_t align);

/* Nothing is done to an object between the caller and the cache. */
#define MALLOC_PLAIN (BH_DEBUG == 0 && !BH_HARDEN && !BH_SANITIZE)

/* A new object for a request of `bytes` is made ready for its owner: red zone, hardening,
 * sanitizer. NULL passes. `frame` as in redzone_open(). */
void *malloc_finish_slow(void *object, size_t bytes, uintptr_t frame);

BH_INLINE void *malloc_finish(void *object, size_t bytes)
{
    if (MALLOC_PLAIN)
        return object;
    void *ready = malloc_finish_slow(object, bytes, REDZONE_FRAME());
    if (REDZONE_CALLS != 0)
        compiler_barrier(); /* a call and no jump: the frame is to be there meanwhile */
    return ready;
}

/*
 * Panics in the name of `call` unless `object` is the first byte of a manual object, in debug
 * builds one that is handed out and whole. Returns the bytes the caller may use.
 */
size_t malloc_check(const char *call, void *object, uintptr_t caller);

#endif
