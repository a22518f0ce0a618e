/* SPDX-License-Identifier: MIT */
/*
 * The front door: bh_malloc, bh_free and their kin. The order of a first allocation:
 *
 * 1. bh_malloc() finds the size class in a table and pops the core's bin (cache.h).
 * 2. The bin is empty: cache_refill() asks the central tier for a batch (central.h).
 * 3. No object there: a new span of pages (span.h) from the page heap (page_heap.h).
 * 4. No pages: room_make() collects, drains, asks the port (room.h), and each time we try again.
 *
 * bh_free() loads the class byte of the address from the page map and pushes: it looks neither
 * at the object nor at its span. In debug builds every request has a red zone (redzone.h) and
 * every free is checked here. Not here: realloc and aligned requests (realloc.c).
 */
#include "alloc/malloc.h"
#include "alloc/cache.h"
#include "alloc/crime.h"
#include "alloc/large.h"
#include "alloc/page_heap.h"
#include "alloc/redzone.h"
#include "alloc/room.h"
#include "alloc/span.h"
#include "kernel-lib/memory.h"

/* ---- out ---- */

static __attribute__((noinline)) void *small_slow(unsigned size_class)
{
    for (unsigned attempt = 0;; attempt++) {
        void *object = cache_refill(size_class);
        if (object)
            return object;
        if (!room_make(size_classes[size_class].object_bytes, attempt))
            return room_failed();
    }
}

void *malloc_class(unsigned size_class)
{
    void *object = cache_pop(size_class);
    return BH_LIKELY(object) ? object : small_slow(size_class);
}

/* noinline: or bh_malloc() would save the registers this needs, for every small request. */
__attribute__((noinline)) void *malloc_large(size_t bytes, size_t align)
{
    for (unsigned attempt = 0;; attempt++) {
        void *object = large_alloc(bytes, align);
        if (object)
            return object;
        if (!room_make(bytes > align ? bytes : align, attempt))
            return room_failed();
    }
}

void *malloc_finish(void *object, size_t bytes)
{
    if (BH_DEBUG >= 1 && object) {
        const struct bh_span *span = pagemap_span((uintptr_t)object);
        if (span->size_class) /* a large object is fresh pages, which nobody has closed */
            redzone_check_free(object, span->object_bytes);
        redzone_open(object, bytes, span->object_bytes);
    }
    return object;
}

static inline void *malloc_any(size_t bytes)
{
    if (BH_LIKELY(bytes + REDZONE_BYTES <= SIZE_CLASS_MAX))
        return malloc_class(size_class_for(bytes + REDZONE_BYTES));
    return malloc_large(bytes + REDZONE_BYTES, 1);
}

void *bh_malloc(size_t bytes)
{
    if (BH_UNLIKELY(bytes > REQUEST_MAX))
        return room_failed();
    return malloc_finish(malloc_any(bytes), bytes);
}

/* A large object from pages known to be zero need not be cleared again. */
static bool is_zero_already(const void *object)
{
    if (BH_DEBUG >= 1 || pagemap_class((uintptr_t)object) != PAGE_MANUAL_LARGE)
        return false;
    return pagemap_span((uintptr_t)object)->flags & RUN_ZEROED;
}

void *bh_calloc(size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return room_failed();
    void *object = bh_malloc(total);
    if (object && !is_zero_already(object))
        memset(object, 0, total);
    return object;
}

/* ---- back ---- */

BH_COLD size_t malloc_check(const char *call, void *object, uintptr_t caller)
{
    uintptr_t address = (uintptr_t)object;
    unsigned class_byte = pagemap_class(address);
    if (page_class_is_free(class_byte))
        crime_panic(call, address, "not an allocated object", caller);
    if (class_byte == PAGE_COLLECTED)
        crime_panic(call, address, "a collected object: bh_gc_free() frees it", caller);
    struct bh_span *span = pagemap_span(address);
    if (!span_is_object(span, address))
        crime_panic(call, address, "inside an object", caller);
    return redzone_check(call, object, span->object_bytes, caller);
}

static void free_small(unsigned size_class, void *object)
{
    if (BH_DEBUG >= 1)
        redzone_close(object, size_classes[size_class].object_bytes);
    if (BH_UNLIKELY(!cache_push(size_class, object)))
        cache_flush(size_class, object);
}

/* Large, or a crime. */
static __attribute__((noinline)) void free_other(void *object, uintptr_t caller)
{
    if (large_free(object))
        return;
    malloc_check("bh_free", object, caller);
    crime_panic("bh_free", (uintptr_t)object, "freed twice", caller); /* by two cores at once */
}

static inline void free_any(void *object, uintptr_t caller)
{
    unsigned class_byte = pagemap_class((uintptr_t)object);
    if (BH_LIKELY(class_byte - 1u < SIZE_CLASS_COUNT - 1u))
        free_small(class_byte, object);
    else
        free_other(object, caller);
}

void bh_free(void *object)
{
    if (!object)
        return;
    if (BH_DEBUG >= 1)
        malloc_check("bh_free", object, CRIME_CALLER());
    free_any(object, CRIME_CALLER());
}

void bh_free_sized(void *object, size_t bytes)
{
    if (!object)
        return;
    if (BH_DEBUG >= 1) {
        size_t asked = malloc_check("bh_free_sized", object, CRIME_CALLER());
        if (asked != bytes)
            crime_panic("bh_free_sized", (uintptr_t)object, "not the size that was asked for",
                        CRIME_CALLER());
    }
    free_any(object, CRIME_CALLER());
}

size_t bh_usable_size(const void *object)
{
    if (!object)
        return 0;
    void *writable = (void *)(uintptr_t)object; /* only looked at */
    return malloc_check("bh_usable_size", writable, CRIME_CALLER());
}
