/* SPDX-License-Identifier: MIT */
/* The central tier for manual objects. See central.h. */
#include "alloc/central.h"
#include "alloc/budget.h"
#include "alloc/crime.h"
#include "alloc/harden.h"
#include "alloc/meta.h"
#include "alloc/page_heap.h"
#include "alloc/span.h"
#include "arch/arch.h"
#include "kernel-lib/memory.h"
#include <bareheap/port.h>

/* The most that a transfer cache holds. */
#define TRANSFER_SLOTS 1022
#define TRANSFER_BYTES ((size_t)64 << 10)

/* A transfer cache that is full asks for more room at every so many batches only. */
#define GROW_EVERY 8

/* A class is shared from when another core takes or gives, until one core has given so many batches
 * with no other in between. */
#define SHARED_GIVES 64

/* Classes that have a stock whoever uses them. Of objects so small a bin's slots hold half of what
 * they hold of others. Spans of so few objects are whole again with every few that come home, and
 * that is a trip to the page heap. */
#define STOCK_SMALL_BYTES 64
#define STOCK_FEW_OBJS    16

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

/* How many of the objects that are wanted are in partial spans. */
static size_t find_in_spans(const struct central *central, size_t want)
{
    size_t n = 0;
    const struct list *at = central->partial.next;
    for (; at != &central->partial && n < want; at = at->next)
        n += container_of(at, struct bh_span, link)->free_objs;
    return n < want ? n : want;
}

