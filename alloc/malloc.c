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
#include "alloc/harden.h"
#include "alloc/large.h"
#include "alloc/page_heap.h"
#include "alloc/redzone.h"
#include "alloc/room.h"
#include "alloc/span.h"
#include "kernel-lib/memory.h"

/* ---- out ---- */

static __attribute__((noinline)) void *small_slow(unsigned size_class)
{
    room_watch(0);
    for (unsigned attempt = 0;; attempt++) {
        void *object = cache_refill(size_class);
        if (object) {
            harden_out(object, size_class);
            return object;
        }
        if (!room_make(size_classes[size_class].object_bytes, attempt))
            return room_failed();
    }
}

CACHE_FAST void *malloc_class(unsigned size_class)
{
    void *object = cache_pop(size_class);
    if (BH_UNLIKELY(!object))
        return small_slow(size_class);
    harden_out(object, size_class);
    return object;
}

/* noinline: or bh_malloc() would save the registers this needs, for every small request. */
__attribute__((noinline)) void *malloc_large(size_t bytes, size_t align)
{
    room_watch(bytes);
    for (unsigned attempt = 0;; attempt++) {
        void *object = large_alloc(bytes, align);
        if (object)
            return object;
        if (!room_make(bytes > align ? bytes : align, attempt))
            return room_failed();
    }
}

void *malloc_finish_slow(void *object, size_t bytes, uintptr_t frame)
{
    if (REDZONE && object) {
        const struct bh_span *span = pagemap_span((uintptr_t)object);
        if (span->size_class) /* a large object is fresh pages, which nobody has closed */
            redzone_check_free(object, span->object_bytes);
        redzone_open(object, bytes, span_object_bytes(span), frame);
    }
    return object;
}

/* The bin was empty. */
static __attribute__((noinline)) void *malloc_miss(unsigned size_class, size_t bytes)
{
    return malloc_finish(small_slow(size_class), bytes);
}

/* More than the fine table knows. */
static __attribute__((noinline)) void *malloc_other(size_t bytes)
{
    size_t room = bytes + REDZONE_BYTES;
    if (BH_UNLIKELY(bytes > REQUEST_MAX))
        return room_failed();
    if (room <= SIZE_CLASS_MAX)
        return malloc_finish(malloc_class(size_class_for(room)), bytes);
    return malloc_finish(malloc_large(room, 1), bytes);
}

CACHE_FAST void *bh_malloc(size_t bytes)
{
    if (BH_UNLIKELY(bytes > SIZE_CLASS_FINE_MAX - REDZONE_BYTES))
        return malloc_other(bytes);
    unsigned size_class = size_class_fine[(bytes + REDZONE_BYTES + 7) / 8];
    void *object = cache_pop(size_class);
    if (BH_UNLIKELY(!object))
        return malloc_miss(size_class, bytes);
    harden_out(object, size_class);
    return malloc_finish(object, bytes);
}

/* A large object from pages known to be zero need not be cleared again. */
static bool is_zero_already(const void *object)
{
    if (REDZONE || pagemap_class((uintptr_t)object) != PAGE_MANUAL_LARGE)
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
        crime_panic(call, address,
                    crime_span(address) ? "inside an object" : "not an allocated object", caller);
    if (class_byte == PAGE_COLLECTED)
        crime_panic(call, address, "a collected object: bh_gc_free() frees it", caller);
    struct bh_span *span = pagemap_span(address);
    if (!span_is_object(span, address))
        crime_panic(call, address, "inside an object", caller);
    harden_check_out(span, object, call, caller);
    return redzone_check(call, object, span_object_bytes(span), caller);
}

/* Large, or a crime. */
static void free_other(void *object, uintptr_t caller)
{
    if (!object || large_free(object))
        return;
    malloc_check("bh_free", object, caller);
    crime_panic("bh_free", (uintptr_t)object, "freed twice", caller); /* by two cores at once */
}

/* The bin was full, or there is none. */
static __attribute__((noinline)) void free_miss(void *object, size_t class_byte, uintptr_t caller)
{
    if (page_class_is_small(class_byte))
        cache_flush((unsigned)class_byte, object);
    else
        free_other(object, caller);
    page_heap_hand_over();
}

/* What a build that is not plain does before an object goes back. Returns what was asked for. */
static size_t free_prepare(const char *call, void *object, uintptr_t caller)
{
    size_t bytes = malloc_check(call, object, caller);
    const struct bh_span *span = pagemap_span((uintptr_t)object);
    if (REDZONE && span->size_class)
        redzone_close(object, span->object_bytes);
    return bytes;
}

CACHE_FAST void bh_free(void *object)
{
    if (REDZONE && object)
        free_prepare("bh_free", object, CRIME_CALLER());
    size_t class_byte = harden_back(object, "bh_free", CRIME_CALLER());
    if (BH_UNLIKELY(!cache_push(class_byte, object)))
        free_miss(object, class_byte, CRIME_CALLER());
}

static void free_sized_checked(void *object, size_t bytes, uintptr_t caller)
{
    size_t asked = malloc_check("bh_free_sized", object, caller);
    if (REDZONE && asked != bytes)
        crime_panic("bh_free_sized", (uintptr_t)object, "not the size that was asked for", caller);
    if (bytes > asked)
        crime_panic("bh_free_sized", (uintptr_t)object, "more than the object's room", caller);
}

void bh_free_sized(void *object, size_t bytes)
{
    if (!MALLOC_PLAIN && object)
        free_sized_checked(object, bytes, CRIME_CALLER());
    bh_free(object);
}

size_t bh_usable_size(const void *object)
{
    if (!object)
        return 0;
    void *writable = (void *)(uintptr_t)object; /* only looked at */
    return malloc_check("bh_usable_size", writable, CRIME_CALLER());
}
