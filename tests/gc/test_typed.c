/* SPDX-License-Identifier: MIT */
/* Typed objects: what they take, which of their words count, arrays, tails, how layouts are shared
 * and what happens when they run out. Early return of whole spans. */
#include "alloc/layout.h"
#include "alloc/page_heap.h"
#include "alloc/walk.h"
#include "gc/mark.h"
#include "kernel-lib/check.h"
#include "tests/gc/gc_test.h"

struct pair {
    struct pair *left;
    struct pair *right;
};
static BH_GC_TYPE(pair_type, struct pair,
                  BH_GC_POINTER(struct pair, left) | BH_GC_POINTER(struct pair, right));

/* The same layout as pairs, by another name. */
static BH_GC_TYPE(twin_type, struct pair, 3);

/* One word is a pointer, the other looks like one. */
struct mixed {
    struct mixed *next;
    uintptr_t number;
};
static BH_GC_TYPE(mixed_type, struct mixed, BH_GC_POINTER(struct mixed, next));

struct plain {
    uint64_t words[2];
};
static BH_GC_TYPE(plain_type, struct plain, 0);

/* Of more words than one word of bitmap. */
struct wide {
    uintptr_t numbers[100];
    void *last;
};
static BH_GC_TYPE_LARGE(wide_type, struct wide, 0, (uint64_t)1 << (100 - 64));

/* Of more words than that, but with its pointers in the first. Several, as bitmaps of one word
 * would lie one behind the other. */
struct broad {
    void *row[3];
    uintptr_t numbers[97];
};
static BH_GC_TYPE(broad_type_0, struct broad, BH_GC_POINTER(struct broad, row[0]));
static BH_GC_TYPE(broad_type_1, struct broad, BH_GC_POINTER(struct broad, row[1]));
static BH_GC_TYPE(broad_type_2, struct broad, BH_GC_POINTER(struct broad, row[2]));

/* A member of each sort. */
struct incomplete;
struct sorts {
    uint64_t number;
    struct incomplete *const incomplete;
    void (*function)(int number);
    const volatile char *volatile text;
    uintptr_t tagged;
    void *single[1];
    struct sorts *row[4];
    uint64_t numbers[51];
    void *last[3];
};

static struct mixed *root;
static void *volatile any_root;

static const struct bh_span *span_of(const void *object)
{
    struct walk_object found;
    bool is_found = walk_find((uintptr_t)object, &found) && found.base == (uintptr_t)object;
    BH_CHECK(is_found, "test: no object");
    return found.span;
}

static bool is_zero(const void *object, size_t bytes)
{
    const char *at = object;
    size_t i = 0;
    while (i < bytes && at[i] == 0)
        i++;
    return i == bytes;
}

TEST(gc_typed_has_no_padding)
{
    test_begin();
    struct pair *first = bh_gc_alloc_typed(&pair_type);
    struct pair *second = bh_gc_alloc_typed(&pair_type);
    REQUIRE(first != NULL && second != NULL);
    EXPECT_EQ(span_object_bytes(span_of(first)), sizeof(struct pair));
    EXPECT(span_of(first)->kind >= KIND_TYPED);
    EXPECT(is_zero(first, sizeof(*first)) && is_zero(second, sizeof(*second)));
    EXPECT_EQ(walk_layout_of(span_of(first))->words, 2);
    EXPECT_EQ(walk_layout_of(span_of(first))->pointers[0], 3);
    EXPECT(!walk_layout_of(span_of(first))->repeats);
    struct plain *plain = bh_gc_alloc_typed(&plain_type);
    REQUIRE(plain != NULL);
    EXPECT_EQ(span_object_bytes(span_of(plain)), sizeof(*plain));
    EXPECT_EQ(span_of(plain)->kind, KIND_NOSCAN);
}

TEST(gc_typed_bitmap_is_as_long_as_the_type)
{
    static struct bh_gc_type *const types[] = {&broad_type_0, &broad_type_1, &broad_type_2};
    test_begin();
    for (size_t i = 0; i < 3; i++) {
        const void *broad = bh_gc_alloc_typed(types[i]);
        REQUIRE(broad != NULL);
        EXPECT_EQ(walk_layout_of(span_of(broad))->words, 100);
        EXPECT_EQ(walk_layout_of(span_of(broad))->pointers[0], 1 << i);
        EXPECT_EQ(walk_layout_of(span_of(broad))->pointers[1], 0);
    }
}