/* Into objects[0 .. n), from the end: the one to be handed out first is the last. */
static size_t take_from_spans(struct central *central, void **objects, size_t want)
{
    const size_t n = find_in_spans(central, want);
    for (size_t left = n; left > 0;) {
        struct bh_span *span = container_of(central->partial.next, struct bh_span, link);
        harden_check_record(span);
        left -= span_take(span, objects + left, left);
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
    struct list whole; /* spans to be freed when the lock is released */
};

/* The span has got its first free object, or its last: into the list, or out of it. */
static __attribute__((noinline)) void span_moves(struct central *central, struct bh_span *span,
                                                 struct list *whole)
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

/* The span of an object that comes home. NULL: it is home already, and its whole span is gone from
 * the page map. */
static inline struct bh_span *span_to_put(const struct pagemap *map, unsigned size_class,
                                          uintptr_t object)
{
    uintptr_t page = (object >> PAGE_SHIFT) - map->first_page;
    if (page >= map->pages || atomic_load_acquire(&map->class_of[page]) != size_class)
        return NULL; /* acquire: as in pagemap_class() */
    struct bh_span *span = map->span_of[page];
    harden_check_record(span);
    return span;
}

/* The front of a batch into the span that it belongs to: how many objects. 0: the first is none, or
 * is home already; so is all of a span that will be gone in a moment. */
static inline size_t put_some(struct central *central, struct bh_span *span, void *const *objects,
                              size_t most, struct list *whole)
{
    const size_t before = span->free_objs;
    size_t n = BH_LIKELY(before < span->objs) ? span_put(span, objects, most) : 0;
    if (BH_UNLIKELY(n == 0))
        return 0;
    span->free_objs = (uint16_t)(before + n);
    if (BH_UNLIKELY(before == 0 || before + n == span->objs))
        span_moves(central, span, whole);
    return n;
}

/* Stops at the first object that is none, or home already. One map for all: each was allocated
 * before its free, and a map is right for all that was allocated before it was loaded. */
static void put_all(struct central *central, unsigned size_class, struct homecoming *batch)
{
    const struct pagemap *map = atomic_load_dependent(&pagemap_current);
    void **next = batch->next;
    void **const end = batch->end; /* locals: the loop has a register for each */
    while (next < end) {
        struct bh_span *span = span_to_put(map, size_class, (uintptr_t)*next);
        if (BH_UNLIKELY(!span))
            break;
        size_t n = put_some(central, span, next, (size_t)(end - next), &batch->whole);
        if (BH_UNLIKELY(n == 0))
            break;
        next += n;
    }
    central->out_objs -= (size_t)(next - batch->next);
    batch->next = next;
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

/* What is wrong with the object that put_all() stopped at. */
static BH_COLD const char *crime_text(unsigned size_class, uintptr_t object)
{
    bool inside =
        pagemap_class(object) == size_class && !span_is_object(pagemap_span(object), object);
    return inside ? "inside an object" : "freed twice";
}

/* The crime is told with the lock released. Interrupts stay off until whole spans are free: a stop
 * finds every span with its bitmap, or none. */
void central_give_home(unsigned size_class, void **objects, size_t count)
{
    struct central *central = &centrals[size_class];
    struct homecoming batch = {.next = objects, .end = objects + count};
    list_init(&batch.whole);
    spinlock_acquire_irqs_off(&central->lock);
    put_all(central, size_class, &batch);
    spinlock_release_irqs_off(&central->lock);
    if (BH_UNLIKELY(batch.next < batch.end)) {
        uintptr_t object = (uintptr_t)*batch.next;
        crime_panic("bh_free", object, crime_text(size_class, object), 0);
    }
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
    uintptr_t irq = arch_irq_save(); /* a stop finds every free object in a cache or at home */
    spinlock_acquire_irqs_off(&central->lock);
    size_t limit = central->transfer_limit;
    size_t less = limit < size_classes[size_class].batch ? limit : size_classes[size_class].batch;
    size_t left = limit - less;
    set_limit(central, left);
    if (central->transfer_count > left)
        n = transfer_take(central, objects, central->transfer_count - left);
    spinlock_release_irqs_off(&central->lock);
    atomic_sub_relaxed(&transfer_reserved_bytes, bytes_of(size_class, less));
    central_give_home(size_class, objects, n);
    arch_irq_restore(irq);
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

/* ---- who uses a class ---- */

/* Relaxed, here and below, and not always under the lock: a guess, by which nothing goes wrong. */
static void note_user(struct central *central)
{
    unsigned user = bh_port_core() + 1;
    unsigned last = atomic_load_relaxed(&central->user);
    if (last == user)
        return;
    atomic_store_relaxed(&central->user, (uint16_t)user);
    if (last)
        atomic_store_relaxed(&central->shared_gives, SHARED_GIVES);
}

/* Whether what this core is about to give is to be stocked: if another one may want it. */
static bool wants_stock(struct central *central, unsigned size_class)
{
    const struct size_class *info = &size_classes[size_class];
    if (info->object_bytes <= STOCK_SMALL_BYTES || info->objs <= STOCK_FEW_OBJS)
        return true;
    note_user(central);
    unsigned gives = atomic_load_relaxed(&central->shared_gives);
    if (gives)
        atomic_store_relaxed(&central->shared_gives, (uint16_t)(gives - 1));
    return gives;
}

/* ---- interface ---- */

size_t central_take(unsigned size_class, void **objects, size_t want)
{
    struct central *central = &centrals[size_class];
    spinlock_acquire_irqs_off(&central->lock);
    note_user(central);
    size_t n = transfer_take(central, objects, want);
    if (n == 0)
        n = take_from_spans(central, objects, want);
    size_t spans = central->spans;
    spinlock_release_irqs_off(&central->lock);
    if (n > 0)
        return n;

    struct bh_span *span = new_span(size_class, spans);
    if (!span)
        return 0;
    spinlock_acquire_irqs_off(&central->lock);
    central->spans++;
    list_span(central, span);
    n = take_from_spans(central, objects, want);
    spinlock_release_irqs_off(&central->lock);
    return n;
}

void central_give(unsigned size_class, void **objects, size_t count)
{
    struct central *central = &centrals[size_class];
    bool stocked = false;
    if (wants_stock(central, size_class) && !is_full(central, size_class, count)) {
        spinlock_acquire_irqs_off(&central->lock);
        stocked = transfer_give(central, objects, count);
        spinlock_release_irqs_off(&central->lock);
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
