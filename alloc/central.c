/* SPDX-License-Identifier: MIT */
/* The central tier for manual objects. See central.h. */
#include "alloc/central.h"
#include "alloc/budget.h"
#include "alloc/crime.h"
#include "alloc/meta.h"
#include "alloc/page_heap.h"
#include "alloc/span.h"
#include "kernel-lib/memory.h"

#define TRANSFER_BATCHES 8

/* A ring's head points at itself, so each is named in its own initialiser. */
#define SIZE_CLASS_ROW(class, bytes, pages, objs, magic, batch, slots) \
    [class] = {.lock = SPINLOCK_INIT(LOCK_CENTRAL, "central"),         \
               .partial = {&centrals[class].partial, &centrals[class].partial}},
struct central centrals[SIZE_CLASS_COUNT] = {SIZE_CLASS_TABLE};
#undef SIZE_CLASS_ROW

size_t central_transfer_bytes;

/* ---- the transfer cache, under the lock ---- */

static size_t transfer_take(struct central *central, unsigned size_class, void **objects,
                            size_t want)
{
    size_t n = central->transfer_count < want ? central->transfer_count : want;
    if (n == 0)
        return 0; /* and there may be no array */
    central->transfer_count -= (uint32_t)n;
    memcpy(objects, central->transfer + central->transfer_count, n * sizeof(void *));
    /* Relaxed: a figure for the budget. */
    atomic_sub_relaxed(&central_transfer_bytes, n * size_classes[size_class].object_bytes);
    return n;
}

/* False: no room, or the budget is spent. */
static bool transfer_give(struct central *central, unsigned size_class, void **objects, size_t n)
{
    size_t bytes = n * size_classes[size_class].object_bytes;
    if (central->transfer_count + n > central->transfer_room ||
        atomic_load_relaxed(&central_transfer_bytes) + bytes > budget_transfer_bytes())
        return false;
    memcpy(central->transfer + central->transfer_count, objects, n * sizeof(void *));
    central->transfer_count += (uint32_t)n;
    atomic_add_relaxed(&central_transfer_bytes, bytes);
    return true;
}

/* Gives a class its array, at the first batch that comes back: with no lock held. */
static BH_COLD void transfer_make(struct central *central, unsigned size_class)
{
    size_t room = (size_t)size_classes[size_class].batch * TRANSFER_BATCHES;
    size_t bytes = room * sizeof(void *);
    if (budget_transfer_bytes() < bytes)
        return; /* a heap too small to spend memory on this */
    void **array = meta_alloc_spare(bytes);
    uintptr_t irq = spinlock_acquire(&central->lock);
    bool first = array && !central->transfer;
    if (first) {
        /* Relaxed: central_give() looks without the lock whether there is one, not into it. */
        atomic_store_relaxed(&central->transfer, array);
        central->transfer_room = (uint32_t)room;
    }
    spinlock_release(&central->lock, irq);
    if (!first)
        meta_free(array, bytes);
}

/* ---- spans, under the lock ---- */

static size_t take_from_spans(struct central *central, void **objects, size_t want)
{
    size_t n = 0;
    while (n < want && !list_is_empty(&central->partial)) {
        struct bh_span *span = container_of(central->partial.next, struct bh_span, link);
        n += span_take(span, objects + n, want - n);
        if (span->free_objs == 0) {
            list_remove(&span->link);
            span_set_state(span, SPAN_IN_USE);
        }
    }
    central->out_objs += n;
    return n;
}

static void list_span(struct central *central, struct bh_span *span)
{
    span_set_state(span, SPAN_LISTED);
    list_push(&central->partial, &span->link);
}