TEST(gc_typed_members_of_each_sort)
{
    EXPECT_EQ(BH_GC_POINTER(struct sorts, incomplete), 1 << 1);
    EXPECT_EQ(BH_GC_POINTER(struct sorts, function), 1 << 2);
    EXPECT_EQ(BH_GC_POINTER(struct sorts, text), 1 << 3);
    EXPECT_EQ(BH_GC_WORD(struct sorts, tagged), 1 << 4);
    EXPECT_EQ(BH_GC_WORD(struct sorts, single), 1 << 5);
    EXPECT_EQ(BH_GC_POINTERS(struct sorts, single), 1 << 5);
    EXPECT_EQ(BH_GC_POINTERS(struct sorts, row), 15 << 6);
    EXPECT_EQ(BH_GC_POINTERS(struct sorts, last), (uint64_t)7 << 61);
    struct all {
        void *rows[64];
    };
    EXPECT_EQ(BH_GC_POINTERS(struct all, rows), UINT64_MAX);
}

TEST(gc_typed_layouts_are_shared)
{
    test_begin();
    const void *pair = bh_gc_alloc_typed(&pair_type);
    const void *twin = bh_gc_alloc_typed(&twin_type);
    const void *mixed = bh_gc_alloc_typed(&mixed_type);
    const void *array = bh_gc_alloc_typed_array(&pair_type, 1);
    const void *tail = bh_gc_alloc_typed_tail(&pair_type, 100);
    REQUIRE(pair != NULL && twin != NULL && mixed != NULL && array != NULL && tail != NULL);
    EXPECT_EQ(span_of(pair)->kind, span_of(twin)->kind);
    EXPECT_EQ(span_of(pair)->kind, span_of(tail)->kind);
    EXPECT(span_of(pair)->kind != span_of(mixed)->kind);
    EXPECT(span_of(pair)->kind != span_of(array)->kind);
    EXPECT(walk_layout_of(span_of(array))->repeats);
}

/* A list by way of `next`, each of whose nodes has an object that only its number leads to. */
static __attribute__((noinline)) void make_mixed(uintptr_t *listed, uintptr_t *numbered, size_t n)
{
    root = NULL;
    for (size_t i = 0; i < n; i++) {
        struct mixed *node = bh_gc_alloc_typed(&mixed_type);
        struct mixed *other = bh_gc_alloc_typed(&mixed_type);
        BH_CHECK(node != NULL && other != NULL, "test: no memory");
        node->next = root;
        node->number = (uintptr_t)other;
        root = node;
        listed[i] = test_hide(node);
        numbered[i] = test_hide(other);
    }
}

static size_t count_alive(const uintptr_t *hidden, size_t n)
{
    size_t alive = 0;
    for (size_t i = 0; i < n; i++)
        alive += test_is_alive(hidden[i]);
    return alive;
}

TEST(gc_typed_numbers_hold_nothing)
{
    enum { NODES = 2000 };
    static uintptr_t listed[NODES], numbered[NODES];
    test_begin();
    make_mixed(listed, numbered, NODES);
    test_collect();
    EXPECT_EQ(count_alive(listed, NODES), NODES);
    EXPECT(count_alive(numbered, NODES) <= TEST_LEFTOVERS);
    test_drop_list(root, offsetof(struct mixed, next));
    root = NULL;
    test_collect();
    EXPECT(count_alive(listed, NODES) <= TEST_LEFTOVERS);
}

/* An array of so many, kept: each `next` has an object, and so has each number. */
static __attribute__((noinline)) void make_array(size_t n, uintptr_t *listed, uintptr_t *numbered)
{
    struct mixed *array = bh_gc_alloc_typed_array(&mixed_type, n);
    BH_CHECK(array != NULL, "test: no memory");
    EXPECT(is_zero(array, n * sizeof(*array)));
    root = array;
    for (size_t i = 0; i < n; i++) {
        array[i].next = bh_gc_alloc_typed(&mixed_type);
        array[i].number = (uintptr_t)bh_gc_alloc_typed(&mixed_type);
        BH_CHECK(array[i].next != NULL && array[i].number != 0, "test: no memory");
        listed[i] = test_hide(array[i].next);
        numbered[i] = ~array[i].number;
    }
}

