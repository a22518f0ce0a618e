/* SPDX-License-Identifier: MIT */
/* Large manual objects. See large.h. */
#include "alloc/large.h"
#include "alloc/guard.h"
#include "alloc/page_heap.h"

static size_t pages_for(size_t bytes)
{
    return bytes ? (bytes + PAGE_BYTES - 1) >> PAGE_SHIFT : 1;
}

/* page_heap_alloc_large(), with the port being asked in between. */
static struct bh_span *alloc_guarded(size_t pages, size_t align_pages)
{
    struct bh_span *span = guard_alloc(pages, align_pages);
    if (span)
        page_heap_publish(span);
    return span;
}

void *large_alloc(size_t bytes, size_t align)
{
    size_t align_pages = align > PAGE_BYTES ? align >> PAGE_SHIFT : 1;
    struct bh_span *span = BH_HARDEN ? alloc_guarded(pages_for(bytes), align_pages)
                                     : page_heap_alloc_large(pages_for(bytes), align_pages);
    return span ? (void *)span->base : NULL; /* NOLINT: an address becomes memory */
}

/* page_heap_free_large(), likewise. */
static bool free_guarded(uintptr_t object)
{
    struct bh_span *span = page_heap_take_large(object);
    if (span)
        guard_free(span);
    return span;
}

bool large_free(void *object)
{
    return BH_HARDEN ? free_guarded((uintptr_t)object) : page_heap_free_large((uintptr_t)object);
}

bool large_resize(struct bh_span *span, size_t bytes)
{
    size_t pages = pages_for(bytes);
    return BH_HARDEN ? guard_resize(span, pages) : page_heap_resize(span, pages);
}
