/* SPDX-License-Identifier: MIT */
/*
 * Walks over manual objects, for the collector's leak report and the verifier. See walk.h.
 *
 * An object is handed out if its span's bit for it is clear and it is in no cache. Bins can be read
 * whenever their core stands still: a fast path changes them in one store (cache.h).
 */
#include "alloc/cache.h"
#include "alloc/central.h"
#include "alloc/harden.h"
#include "alloc/malloc.h"
#include "alloc/page_heap.h"
#include "alloc/redzone.h"
#include "alloc/span.h"
#include "alloc/walk.h"

/* A large object is in use as long as its span is there. */
static BH_COLD bool is_in_span(const struct bh_span *span, uint32_t idx)
{
    return span->size_class != 0 && bitmap_test(span_bits(span), idx);
}

BH_COLD bool walk_find_manual(uintptr_t word, struct walk_object *found)
{
    unsigned class_byte = pagemap_class(word);
    if (!page_class_is_small(class_byte) && class_byte != PAGE_MANUAL_LARGE)
        return false;
    struct bh_span *span = pagemap_span(word);
    uint32_t idx = span_idx(span, word);
    if (idx >= span->objs || is_in_span(span, idx))
        return false;
    *found = (struct walk_object){.span = span, .base = span_object(span, idx), .idx = idx};
    return true;
}

BH_COLD bool walk_is_manual(uintptr_t address)
{
    struct walk_object found;
    const void *object = (const void *)address; /* NOLINT: an address becomes memory */
    return walk_find_manual(address, &found) && found.base == address &&
           !redzone_is_free(object, span_object_bytes(found.span)) &&
           harden_is_out(found.span, object);
}

void walk_check_manual(const char *call, void *object, uintptr_t caller)
{
    malloc_check(call, object, caller);
}

struct manual_visitor {
    void (*visit)(const struct walk_object *object, void *arg);
    void *arg;
};

static BH_COLD void visit_span(struct bh_span *span, void *arg)
{
    const struct manual_visitor *visitor = arg;
    for (uint32_t idx = 0; span->kind == KIND_MANUAL && idx < span->objs; idx++) {
        struct walk_object object = {.span = span, .base = span_object(span, idx), .idx = idx};
        if (!is_in_span(span, idx))
            visitor->visit(&object, visitor->arg);
    }
}

BH_COLD void walk_each_manual(void (*visit)(const struct walk_object *object, void *arg), void *arg)
{
    struct manual_visitor visitor = {visit, arg};
    walk_each_span(visit_span, &visitor);
}

static BH_COLD void each_in_bin(const struct core_cache *cache, unsigned size_class,
                                void (*visit)(void *object, unsigned size_class, void *arg),
                                void *arg)
{
    void **top = cache->bins.top[size_class];
    for (size_t i = 0; i < cache_bin_count(cache, size_class); i++)
        visit(top[-(ptrdiff_t)i], size_class, arg);
}

BH_COLD void walk_each_cached(unsigned size_class,
                              void (*visit)(void *object, unsigned size_class, void *arg),
                              void *arg)
{
    for (unsigned core = 0; core < bh_port_core_count(); core++)
        if (core_caches[core])
            each_in_bin(core_caches[core], size_class, visit, arg);
    const struct central *central = &centrals[size_class];
    for (size_t i = 0; i < central->transfer_count; i++)
        visit(central->transfer[i], size_class, arg);
}

BH_COLD size_t walk_manual_origin(const struct walk_object *object, uintptr_t *calls)
{
    const void *memory = (const void *)object->base; /* NOLINT: an address becomes memory */
    return redzone_origin(memory, span_object_bytes(object->span), calls);
}
