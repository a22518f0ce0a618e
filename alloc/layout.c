/* SPDX-License-Identifier: MIT */
/* Layouts. See layout.h. */
#include "alloc/layout.h"
#include "alloc/cursor.h"
#include "alloc/meta.h"
#include "kernel-lib/memory.h"

#define WORD_BYTES sizeof(void *)

/* The largest bitmap that fits into a cell with its layout: types of half a megabyte. */
#define LAYOUT_MOST_WORDS ((META_CELL_MAX - sizeof(struct layout)) / sizeof(uint64_t) * (size_t)64)

/* Cursors for typed objects, all rows together; the first and the last of a row are never used. */
#define CURSORS_MOST ((ARCH_ROWS - CURSOR_ROW_TYPED) * ARCH_CURSORS)

struct walk_layout *walk_layouts[LAYOUT_MOST];
struct collected_central *collected_typed;

static struct spinlock layout_lock = SPINLOCK_INIT(LOCK_CENTRAL, "layouts");
static size_t layout_count;
static struct collected_central *cursor_owner[CURSORS_MOST];
static size_t cursor_count = 1;

/* ---- layouts ---- */

static size_t layout_bytes(size_t words)
{
    return sizeof(struct layout) + bitmap_words(words) * sizeof(uint64_t);
}

static bool is_same(const struct walk_layout *a, const struct walk_layout *b)
{
    if (a->words != b->words || a->repeats != b->repeats)
        return false;
    size_t w = 0;
    while (w < bitmap_words(a->words) && a->pointers[w] == b->pointers[w])
        w++;
    return w == bitmap_words(a->words);
}

static struct layout *layout_of(struct walk_layout *walk)
{
    return container_of(walk, struct layout, walk);
}

/* The one there is that is like `made`, or `made` as the next; NULL when all numbers are taken. */
static struct layout *layout_enter(struct layout *made)
{
    struct layout *layout = NULL;
    uintptr_t irq = spinlock_acquire(&layout_lock);
    for (size_t i = 0; i < layout_count && !layout; i++)
        if (is_same(walk_layouts[i], &made->walk))
            layout = layout_of(walk_layouts[i]);
    if (!layout && layout_count < LAYOUT_MOST) {
        layout = made;
        layout->kind = (uint8_t)(KIND_TYPED + layout_count);
        /* Relaxed: who comes by this entry comes from a span of that kind, so by way of the page
         * map's release (page_heap_publish()), which is after this. */
        atomic_store_relaxed(&walk_layouts[layout_count], &made->walk);
        atomic_store_relaxed(&layout_count, layout_count + 1); /* is_makeshift() looks */
    }
    spinlock_release(&layout_lock, irq);
    return layout;
}

/* Bits behind the last whole word are the caller's mistake, or of words that are no pointers. */
static void copy_pointers(struct layout *layout, const uint64_t *pointers)
{
    size_t words = layout->walk.words;
    memcpy(layout->pointers, pointers, bitmap_words(words) * sizeof(uint64_t));
    if (words % 64)
        layout->pointers[words / 64] &= ((uint64_t)1 << words % 64) - 1;
    layout->walk.pointers = layout->pointers;
}

/* The layout that is as `like`, whose bitmap may be the caller's; NULL when there is none left. */
static BH_COLD struct layout *layout_make(const struct walk_layout *like)
{
    if (like->words > LAYOUT_MOST_WORDS)
        return NULL;
    struct layout *made = meta_alloc(layout_bytes(like->words));
    if (!made)
        return NULL;
    made->walk = *like;
    copy_pointers(made, like->pointers);
    struct layout *layout = layout_enter(made);
    if (layout != made)
        meta_free(made, layout_bytes(like->words));
    return layout;
}

/* ---- their centrals ---- */

/* The number of a cursor that nobody has; 0 when there is none left. */
static size_t cursor_take_locked(void)
{
    if (cursor_count % ARCH_CURSORS == CURSOR_TINY) /* that and the first of a row stay unused */
        atomic_store_relaxed(&cursor_count, cursor_count + 2);
    if (cursor_count >= CURSORS_MOST)
        return 0;
    size_t number = cursor_count;
    atomic_store_relaxed(&cursor_count, number + 1); /* is_makeshift() looks */
    return number;
}

/* Large objects need no cursor. False when a small class does not get one. */
static bool central_place_locked(struct collected_central *central)
{
    if (central->size_class == 0)
        return true;
    size_t number = cursor_take_locked();
    if (number == 0)
        return false;
    central->row = (uint8_t)(CURSOR_ROW_TYPED + number / ARCH_CURSORS);
    central->word = (uint8_t)cursor_word(number % ARCH_CURSORS);
    /* Release: pairs with central_at(), whose caller has the number from a type. */
    atomic_store_release(&cursor_owner[number], central);
    return true;
}

/* Enters `made`, unless another core was faster or there is no cursor for it. */
static struct collected_central *central_enter(struct layout *layout,
                                               struct collected_central *made)
{
    uintptr_t irq = spinlock_acquire(&layout_lock);
    struct collected_central **slot = &layout->centrals[made->size_class];
    if (!*slot && central_place_locked(made)) {
        made->next = collected_typed;
        atomic_store_release(&collected_typed, made); /* pairs with collected_next() */
        atomic_store_release(slot, made);             /* pairs with central_for() */
    }
    struct collected_central *central = *slot;
    spinlock_release(&layout_lock, irq);
    return central;
}

