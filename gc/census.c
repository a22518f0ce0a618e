/* SPDX-License-Identifier: MIT */
/*
 * The second marker: one core, every choice the simple one, nothing shared with marker.c but
 * the roots and the way from a word to an object.
 *
 * 1. Marks are a bit for every granule of the heap, the size of the smallest object, at an object's
 *    first byte; the spans' own bitmaps are not touched.
 * 2. A word is looked up as the collector does (walk_find), and, where manual objects count, among
 *    them; those that are free but in a cache are in a bitmap. The page map knows only the first
 *    page of a large manual object: these pages are in another one, in which the last before a
 *    word is searched.
 * 3. One past the end of a manual object, which has no byte more for that in a release build: it
 *    counts for the object before it, unless another object begins there.
 * 4. Marked objects are pushed on a stack of fixed size. When that is full they stay marked, and
 *    the range they lie in is noted; when the stack is empty the marked objects of that range
 *    are scanned again, until a round misses nothing. No recursion, no memory beyond census_new().
 *
 * Invariant: after census_mark_rest() every object that a word of a marked one points into is
 * marked. No locks: all cores stand still. Not here: whose marks they are (leaks.c, checkmark.c).
 */
#include "gc/census.h"
#include "kernel-lib/memory.h"

#define CENSUS_STACK_OBJS 2048
#define CENSUS_NONE       SIZE_MAX

/* ---- memory ---- */

/* The parts of a census' pages, in bytes. */
struct census_sizes {
    size_t head;
    size_t marks;
    size_t seen;
    size_t large;
    size_t stack;
};

static size_t census_map_bytes(size_t bits)
{
    return bitmap_words(bits) * sizeof(uint64_t);
}

static struct census_sizes census_sizes(const struct pagemap *map, enum census_use use)
{
    size_t marks = census_map_bytes((map->pages << PAGE_SHIFT) / CENSUS_GRANULE_BYTES);
    return (struct census_sizes){
        .head = sizeof(struct census),
        .marks = marks,
        .seen = marks,
        .large = use == CENSUS_ALL ? census_map_bytes(map->pages) : 0,
        .stack = CENSUS_STACK_OBJS * sizeof(struct walk_object),
    };
}

/* The next part of the pages; NULL for one of no bytes. */
static void *census_part(char **next, size_t bytes)
{
    void *part = bytes != 0 ? *next : NULL;
    *next += bytes;
    return part;
}

struct census *census_new(enum census_use use)
{
    /* Acquire: pairs with the publication of a grown map. */
    const struct pagemap *map = atomic_load_acquire(&pagemap_current);
    struct census_sizes sizes = census_sizes(map, use);
    size_t cleared = sizes.head + sizes.marks + sizes.seen + sizes.large;
    char *next = walk_pages_alloc(cleared + sizes.stack);
    if (next == NULL)
        return NULL;
    memset(next, 0, cleared);
    struct census *census = census_part(&next, sizes.head);
    census->base = map->first_page << PAGE_SHIFT;
    census->granules = (map->pages << PAGE_SHIFT) / CENSUS_GRANULE_BYTES;
    census->marks = census_part(&next, sizes.marks);
    census->seen = census_part(&next, sizes.seen);
    census->large = census_part(&next, sizes.large);
    census->stack = census_part(&next, sizes.stack);
    census->missed_lo = CENSUS_NONE;
    return census;
}

void census_free(struct census *census)
{
    walk_pages_free(census);
}

bool census_covers(const struct census *census)
{
    const struct pagemap *map = pagemap_current;
    return map->first_page << PAGE_SHIFT == census->base &&
           (map->pages << PAGE_SHIFT) / CENSUS_GRANULE_BYTES == census->granules;
}

/* ---- from a word to an object ---- */

static size_t census_page(const struct census *census, uintptr_t word)
{
    return (word - census->base) >> PAGE_SHIFT;
}

/* The last bit set at or before `i`, or CENSUS_NONE. */
static size_t census_last_set(const uint64_t *map, size_t i)
{
    size_t w = i / 64;
    uint64_t word = map[w] & (~(uint64_t)0 >> (63 - i % 64));
    while (word == 0 && w > 0)
        word = map[--w];
    return word != 0 ? w * 64 + bits_log2(word) : CENSUS_NONE;
}

/* The large manual object that `word` points into or to the end of, behind its first page. */
static bool census_find_large(const struct census *census, uintptr_t word,
                              struct walk_object *object)
{
    if (word - 1 - census->base >= census->granules * CENSUS_GRANULE_BYTES)
        return false;
    size_t first = census_last_set(census->large, census_page(census, word - 1));
    if (first == CENSUS_NONE)
        return false;
    uintptr_t base = census->base + ((uintptr_t)first << PAGE_SHIFT);
    return walk_find_manual(base, object) && word - base <= span_object_bytes(object->span);
}

