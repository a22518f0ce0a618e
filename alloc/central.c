/* SPDX-License-Identifier: MIT */
/* The central tier for manual objects. See central.h. */
#include "alloc/central.h"
#include "alloc/budget.h"
#include "alloc/crime.h"
#include "alloc/harden.h"
#include "alloc/meta.h"
#include "alloc/page_heap.h"
#include "alloc/span.h"
#include "kernel-lib/memory.h"

/* The most that a transfer cache holds. */
#define TRANSFER_SLOTS 1022
#define TRANSFER_BYTES ((size_t)64 << 10)

/* A transfer cache that is full asks for more room at every so many batches only. */
#define GROW_EVERY 8

/* Classes that one that wants more room looks at for some of theirs. */
#define SHRINK_LOOKS 8

/* A ring's head points at itself, so each is named in its own initialiser. */
#define SIZE_CLASS_ROW(class, ...)                             \
    [class] = {.lock = SPINLOCK_INIT(LOCK_CENTRAL, "central"), \
               .partial = {&centrals[class].partial, &centrals[class].partial}},
struct central centrals[SIZE_CLASS_COUNT] = {SIZE_CLASS_TABLE};
#undef SIZE_CLASS_ROW

/* Sum over the classes of transfer_limit * object_bytes. */
static size_t transfer_reserved_bytes;

/* ---- spans, under the lock ---- */