/* Puts an object into its span. A span that is whole now leaves the list for `whole`. */
static enum span_crime give_to_span(struct central *central, unsigned size_class, uintptr_t object,
                                    struct list *whole)
{
    if (pagemap_class(object) != size_class)
        return SPAN_TWICE; /* the first free was the span's last: the span is gone */
    struct bh_span *span = pagemap_span(object);
    enum span_crime crime = span_put(span, object);
    if (crime != SPAN_OK)
        return crime;
    central->out_objs--;
    if (span->free_objs == 1 && span->state == SPAN_IN_USE)
        list_span(central, span);
    if (span->free_objs == span->objs) {
        list_remove(&span->link);
        span_set_state(span, SPAN_IN_USE);
        central->spans--;
        list_push(whole, &span->link);
    }
    return SPAN_OK;
}

/* ---- interface ---- */

static BH_COLD struct bh_span *new_span(unsigned size_class)
{
    struct bh_span *span = span_new_small(size_class, KIND_MANUAL);
    if (span)
        page_heap_publish(span);
    return span;
}

size_t central_take(unsigned size_class, void **objects, size_t want)
{
    struct central *central = &centrals[size_class];
    uintptr_t irq = spinlock_acquire(&central->lock);
    size_t n = transfer_take(central, size_class, objects, want);
    if (n == 0)
        n = take_from_spans(central, objects, want);
    spinlock_release(&central->lock, irq);
    if (n > 0)
        return n;

    struct bh_span *span = new_span(size_class);
    if (!span)
        return 0;
    irq = spinlock_acquire(&central->lock);
    central->spans++;
    list_span(central, span);
    n = take_from_spans(central, objects, want);
    spinlock_release(&central->lock, irq);
    return n;
}

static void free_whole_spans(struct list *whole)
{
    while (!list_is_empty(whole)) {
        struct bh_span *span = container_of(whole->next, struct bh_span, link);
        list_remove(&span->link);
        span_free(span);
    }
}

static const char *const crime_texts[] = {
    [SPAN_OK] = "", [SPAN_INTERIOR] = "inside an object", [SPAN_TWICE] = "freed twice"};

/* Puts objects into their spans, whatever the budget. The crime is told with the lock released. */
static void give_all_to_spans(unsigned size_class, void **objects, size_t count)
{
    struct central *central = &centrals[size_class];
    struct list whole;
    enum span_crime crime = SPAN_OK;
    size_t i = 0;
    list_init(&whole);
    uintptr_t irq = spinlock_acquire(&central->lock);
    while (i < count && crime == SPAN_OK)
        crime = give_to_span(central, size_class, (uintptr_t)objects[i++], &whole);
    spinlock_release(&central->lock, irq);
    if (crime != SPAN_OK)
        crime_panic("bh_free", (uintptr_t)objects[i - 1], crime_texts[crime], 0);
    free_whole_spans(&whole);
}

void central_give(unsigned size_class, void **objects, size_t count)
{
    struct central *central = &centrals[size_class];
    if (!atomic_load_relaxed(&central->transfer)) /* as in transfer_make() */
        transfer_make(central, size_class);
    uintptr_t irq = spinlock_acquire(&central->lock);
    bool stocked = transfer_give(central, size_class, objects, count);
    spinlock_release(&central->lock, irq);
    if (!stocked)
        give_all_to_spans(size_class, objects, count);
}

BH_COLD bool central_drain(unsigned size_class)
{
    struct central *central = &centrals[size_class];
    void *objects[SIZE_CLASS_MAX_BATCH];
    bool any = false;
    for (;;) {
        uintptr_t irq = spinlock_acquire(&central->lock);
        size_t n = transfer_take(central, size_class, objects, SIZE_CLASS_MAX_BATCH);
        spinlock_release(&central->lock, irq);
        if (n == 0)
            return any;
        give_all_to_spans(size_class, objects, n);
        any = true;
    }
}

BH_COLD void central_count(unsigned size_class, size_t *out_objs, size_t *transfer_objs)
{
    struct central *central = &centrals[size_class];
    uintptr_t irq = spinlock_acquire(&central->lock);
    *out_objs = central->out_objs;
    *transfer_objs = central->transfer_count;
    spinlock_release(&central->lock, irq);
}