/* One that is in nobody's cache. */
static bool census_find_small(const struct census *census, uintptr_t word,
                              struct walk_object *object)
{
    return walk_find_manual(word, object) && !census_is_seen(census, object);
}

static bool census_find_manual(const struct census *census, uintptr_t word,
                               struct walk_object *object)
{
    return census_find_small(census, word, object) || census_find_small(census, word - 1, object) ||
           census_find_large(census, word, object);
}

static bool census_find(const struct census *census, uintptr_t word, struct walk_object *object)
{
    if (walk_find(word, object))
        return true;
    return census->large != NULL && census_find_manual(census, word, object);
}

/* ---- scanning ---- */

static void census_word(struct census *census, uintptr_t word)
{
    struct walk_object object;
    if (census_find(census, word, &object))
        census->found(census, &object);
}

/* Volatile: as roots_word(). */
ROOTS_RAW_READS static void census_scan_range(struct census *census, uintptr_t lo, uintptr_t hi)
{
    const volatile uintptr_t *word = (const volatile uintptr_t *)lo;
    const volatile uintptr_t *end = (const volatile uintptr_t *)hi;
    while (word < end)
        census_word(census, *word++);
}

/* Scans one word of a typed object after the other, `at` being the word's number in its element. */
static void census_scan_typed(struct census *census, const struct walk_layout *layout, uintptr_t lo,
                              uintptr_t hi)
{
    size_t at = 0;
    for (; lo < hi; lo += sizeof(uintptr_t)) {
        if (bitmap_test(layout->pointers, at))
            census_scan_range(census, lo, lo + sizeof(uintptr_t));
        if (++at < layout->words)
            continue;
        if (!layout->repeats)
            return;
        at = 0;
    }
}

void census_scan_object(struct census *census, const struct walk_object *object)
{
    const struct bh_span *span = object->span;
    uintptr_t end = object->base + span_object_bytes(span);
    if (span->kind >= KIND_TYPED)
        census_scan_typed(census, walk_layout_of(span), object->base, end);
    else if (span->kind != KIND_NOSCAN)
        census_scan_range(census, object->base, end);
}

static void census_scan_root(enum roots_kind kind, uintptr_t lo, uintptr_t hi, void *arg)
{
    (void)kind;
    census_scan_range(arg, lo, hi);
}

void census_scan_roots(struct census *census)
{
    roots_each(census_scan_root, census);
}

/* ---- marking ---- */

static void census_push(struct census *census, const struct walk_object *object)
{
    size_t granule = census_granule(census, object->base);
    if (census->stack_used < CENSUS_STACK_OBJS) {
        census->stack[census->stack_used++] = *object;
        return;
    }
    if (granule < census->missed_lo)
        census->missed_lo = granule;
    if (granule > census->missed_hi)
        census->missed_hi = granule;
}

void census_mark(struct census *census, const struct walk_object *object)
{
    if (census_is_marked(census, object))
        return;
    bitmap_set(census->marks, census_granule(census, object->base));
    if (object->span->kind != KIND_NOSCAN)
        census_push(census, object);
}

void census_see(struct census *census, const struct walk_object *object)
{
    bitmap_set(census->seen, census_granule(census, object->base));
}

static void census_drain(struct census *census)
{
    while (census->stack_used > 0) {
        struct walk_object object = census->stack[--census->stack_used];
        census_scan_object(census, &object);
    }
}

/* A round: the marked objects from granule `lo` to `hi` are scanned again. */
static void census_again(struct census *census, size_t lo, size_t hi)
{
    struct walk_object object;
    for (size_t i = lo; (i = bitmap_next_set(census->marks, hi + 1, i)) <= hi; i++) {
        if (census_find(census, census->base + i * CENSUS_GRANULE_BYTES, &object))
            census_scan_object(census, &object);
        census_drain(census);
    }
}

void census_mark_rest(struct census *census)
{
    census->found = census_mark;
    census_drain(census);
    while (census->missed_lo != CENSUS_NONE) {
        size_t lo = census->missed_lo;
        size_t hi = census->missed_hi;
        census->missed_lo = CENSUS_NONE;
        census->missed_hi = 0;
        census_again(census, lo, hi);
    }
}

/* ---- the beginning ---- */

static void census_note_large(const struct walk_object *object, void *arg)
{
    struct census *census = arg;
    if (object->span->size_class == 0)
        bitmap_set(census->large, census_page(census, object->base));
}

static void census_note_cached(void *object, unsigned size_class, void *arg)
{
    struct census *census = arg;
    (void)size_class;
    bitmap_set(census->seen, census_granule(census, (uintptr_t)object));
}

void census_begin(struct census *census)
{
    if (census->large == NULL)
        return;
    walk_each_manual(census_note_large, census);
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++)
        walk_each_cached(i, census_note_cached, census);
}