static size_t take_from_spans(struct central *central, void **objects, size_t want)
{
    size_t n = 0;
    while (n < want && !list_is_empty(&central->partial)) {
        struct bh_span *span = container_of(central->partial.next, struct bh_span, link);
        harden_check_record(span);
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

/* A batch on its way into its spans. */
struct homecoming {
    void **next; /* objects before it are home */
    void **end;
    enum span_crime crime;
    struct list whole; /* spans to be freed when the lock is released */
};

/* The span has got its first free object, or its last: into the list, or out of it. */
static void span_moves(struct central *central, struct bh_span *span, struct list *whole)
{
    if (span->state == SPAN_IN_USE)
        list_span(central, span);
    if (span->free_objs == span->objs) {
        list_remove(&span->link);
        span_set_state(span, SPAN_IN_USE);
        central->spans--;
        list_push(whole, &span->link);
    }
}

/* The span of an object that comes home. NULL: it is home already, for all of its span is: that is
 * gone from the page map, or will be in a moment. */
static inline struct bh_span *span_to_put(const struct pagemap *map, unsigned size_class,
                                          uintptr_t object)
{
    uintptr_t page = (object >> PAGE_SHIFT) - map->first_page;
    if (page >= map->pages || atomic_load_acquire(&map->class_of[page]) != size_class)
        return NULL; /* acquire: as in pagemap_class() */
    struct bh_span *span = map->span_of[page];
    harden_check_record(span);
    return span->free_objs < span->objs ? span : NULL;
}

/* The front of the batch into the span that it belongs to: one object at least, or a crime. */
static inline void put_some(struct central *central, struct bh_span *span, struct homecoming *batch)
{
    bool was_empty = span->free_objs == 0;
    batch->next = span_put(span, batch->next, batch->end, &batch->crime);
    if (was_empty || span->free_objs == span->objs)
        span_moves(central, span, &batch->whole);
}

/* Stops at the first object that is none, or home already. One map for all: each was allocated
 * before its free, and a map is right for all that was allocated before it was loaded. */
static void put_all(struct central *central, unsigned size_class, struct homecoming *batch)
{
    const struct pagemap *map = atomic_load_dependent(&pagemap_current);
    void **first = batch->next;
    while (batch->next < batch->end && batch->crime == SPAN_OK) {
        struct bh_span *span = span_to_put(map, size_class, (uintptr_t)*batch->next);
        if (BH_LIKELY(span))
            put_some(central, span, batch);
        else
            batch->crime = SPAN_TWICE;
    }
    central->out_objs -= (size_t)(batch->next - first);
}

/* ---- spans, without the lock ---- */

static BH_COLD struct bh_span *new_span(unsigned size_class, size_t spans)
{
    struct bh_span *span = span_new_small(size_class, KIND_MANUAL, spans);
    if (span)
        page_heap_publish(span);
    return span;
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

/* The crime is told with the lock released. */
void central_give_home(unsigned size_class, void **objects, size_t count)
{
    struct central *central = &centrals[size_class];
    struct homecoming batch = {.next = objects, .end = objects + count, .crime = SPAN_OK};
    list_init(&batch.whole);
    uintptr_t irq = spinlock_acquire(&central->lock);
    put_all(central, size_class, &batch);
    spinlock_release(&central->lock, irq);
    if (batch.crime != SPAN_OK)
        crime_panic("bh_free", (uintptr_t)*batch.next, crime_texts[batch.crime], 0);
    free_whole_spans(&batch.whole);
}

/* ---- the transfer cache, under the lock ---- */

/* Relaxed, and so transfer_limit: is_full() looks at them without the lock. */
static void set_count(struct central *central, size_t count)
{
    atomic_store_relaxed(&central->transfer_count, (uint16_t)count);
}

static void set_limit(struct central *central, size_t limit)
{
    atomic_store_relaxed(&central->transfer_limit, (uint16_t)limit);
}

static size_t transfer_take(struct central *central, void **objects, size_t want)
{
    size_t n = central->transfer_count < want ? central->transfer_count : want;
    if (n == 0)
        return 0; /* and there may be no array */
    set_count(central, central->transfer_count - n);
    memcpy(objects, central->transfer + central->transfer_count, n * sizeof(void *));
    return n;
}

static bool transfer_give(struct central *central, void **objects, size_t n)
{
    if (central->transfer_count + n > central->transfer_limit)
        return false;
    memcpy(central->transfer + central->transfer_count, objects, n * sizeof(void *));
    set_count(central, central->transfer_count + n);
    return true;
}

/* ---- how much a transfer cache may hold ---- */

/* The slots of a class's array: two batches at least. */
static size_t transfer_room(unsigned size_class)
{
    const struct size_class *info = &size_classes[size_class];
    size_t least = 2u * info->batch;
    size_t room = TRANSFER_BYTES / info->object_bytes;
    if (room > TRANSFER_SLOTS)
        return TRANSFER_SLOTS;
    return room > least ? room : least;
}

static size_t bytes_of(unsigned size_class, size_t objs)
{
    return objs * size_classes[size_class].object_bytes;
}

/* Relaxed, here and below: a sum for the budget, nothing is read on the strength of it. */
static bool reserve(size_t bytes)
{
    size_t before = atomic_add_relaxed(&transfer_reserved_bytes, bytes);
    if (before + bytes <= budget_transfer_bytes())
        return true;
    atomic_sub_relaxed(&transfer_reserved_bytes, bytes);
    return false;
}

/* Gives a class its array, at the first batch that comes back: with no lock held. */
static BH_COLD void transfer_make(struct central *central, unsigned size_class)
{
    size_t bytes = transfer_room(size_class) * sizeof(void *);
    if (budget_transfer_bytes() / 4 < bytes)
        return; /* a heap too small to spend memory on this: arrays are never given back */
    void **array = meta_alloc_spare(bytes);
    uintptr_t irq = spinlock_acquire(&central->lock);
    bool first = array && !central->transfer;
    if (first)
        atomic_store_relaxed(&central->transfer,
                             array); /* transfer_grow() looks without the lock */
    spinlock_release(&central->lock, irq);
    if (!first)
        meta_free(array, bytes);
}

/* Room for a batch less, in a class that has room for any; what no longer fits goes home. */
static BH_COLD bool transfer_shrink(unsigned size_class)
{
    struct central *central = &centrals[size_class];
    void *objects[SIZE_CLASS_MAX_BATCH];
    size_t n = 0;
    uintptr_t irq = spinlock_acquire(&central->lock);
    size_t limit = central->transfer_limit;
    size_t less = limit < size_classes[size_class].batch ? limit : size_classes[size_class].batch;
    size_t left = limit - less;
    set_limit(central, left);
    if (central->transfer_count > left)
        n = transfer_take(central, objects, central->transfer_count - left);
    spinlock_release(&central->lock, irq);
    atomic_sub_relaxed(&transfer_reserved_bytes, bytes_of(size_class, less));
    central_give_home(size_class, objects, n);
    return limit > 0;
}

static BH_COLD void shrink_another(unsigned size_class)
{
    static unsigned turn;
    for (unsigned i = 0; i < SHRINK_LOOKS; i++) {
        /* Relaxed: whose turn it is matters little, two cores may well take the same. */
        unsigned victim = atomic_add_relaxed(&turn, 1) % (SIZE_CLASS_COUNT - 1) + 1;
        if (victim != size_class && transfer_shrink(victim))
            return;
    }
}

/* Room for `count` more. False: no memory for the array, or the budget is spent; then another class
 * has less, and the next try may do. */
static BH_COLD bool transfer_grow(struct central *central, unsigned size_class, size_t count)
{
    if (!reserve(bytes_of(size_class, count))) {
        shrink_another(size_class);
        return false;
    }
    if (!atomic_load_relaxed(&central->transfer)) /* the look under the lock decides */
        transfer_make(central, size_class);
    uintptr_t irq = spinlock_acquire(&central->lock);
    size_t limit = central->transfer_limit + count;
    bool grows = central->transfer && limit <= transfer_room(size_class);
    if (grows)
        set_limit(central, limit);
    spinlock_release(&central->lock, irq);
    if (!grows)
        atomic_sub_relaxed(&transfer_reserved_bytes, bytes_of(size_class, count));
    return grows;
}

/* Whether the transfer cache has no room for `count` more and is not to have any. Relaxed: a look
 * without the lock, after which nothing is certain. */
static bool is_full(struct central *central, unsigned size_class, size_t count)
{
    size_t limit = atomic_load_relaxed(&central->transfer_limit);
    if (atomic_load_relaxed(&central->transfer_count) + count <= limit)
        return false;
    if (limit + count > transfer_room(size_class))
        return true;
    unsigned turn = atomic_load_relaxed(&central->grow_turn); /* lost turns do no harm */
    atomic_store_relaxed(&central->grow_turn, (uint16_t)((turn + 1) % GROW_EVERY));
    return turn || !transfer_grow(central, size_class, count);
}

/* ---- interface ---- */

size_t central_take(unsigned size_class, void **objects, size_t want)
{
    struct central *central = &centrals[size_class];
    uintptr_t irq = spinlock_acquire(&central->lock);
    size_t n = transfer_take(central, objects, want);
    if (n == 0)
        n = take_from_spans(central, objects, want);
    size_t spans = central->spans;
    spinlock_release(&central->lock, irq);
    if (n > 0)
        return n;

    struct bh_span *span = new_span(size_class, spans);
    if (!span)
        return 0;
    irq = spinlock_acquire(&central->lock);
    central->spans++;
    list_span(central, span);
    n = take_from_spans(central, objects, want);
    spinlock_release(&central->lock, irq);
    return n;
}

void central_give(unsigned size_class, void **objects, size_t count)
{
    struct central *central = &centrals[size_class];
    bool stocked = false;
    if (!is_full(central, size_class, count)) {
        uintptr_t irq = spinlock_acquire(&central->lock);
        stocked = transfer_give(central, objects, count);
        spinlock_release(&central->lock, irq);
    }
    if (!stocked)
        central_give_home(size_class, objects, count);
}

BH_COLD bool central_drain(unsigned size_class)
{
    bool any = false;
    while (transfer_shrink(size_class))
        any = true;
    return any;
}

BH_COLD void central_count(unsigned size_class, size_t *out_objs, size_t *transfer_objs)
{
    struct central *central = &centrals[size_class];
    uintptr_t irq = spinlock_acquire(&central->lock);
    *out_objs = central->out_objs;
    *transfer_objs = central->transfer_count;
    spinlock_release(&central->lock, irq);
}
