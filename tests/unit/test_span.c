/* SPDX-License-Identifier: MIT */
/* alloc/span.h: objects in and out of one span of every class, and what is no object. */
#include "alloc/page_heap.h"
#include "alloc/span.h"
#include "arch/arch.h"
#include "kernel-lib/memory.h"
#include "tests/unit/heap_test.h"

static void give_back(struct bh_span *span)
{
    uintptr_t irq = arch_irq_save();
    span_free(span);
    arch_irq_restore(irq);
}

/* A span that nobody else knows: the centrals' locks and lists are not involved. */
static void with_span_after(unsigned size_class, size_t spans, void (*fn)(struct bh_span *span))
{
    harness_heap();
    struct bh_span *span = span_new_small(size_class, KIND_MANUAL, spans);
    REQUIRE(span);
    fn(span);
    EXPECT_EQ(span->free_objs, span->objs);
    give_back(span);
}

/* Short and long. */
static void with_span(unsigned size_class, void (*fn)(struct bh_span *span))
{
    with_span_after(size_class, 0, fn);
    with_span_after(size_class, SIZE_MAX, fn);
}

static void *objects[2 * SIZE_CLASS_MAX_OBJS];

/* objects[] has every object of the span, in whatever order. */
static void expect_each_once(const struct bh_span *span)
{
    uint64_t seen[SIZE_CLASS_MAX_OBJS / 64] = {0};
    for (uint32_t i = 0; i < span->objs; i++) {
        uintptr_t object = (uintptr_t)objects[i];
        REQUIRE(span_is_object(span, object));
        bitmap_set(seen, span_idx(span, object));
    }
    EXPECT_EQ(bitmap_count(seen, span->objs), span->objs);
}

/* So many objects into objects[first] and above, the first that is handed out before the others. */
static size_t take(struct bh_span *span, size_t first, size_t want)
{
    size_t n = span_take(span, objects + first + want, want);
    memmove(objects + first, objects + first + want - n, n * sizeof(void *));
    for (size_t i = 0; i < n / 2; i++) {
        void *other = objects[first + i];
        objects[first + i] = objects[first + n - 1 - i];
        objects[first + n - 1 - i] = other;
    }
    return n;
}

/* Puts one or more of objects[0 .. most) back. */
static size_t put(struct bh_span *span, size_t most)
{
    size_t n = span_put(span, objects, most);
    span->free_objs = (uint16_t)(span->free_objs + n);
    return n;
}

static bool put_one(struct bh_span *span, uintptr_t address)
{
    void *object = (void *)address; /* NOLINT: an address becomes memory */
    size_t n = span_put(span, &object, 1);
    span->free_objs = (uint16_t)(span->free_objs + n);
    EXPECT(n <= 1);
    return n;
}

/* Two cores that take their objects in turn get none in one cache line, as long as there are lines.
 */
static void take_lines_in_turn(struct bh_span *span)
{
    size_t n = span_line_objs(span->object_bytes);
    size_t taken = 0;
    while (taken + n <= span->objs / n * n) {
        REQUIRE(take(span, taken, n) == n);
        EXPECT_EQ((uintptr_t)objects[taken] % ARCH_CACHE_LINE, 0);
        EXPECT_EQ((uintptr_t)objects[taken + n - 1],
                  (uintptr_t)objects[taken] + (n - 1) * span->object_bytes);
        taken += n;
    }
    size_t single = n > 1 ? 1 : 0; /* a line of which one object has come back is taken last */
    for (size_t i = 0; i < taken; i++)
        EXPECT(put_one(span, (uintptr_t)objects[i]));
    REQUIRE(take(span, 0, single) == single);
    REQUIRE(take(span, single, n) == n);
    EXPECT_EQ((uintptr_t)objects[single] % ARCH_CACHE_LINE, 0);
    for (size_t i = 0; i < single + n; i++)
        EXPECT(put_one(span, (uintptr_t)objects[i]));
}

TEST(span_gives_whole_cache_lines_first)
{
    for (unsigned i = 1; size_classes[i].object_bytes < ARCH_CACHE_LINE; i++)
        with_span(i, take_lines_in_turn);
}

