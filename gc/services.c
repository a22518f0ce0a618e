/* SPDX-License-Identifier: MIT */
/*
 * What objects have beside their contents, as the cycle sees it.
 *
 * 1. Roots: what an object with a finalizer refers to, but not the object itself; so the finalizer
 *    finds all of it whole, and of two such objects the one that refers to the other comes first,
 *    for the other is marked through it. Also the arguments of finalizers and cleanups, and the
 *    objects whose finalizers are due.
 * 2. After the mark: weak references to what is not marked are cleared; then the finalizers of what
 *    is not marked become due, and their objects are marked, so that they live until a later cycle;
 *    then cleanups of what is still not marked become due.
 * 3. Each of these is a pass over the chunks of one kind of record (special.c), which finds the
 *    mark bit of each object by three loads that depend on each other: page map, span, bitmap. They
 *    are made for a batch of records at a time, with a prefetch before each next one.
 *
 * A record whose word is no hidden address (free, cleared, due) is passed over by the same test
 * that any word takes: its complement lies in no object.
 *
 * No state; the lock is that of special.c, needed outside of stops only.
 */
#include "gc/services.h"
#include "alloc/walk.h"
#include "gc/finalize.h"
#include "gc/special.h"
#include "gc/weak.h"
#include "kernel-lib/check.h"

#define SERVICES_BATCH 16

/* ---- passes ---- */

/* An object that has a record, and the record. */
struct services_one {
    struct special at;
    struct walk_object object;
};

struct services_batch {
    struct services_one ones[SERVICES_BATCH];
    size_t count;
};

/* Fetches what walk_find() will read first. */
static inline void prefetch_span(uintptr_t address)
{
    const struct pagemap *map = pagemap_current;
    uintptr_t page = (address >> PAGE_SHIFT) - map->first_page;
    if (page < map->pages)
        __builtin_prefetch(map->span_of[page]);
}

/* The records from `from` on, up to a batch of them, whose objects exist. */
static void find_batch(struct special_chunk *chunk, uint32_t from, struct services_batch *batch)
{
    uint32_t to = from + SERVICES_BATCH < SPECIAL_RECORDS ? from + SERVICES_BATCH : SPECIAL_RECORDS;
    for (uint32_t place = from; place < to; place++)
        prefetch_span(special_hide(chunk->object[place]));
    batch->count = 0;
    for (uint32_t place = from; place < to; place++) {
        struct services_one *one = &batch->ones[batch->count];
        if (!walk_find(special_hide(chunk->object[place]), &one->object))
            continue;
        one->at = (struct special){chunk, place};
        __builtin_prefetch(&span_mark_bits(one->object.span)[one->object.idx / 64]);
        batch->count++;
    }
}

static void each_batch(enum special_kind kind,
                       void (*visit)(const struct services_batch *batch, void *arg), void *arg)
{
    struct services_batch batch;
    struct special_chunk *chunk;
    uint32_t number = 0;
    while ((chunk = special_next_chunk(kind, &number)) != NULL) {
        for (uint32_t place = 0; place < SPECIAL_RECORDS; place += SERVICES_BATCH) {
            find_batch(chunk, place, &batch);
            visit(&batch, arg);
        }
    }
}

/* ---- roots ---- */

struct services_visit {
    void (*visit)(enum roots_kind kind, uintptr_t lo, uintptr_t hi, void *arg);
    void *arg;
};

static void visit_args(const struct services_visit *to, enum special_kind kind)
{
    struct special_chunk *chunk;
    uint32_t number = 0;
    while ((chunk = special_next_chunk(kind, &number)) != NULL)
        to->visit(ROOTS_SERVICE, (uintptr_t)chunk->arg, (uintptr_t)(chunk->arg + SPECIAL_RECORDS),
                  to->arg);
}

static void visit_due(const uintptr_t *word, void *arg)
{
    const struct services_visit *to = arg;
    to->visit(ROOTS_SERVICE, (uintptr_t)word, (uintptr_t)(word + 1), to->arg);
}

/*
 * Words of an object that has a finalizer. Most such objects stand for something outside of the
 * heap and refer to little in it: a range costs more than to look at its first words.
 */
