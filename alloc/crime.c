/* SPDX-License-Identifier: MIT */
/* Words for addresses and for crimes. */
#include "alloc/crime.h"
#include "alloc/page_heap.h"
#include "alloc/span.h"
#include "alloc/walk.h"
#include "kernel-lib/print.h"

static BH_COLD const char *kind_name(const struct bh_span *span)
{
    static const char *const names[] = {
        [KIND_MANUAL] = "manual", [KIND_NOSCAN] = "noscan", [KIND_SCAN] = "scan"};
    return span->kind < KIND_TYPED ? names[span->kind] : "typed";
}

static BH_COLD size_t describe_large(const struct bh_span *span, uintptr_t address, char *buffer,
                                     size_t bytes)
{
    return print_format(buffer, bytes, "byte %zu of the large object 0x%zx (%zu bytes, %s)",
                        (size_t)(address - span->base), (size_t)span->base, span_object_bytes(span),
                        kind_name(span));
}

static BH_COLD size_t describe_small(const struct bh_span *span, uintptr_t address, char *buffer,
                                     size_t bytes)
{
    uint32_t idx = span_idx(span, address);
    if (idx >= span->objs)
        return print_format(buffer, bytes, "behind the last object of the %s span 0x%zx, class %u",
                            kind_name(span), (size_t)span->base, span->size_class);
    uintptr_t base = span_object(span, idx);
    return print_format(buffer, bytes,
                        "byte %zu of object %u (0x%zx, %u bytes) of the %s span 0x%zx, class %u",
                        (size_t)(address - base), idx, (size_t)base, span->object_bytes,
                        kind_name(span), (size_t)span->base, span->size_class);
}

/* By the records and not by the page map, where a large manual object has its first page only. */
BH_COLD const struct bh_span *crime_span(uintptr_t address)
{
    const struct bh_span *run = page_heap_run_at(address);
    return run && span_is_span(run) ? run : NULL;
}

/* A large object that was freed and is kept for the sake of its guards. */
static BH_COLD bool is_stocked(const struct bh_span *run)
{
    return run->state == SPAN_PRIVATE && run->flags & RUN_GUARDED;
}

static BH_COLD const char *describe_outside(uintptr_t address)
{
    if (!page_heap_region_of(address))
        return "outside the heap";
    const struct bh_span *run = page_heap_run_at(address);
    if (run && run->flags & RUN_GUARD)
        return "in a guard page of the heap";
    bool free_pages = run && (span_is_free_run(run) || is_stocked(run));
    return free_pages ? "in free pages of the heap" : "in the heap's metadata";
}

BH_COLD size_t walk_describe(uintptr_t address, char *buffer, size_t bytes)
{
    const struct bh_span *span = crime_span(address);
    if (!span)
        return print_format(buffer, bytes, "%s", describe_outside(address));
    return span->size_class ? describe_small(span, address, buffer, bytes)
                            : describe_large(span, address, buffer, bytes);
}

void crime_panic(const char *call, uintptr_t address, const char *what, uintptr_t caller)
{
    char where[128];
    walk_describe(address, where, sizeof(where));
    size_t offset = 0;
    const char *name = caller ? bh_symbol_name(caller, &offset) : NULL;
    if (!caller)
        bh_panic("%s(0x%zx): %s: %s; found when the cache was flushed", call, (size_t)address, what,
                 where);
    if (name)
        bh_panic("%s(0x%zx): %s: %s; caller 0x%zx (%s+0x%zx)", call, (size_t)address, what, where,
                 (size_t)caller, name, offset);
    bh_panic("%s(0x%zx): %s: %s; caller 0x%zx", call, (size_t)address, what, where, (size_t)caller);
}
