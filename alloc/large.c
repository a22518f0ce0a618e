/* SPDX-License-Identifier: MIT */
/* Large manual objects. See large.h. */
#include "alloc/large.h"
#include "alloc/page_heap.h"
#include "alloc/span.h"

static size_t count_objs;
static size_t count_bytes;

/* Relaxed, both: statistics. */
static void count(size_t objs, size_t bytes)
{
    atomic_add_relaxed(&count_objs, objs);
    atomic_add_relaxed(&count_bytes, bytes);
}

static size_t pages_for(size_t bytes)
{
    return bytes ? (bytes + PAGE_BYTES - 1) >> PAGE_SHIFT : 1;
}

void *large_alloc(size_t bytes, size_t align)
{
    size_t align_pages = align > PAGE_BYTES ? align >> PAGE_SHIFT : 1;
    struct bh_span *span = span_new_large(pages_for(bytes), align_pages, KIND_MANUAL);
    if (!span)
        return NULL;
    page_heap_publish(span);
    count(1, span->object_bytes);
    return (void *)span->base; /* NOLINT: an address becomes memory */
}

bool large_free(void *object)
{
    size_t pages = page_heap_free_large((uintptr_t)object);
    if (pages == 0)
        return false;
    count((size_t)-1, -(pages << PAGE_SHIFT));
    return true;
}

bool large_resize(struct bh_span *span, size_t bytes)
{
    size_t before = span->object_bytes;
    if (!page_heap_resize(span, pages_for(bytes)))
        return false;
    count(0, span->object_bytes - before);
    return true;
}

void large_count(size_t *objects, size_t *bytes)
{
    *objects = atomic_load_relaxed(&count_objs); /* statistics */
    *bytes = atomic_load_relaxed(&count_bytes);
}