static void visit_words(const struct services_visit *to, uintptr_t lo, uintptr_t hi)
{
    while (lo < hi && walk_span_of(roots_word(lo)) == NULL)
        lo += sizeof(uintptr_t);
    if (lo < hi)
        to->visit(ROOTS_SERVICE, lo, hi, to->arg);
}

/* The words of the element at `base` that the layout names, those side by side at once. */
static void visit_element(const struct services_visit *to, const struct walk_layout *layout,
                          uintptr_t base)
{
    for (size_t i = 0; (i = bitmap_next_set(layout->pointers, layout->words, i)) < layout->words;) {
        size_t end = bitmap_next_clear(layout->pointers, layout->words, i);
        visit_words(to, base + i * sizeof(uintptr_t), base + end * sizeof(uintptr_t));
        i = end;
    }
}

static void visit_typed(const struct services_visit *to, const struct walk_object *object)
{
    const struct walk_layout *layout = walk_layout_of(object->span);
    size_t element_bytes = layout->words * sizeof(uintptr_t);
    size_t elements = layout->repeats ? span_object_bytes(object->span) / element_bytes : (size_t)1;
    for (size_t i = 0; i < elements; i++)
        visit_element(to, layout, object->base + i * element_bytes);
}

static void visit_contents(const struct services_visit *to, const struct walk_object *object)
{
    const struct bh_span *span = object->span;
    if (span->kind >= KIND_TYPED)
        visit_typed(to, object);
    else if (span->kind == KIND_SCAN)
        visit_words(to, object->base, object->base + span_object_bytes(span));
}

static void visit_batch(const struct services_batch *batch, void *arg)
{
    for (size_t i = 0; i < batch->count; i++)
        visit_contents(arg, &batch->ones[i].object);
}

void services_each_root(void (*visit)(enum roots_kind kind, uintptr_t lo, uintptr_t hi, void *arg),
                        void *arg)
{
    struct services_visit to = {visit, arg};
    visit_args(&to, SPECIAL_FINALIZER);
    visit_args(&to, SPECIAL_CLEANUP);
    finalize_each_due(visit_due, &to);
    each_batch(SPECIAL_FINALIZER, visit_batch, &to);
}

/* ---- after the mark ---- */

static void clear_weak(const struct services_batch *batch, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < batch->count; i++) {
        if (!walk_is_marked(&batch->ones[i].object))
            weak_clear(batch->ones[i].at);
    }
}

/* The address of the record's object, which in a block of tiny ones is not the block's. */
static uintptr_t object_of(struct special at)
{
    return special_hide(at.chunk->object[at.place]);
}

static void mark_revived(const struct walk_object *object, struct mark_totals *totals)
{
    walk_mark(object);
    totals->live_bytes += span_object_bytes(object->span);
    totals->live_objects++;
}

/* With totals, the objects are alive from here on. */
static void make_due(const struct services_batch *batch, void *totals)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct services_one *one = &batch->ones[i];
        if (walk_is_marked(&one->object))
            continue;
        finalize_make_due(one->at, object_of(one->at));
        if (totals != NULL)
            mark_revived(&one->object, totals);
    }
}

void services_after_mark(struct mark_totals *totals)
{
    each_batch(SPECIAL_WEAK, clear_weak, NULL);
    each_batch(SPECIAL_FINALIZER, make_due, totals);
    each_batch(SPECIAL_CLEANUP, make_due, NULL);
}

/* ---- at other times ---- */

bool services_are_due(void)
{
    return finalize_is_due();
}

static void forget_record(struct special at)
{
    if (at.chunk->kind == SPECIAL_WEAK)
        weak_clear(at);
    else
        finalize_take_back_locked(at);
}

void services_forget(void *object)
{
    uintptr_t address = (uintptr_t)object;
    uintptr_t irq = special_lock_acquire();
    uint32_t id;
    while ((id = special_first_locked(address)) != 0)
        forget_record(special_at(id));
    special_lock_release(irq);
}

void services_count(struct bh_gc_stats *stats)
{
    uintptr_t irq = special_lock_acquire();
    finalize_count_locked(stats);
    stats->weak_references = weak_count_locked();
    special_lock_release(irq);
}