static BH_COLD struct collected_central *central_make(struct layout *layout, unsigned size_class)
{
    struct collected_central *made = meta_alloc(sizeof(*made));
    if (!made)
        return NULL;
    spinlock_init(&made->lock, LOCK_CENTRAL, "typed central");
    list_init(&made->partial);
    list_init(&made->full);
    list_init(&made->unswept);
    made->kind = layout->kind;
    made->size_class = (uint8_t)size_class;
    struct collected_central *central = central_enter(layout, made);
    if (central != made)
        meta_free(made, sizeof(*made));
    return central;
}

static unsigned class_for_room(size_t bytes)
{
    return bytes <= SIZE_CLASS_MAX ? size_class_for(bytes) : 0;
}

/* NULL layout, or no central to be had: a scanned one. */
static struct collected_central *central_for(struct layout *layout, size_t bytes)
{
    unsigned size_class = class_for_room(bytes);
    struct collected_central *central = NULL;
    if (layout) {
        /* Acquire: pairs with central_enter(). */
        central = atomic_load_acquire(&layout->centrals[size_class]);
        if (!central)
            central = central_make(layout, size_class);
    }
    return central ? central : &collected_centrals[cursor_row(KIND_SCAN)][size_class];
}

struct collected_central *layout_central_of(const struct bh_span *span)
{
    /* Relaxed: the span is of it. */
    return atomic_load_relaxed(
        &layout_of(walk_layouts[span->kind - KIND_TYPED])->centrals[span->size_class]);
}

/* ---- types ---- */

static bool has_pointers(const struct bh_gc_type *type)
{
    size_t words = type->bytes / WORD_BYTES;
    return bitmap_next_set(type->pointers, words, 0) < words;
}

/* By what the type remembers. */
static struct collected_central *central_at(uint32_t where)
{
    size_t row = where >> 16;
    size_t number = (where & 0xffff) / CURSOR_WORDS;
    if (row < CURSOR_ROW_TYPED)
        return &collected_centrals[row][number];
    /* Acquire: pairs with central_place_locked(). */
    return atomic_load_acquire(&cursor_owner[(row - CURSOR_ROW_TYPED) * ARCH_CURSORS + number]);
}

static uint32_t where_is(const struct collected_central *central)
{
    return (uint32_t)central->row << 16 | central->word;
}

static BH_COLD struct collected_central *resolve(struct bh_gc_type *type)
{
    if (!has_pointers(type))
        return &collected_centrals[cursor_row(KIND_NOSCAN)][class_for_room(type->bytes)];
    struct walk_layout like = {
        .pointers = type->pointers, .type = type, .words = type->bytes / WORD_BYTES};
    return central_for(layout_make(&like), type->bytes);
}

/* Whether it is worth asking again. Relaxed: the counts only grow. */
static bool is_makeshift(const struct collected_central *central)
{
    return central->kind == KIND_SCAN && atomic_load_relaxed(&layout_count) < LAYOUT_MOST &&
           atomic_load_relaxed(&cursor_count) < CURSORS_MOST;
}

/* The central of single objects of the type. */
static struct collected_central *central_of_type(struct bh_gc_type *type)
{
    uint32_t where = atomic_load_acquire(&type->layout); /* pairs with the release below */
    if (where)
        return central_at(where);
    struct collected_central *central = resolve(type);
    /* Release: comes after the store in central_place_locked(), which may have been this core's.
     * The fast path needs no acquire: to it, it leads to cursors of its own core only. */
    if (central->size_class && !is_makeshift(central))
        atomic_store_release(&type->layout, where_is(central));
    return central;
}

static struct layout *layout_of_central(const struct collected_central *central)
{
    return central->kind < KIND_TYPED ? NULL : layout_of(walk_layouts[central->kind - KIND_TYPED]);
}

/* The layout of arrays of what `once` is one of; NULL: none. */
static struct layout *layout_of_array(struct layout *once)
{
    if (!once)
        return NULL;
    /* Acquire: pairs with the release below; both cores that come here first find the same. */
    struct layout *array = atomic_load_acquire(&once->array);
    if (!array) {
        struct walk_layout like = once->walk;
        like.repeats = true;
        array = layout_make(&like);
        if (array)
            atomic_store_release(&once->array, array);
    }
    return array;
}

static struct collected_central *central_like(struct collected_central *single,
                                              struct layout *layout, size_t bytes)
{
    if (single->kind == KIND_NOSCAN)
        return &collected_centrals[cursor_row(KIND_NOSCAN)][class_for_room(bytes)];
    return central_for(layout, bytes);
}

static struct walk_request layout_request(struct collected_central *central, size_t bytes)
{
    return (struct walk_request){.central = central, .bytes = bytes, .room = bytes};
}

struct walk_request walk_request_typed(struct bh_gc_type *type)
{
    return layout_request(central_of_type(type), type->bytes);
}

/* Elements that are no whole number of words have their pointers in other words each time. */
bool walk_request_array(struct bh_gc_type *type, size_t count, struct walk_request *request)
{
    struct collected_central *single = central_of_type(type);
    size_t bytes;
    if (__builtin_mul_overflow(type->bytes, count, &bytes))
        return false;
    struct layout *once = type->bytes % WORD_BYTES ? NULL : layout_of_central(single);
    struct layout *array = single->kind == KIND_NOSCAN ? NULL : layout_of_array(once);
    *request = layout_request(central_like(single, array, bytes), bytes);
    return true;
}

bool walk_request_tail(struct bh_gc_type *type, size_t tail_bytes, struct walk_request *request)
{
    struct collected_central *single = central_of_type(type);
    size_t bytes;
    if (__builtin_add_overflow(type->bytes, tail_bytes, &bytes))
        return false;
    *request = layout_request(central_like(single, layout_of_central(single), bytes), bytes);
    return true;
}