static void take_and_put_all(struct bh_span *span)
{
    size_t taken = 0;
    for (size_t n; (n = take(span, taken, 7)) > 0;)
        taken += n;
    EXPECT_EQ(taken, span->objs);
    EXPECT_EQ(span->free_objs, 0);
    expect_each_once(span);
    for (size_t i = taken; i-- > 0;)
        EXPECT(put_one(span, (uintptr_t)objects[i]));
    EXPECT_EQ(take(span, 0, SIZE_CLASS_MAX_OBJS), span->objs);
    for (size_t i = 0; i < taken; i++)
        EXPECT(put_one(span, (uintptr_t)objects[i]));
}

TEST(span_gives_each_object_once)
{
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++)
        with_span(i, take_and_put_all);
}

static void reverse(size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        void *other = objects[i];
        objects[i] = objects[count - 1 - i];
        objects[count - 1 - i] = other;
    }
}

/* All of the span's objects go back in lots of neighbours, each of which ends with a word of the
 * bitmap at the latest. */
static void put_neighbours(struct bh_span *span, bool upwards)
{
    size_t taken = take(span, 0, SIZE_CLASS_MAX_OBJS);
    EXPECT_EQ(taken, span->objs);
    if (!upwards)
        reverse(taken);
    size_t lots = 0;
    for (size_t home = 0; home < taken; lots++) {
        size_t n = span_put(span, objects + home, taken - home);
        REQUIRE(n > 0);
        home += n;
    }
    EXPECT_EQ(lots, bitmap_words(span->objs));
    span->free_objs = span->objs;
    EXPECT_EQ(bitmap_count(span_bits(span), span->objs), span->objs);
}

/* What ends a run: something else, and a neighbour that is home already. */
static void end_runs(struct bh_span *span)
{
    size_t taken = take(span, 0, 3);
    static void *end_of_another[1];
    objects[taken] = end_of_another;
    EXPECT_EQ(put(span, taken + 1), taken);
    taken = take(span, 0, 3);
    if (taken < 3) {
        EXPECT_EQ(put(span, taken), taken);
        return;
    }
    EXPECT(put_one(span, (uintptr_t)objects[1]));
    EXPECT_EQ(put(span, 3), 1);
    objects[0] = objects[1];
    EXPECT_EQ(put(span, 3), 0);
    objects[0] = objects[2];
    EXPECT_EQ(put(span, 2), 1);
    objects[1] = objects[0]; /* twice, one after the other */
    EXPECT_EQ(put(span, 2), 0);
}

static void put_runs(struct bh_span *span)
{
    put_neighbours(span, true);
    put_neighbours(span, false);
    end_runs(span);
}

TEST(span_takes_a_run_of_its_objects)
{
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++)
        with_span(i, put_runs);
}

static void put_wrong_pointers(struct bh_span *span)
{
    uintptr_t end = span->base + (span->pages << PAGE_SHIFT);
    EXPECT(!put_one(span, span->base)); /* never taken */
    REQUIRE(take(span, 0, 1) == 1);
    uintptr_t object = (uintptr_t)objects[0];
    EXPECT(!put_one(span, object + 1));
    EXPECT(!put_one(span, object + span->object_bytes - 1));
    uintptr_t tail = span_object(span, span->objs);
    if (tail < end) {
        EXPECT(!put_one(span, tail));
        EXPECT(!put_one(span, end - 1));
    }
    EXPECT(put_one(span, object));
    EXPECT(!put_one(span, object));
}

TEST(span_knows_what_is_no_object)
{
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++)
        with_span(i, put_wrong_pointers);
}

TEST(span_of_one_large_object)
{
    harness_heap();
    struct bh_span *span = span_new_large(5, 4, KIND_MANUAL);
    REQUIRE(span);
    EXPECT_EQ(span->base % (4 * PAGE_BYTES), 0);
    EXPECT_EQ(span->objs, 1);
    EXPECT(span_is_object(span, span->base));
    EXPECT(!span_is_object(span, span->base + 16));
    EXPECT_EQ(span_idx(span, span->base + 5 * PAGE_BYTES - 1), 0);
    give_back(span);
}

TEST(span_of_a_collected_kind_has_two_clear_bitmaps)
{
    harness_heap();
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++) {
        struct bh_span *span = span_new_small(i, KIND_SCAN, i);
        REQUIRE(span && span->bits && span_mark_bits(span) != span->bits);
        EXPECT_EQ(bitmap_count(span->bits, span->objs), 0);
        EXPECT_EQ(bitmap_count(span_mark_bits(span), span->objs), 0);
        give_back(span);
    }
    bh_heap_verify();
}