/* Small ones, those of several pages, and large ones. */
TEST_ALONE(gc_typed_array_scans_every_element)
{
    enum { MOST = 20000 };
    static uintptr_t listed[MOST], numbered[MOST];
    static const size_t counts[] = {1, 3, 100, 1000, 4096, 4097, MOST};
    test_begin();
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        make_array(counts[i], listed, numbered);
        test_collect();
        EXPECT_EQ(count_alive(listed, counts[i]), counts[i]);
        size_t held = count_alive(numbered, counts[i]);
        if (!EXPECT(held <= TEST_LEFTOVERS))
            harness_note("%zu of %zu numbers hold an object", held, counts[i]);
    }
    root = NULL; /* one leftover to the array would hold them all: that they go is not asked for */
    test_collect();
}

static __attribute__((noinline)) void make_tail(size_t tail_bytes, uintptr_t *head, uintptr_t *tail)
{
    struct mixed *object = bh_gc_alloc_typed_tail(&mixed_type, tail_bytes);
    BH_CHECK(object != NULL, "test: no memory");
    EXPECT(is_zero(object, sizeof(*object) + tail_bytes));
    uintptr_t *words = (uintptr_t *)(object + 1);
    root = object;
    object->next = bh_gc_alloc_typed(&mixed_type);
    *head = test_hide(object->next);
    for (size_t i = 0; i < tail_bytes / sizeof(*words); i++) {
        words[i] = (uintptr_t)bh_gc_alloc_typed(&mixed_type);
        tail[i] = ~words[i];
    }
}

TEST_ALONE(gc_typed_tail_holds_nothing)
{
    enum { MOST = 10000 };
    static uintptr_t head, tail[MOST];
    static const size_t words[] = {1, 2, 50, 700, MOST};
    test_begin();
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        make_tail(words[i] * sizeof(uintptr_t), &head, tail);
        test_collect();
        EXPECT(test_is_alive(head));
        EXPECT(count_alive(tail, words[i]) <= TEST_LEFTOVERS);
    }
    root = NULL;
    test_collect();
}

enum { WIDES = 100 };
static struct wide *wides[WIDES];

static __attribute__((noinline)) void make_wides(uintptr_t *lasts, uintptr_t *numbers)
{
    for (size_t i = 0; i < WIDES; i++) {
        wides[i] = bh_gc_alloc_typed(&wide_type);
        BH_CHECK(wides[i] != NULL, "test: no memory");
        wides[i]->last = bh_gc_alloc_typed(&mixed_type);
        wides[i]->numbers[36] = (uintptr_t)bh_gc_alloc_typed(&mixed_type);
        lasts[i] = test_hide(wides[i]->last);
        numbers[i] = ~wides[i]->numbers[36];
    }
}

TEST(gc_typed_large_bitmap)
{
    static uintptr_t lasts[WIDES], numbers[WIDES];
    test_begin();
    make_wides(lasts, numbers);
    test_collect();
    EXPECT_EQ(count_alive(lasts, WIDES), WIDES);
    EXPECT(count_alive(numbers, WIDES) <= TEST_LEFTOVERS);
    for (size_t i = 0; i < WIDES; i++)
        wides[i] = NULL;
    test_collect();
}

TEST(gc_typed_sizes_that_overflow)
{
    test_begin();
    EXPECT(bh_gc_alloc_typed_array(&pair_type, SIZE_MAX / 2) == NULL);
    EXPECT(bh_gc_alloc_typed_array(&pair_type, SIZE_MAX / sizeof(struct pair)) == NULL);
    EXPECT(bh_gc_alloc_typed_tail(&pair_type, SIZE_MAX) == NULL);
    EXPECT(bh_gc_alloc_typed_tail(&pair_type, SIZE_MAX - sizeof(struct pair)) == NULL);
    EXPECT(bh_gc_alloc_typed_array(&pair_type, 0) != NULL);
    EXPECT(bh_gc_alloc_typed_tail(&pair_type, 0) != NULL);
}

enum { BY_HAND = 1000 };

static void make_by_hand(void **objects)
{
    for (size_t i = 0; i < BY_HAND; i++) {
        objects[i] = i % 2 ? bh_gc_alloc_typed(&pair_type)
                           : bh_gc_alloc_typed_array(&mixed_type, 1 + i * 10);
        BH_CHECK(objects[i] != NULL, "test: no memory");
    }
}

TEST(gc_typed_free_by_hand)
{
    static void *objects[BY_HAND];
    test_begin();
    bh_gc_set_percent(-1);
    for (size_t round = 0; round < 4; round++) {
        make_by_hand(objects);
        size_t before = collected_bytes();
        for (size_t i = 0; i < BY_HAND; i++) {
            bh_gc_free(objects[i]);
            objects[i] = NULL;
        }
        EXPECT(before - collected_bytes() >= 500 * 16 + 500 * 500 * 10 * 16 / 2);
    }
    bh_gc_set_percent(100);
}

TEST_PANICS(gc_typed_freed_twice,
            "bh_gc_free(0x*): freed twice: byte 0 of object * (0x*, 16 bytes) of the typed "
            "span 0x*, class *; caller 0x* (*)")
{
    test_begin();
    void *object = bh_gc_alloc_typed(&pair_type);
    bh_gc_free(object);
    bh_gc_free(object);
}

/* ---- when layouts run out ---- */

#define MANY_TYPES (LAYOUT_MOST + 50)

static struct bh_gc_type many_types[MANY_TYPES];
static uint64_t many_pointers[MANY_TYPES];
static void **many_objects[MANY_TYPES];

/* So many types, each with a layout of its own: a pointer in word 0, and their number's bits. */
static void make_types(void)
{
    for (size_t i = 0; i < MANY_TYPES; i++) {
        many_pointers[i] = 1 | (uint64_t)i << 1;
        many_types[i] =
            (struct bh_gc_type){20 * sizeof(void *), &many_pointers[i], "one of many", 0};
    }
}

static __attribute__((noinline)) void make_many(uintptr_t *hidden)
{
    for (size_t i = 0; i < MANY_TYPES; i++) {
        many_objects[i] = bh_gc_alloc_typed(&many_types[i]);
        BH_CHECK(many_objects[i] != NULL, "test: no memory");
        many_objects[i][0] = bh_gc_alloc_typed_array(&many_types[i], i % 7 + 1);
        hidden[i] = test_hide(many_objects[i][0]);
    }
}

TEST_ALONE(gc_typed_more_layouts_than_there_are)
{
    static uintptr_t hidden[MANY_TYPES];
    test_begin();
    make_types();
    for (int round = 0; round < 3; round++) {
        make_many(hidden);
        test_collect();
        EXPECT_EQ(count_alive(hidden, MANY_TYPES), MANY_TYPES);
        bh_heap_verify();
    }
    EXPECT(span_of(many_objects[0])->kind >= KIND_TYPED);
    EXPECT_EQ(span_of(many_objects[MANY_TYPES - 1])->kind, KIND_SCAN);
    for (size_t i = 0; i < MANY_TYPES; i++)
        many_objects[i] = NULL;
    test_collect();
    EXPECT(count_alive(hidden, MANY_TYPES) <= TEST_LEFTOVERS);
}

/* More pairs of layout and class than there are cursors. */
TEST_ALONE(gc_typed_more_classes_than_cursors)
{
    test_begin();
    make_types();
    for (size_t i = 0; i < 100; i++)
        for (size_t n = 1; n < 25; n++) {
            void **array = bh_gc_alloc_typed_array(&many_types[i], n);
            REQUIRE(array != NULL);
            EXPECT(is_zero(array, n * many_types[i].bytes));
            array[0] = array;
        }
    test_collect();
    bh_heap_verify();
}

/* Every core meets the same new types at once. */
TEST_ALL_CORES(gc_typed_first_use_on_all_cores)
{
    static struct bh_gc_type types[20];
    static const uint64_t pointers[20] = {7, 11, 13, 19, 21, 22, 25, 26, 28, 31,
                                          7, 11, 13, 19, 21, 22, 25, 26, 28, 31};
    if (bh_port_core() == 0) {
        test_begin();
        for (size_t i = 0; i < 20; i++)
            types[i] = (struct bh_gc_type){48, &pointers[i], "shared", 0};
    }
    harness_barrier();
    for (size_t i = 0; i < 20; i++) {
        void **one = bh_gc_alloc_typed(&types[i]);
        void **other = bh_gc_alloc_typed_array(&types[i], 3);
        REQUIRE(one != NULL && other != NULL);
        EXPECT(is_zero(one, 48) && is_zero(other, 3 * 48));
    }
    harness_barrier();
    for (size_t i = 0; i < 10; i++)
        EXPECT_EQ(types[i].layout, types[i + 10].layout);
}

/* ---- early return of whole spans ---- */

enum { KEPT_EVERY = 512, RECLAIM_NODES = 100000 };

/* Garbage in many spans, and a class of its own of which every span keeps something. */
static __attribute__((noinline)) void make_garbage(void **kept)
{
    for (size_t i = 0; i < RECLAIM_NODES; i++) {
        void *node = bh_gc_alloc(200);
        void *pair = bh_gc_alloc_typed(&pair_type);
        BH_CHECK(node != NULL && pair != NULL, "test: no memory");
        if (i % KEPT_EVERY == 0)
            kept[i / KEPT_EVERY] = pair;
    }
}

/* Marks what is kept, as a collection would, and ends the cycle without sweeping. */
static size_t mark_kept(void *const *kept, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        struct walk_object object;
        if (walk_find((uintptr_t)kept[i], &object) && walk_mark(&object))
            bytes += span_object_bytes(object.span);
    }
    return bytes;
}

static void count_unswept(struct bh_span *span, void *arg)
{
    *(size_t *)arg += span_is_unswept(span);
}

TEST_ALONE(gc_whole_spans_go_back_early)
{
    enum { KEPT = RECLAIM_NODES / KEPT_EVERY + 1 };
    static void *kept[KEPT];
    size_t unswept = 0;
    test_begin();
    bh_gc_set_percent(-1);
    make_garbage(kept);
    uintptr_t irq = arch_irq_save();
    walk_sweep_all();
    walk_cycle_begin();
    walk_cycle_end(mark_kept(kept, KEPT));
    arch_irq_restore(irq);
    EXPECT(walk_reclaim((size_t)4 << 20 >> PAGE_SHIFT));
    EXPECT(walk_is_unswept());
    EXPECT(walk_reclaim(SIZE_MAX));
    EXPECT(!walk_reclaim(SIZE_MAX)); /* all have been looked at */
    bh_heap_verify();
    walk_each_span(count_unswept, &unswept);
    EXPECT(unswept > 0 && unswept <= KEPT); /* only those with something in them */
    walk_sweep_all();
    bh_heap_verify();
    for (size_t i = 0; i < KEPT; i++)
        EXPECT(kept[i] == NULL || test_is_alive(test_hide(kept[i])));
    bh_gc_set_percent(100);
}

/* A big request right after a cycle is served by pages of garbage that was not swept yet. */
TEST_ALONE(gc_big_request_before_the_sweep)
{
    static void *kept[RECLAIM_NODES / KEPT_EVERY + 1]; /* and not marked */
    test_begin();
    test_take_memory((size_t)64 << 20);
    bh_gc_set_percent(-1);
    make_garbage(kept);
    uintptr_t irq = arch_irq_save();
    walk_sweep_all();
    walk_cycle_begin();
    walk_cycle_end(0);
    arch_irq_restore(irq);
    uint64_t cycles = test_cycles();
    any_root = bh_gc_alloc_noscan((size_t)48 << 20);
    EXPECT(any_root != NULL);
    EXPECT_EQ(test_cycles(), cycles);
    any_root = NULL;
    bh_gc_set_percent(100);
    test_give_memory();
    test_collect();
}
