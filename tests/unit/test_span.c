/* SPDX-License-Identifier: MIT */
/* alloc/span.h: objects in and out of one span of every class, and what is no object. */
#include "alloc/page_heap.h"
#include "alloc/span.h"
#include "tests/unit/heap_test.h"

/* A span that nobody else knows: the centrals' locks and lists are not involved. */
static void with_span_after(unsigned size_class, size_t spans, void (*fn)(struct bh_span *span))
{
    harness_heap();
    struct bh_span *span = span_new_small(size_class, KIND_MANUAL, spans);
    REQUIRE(span);
    fn(span);
    EXPECT_EQ(span->free_objs, span->objs);
    span_free(span);
}

/* Short and long. */
static void with_span(unsigned size_class, void (*fn)(struct bh_span *span))
{
    with_span_after(size_class, 0, fn);
    with_span_after(size_class, SIZE_MAX, fn);
}

static void *objects[SIZE_CLASS_MAX_OBJS];

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

static enum span_crime put_one(struct bh_span *span, uintptr_t address)
{
    enum span_crime crime = SPAN_OK;
    void *object = (void *)address; /* NOLINT: an address becomes memory */
    void **stop = span_put(span, &object, &object + 1, &crime);
    EXPECT_EQ(stop - &object, crime == SPAN_OK);
    return crime;
}

/* Two cores that take their objects in turn get none in one cache line, as long as there are lines.
 */
static void take_lines_in_turn(struct bh_span *span)
{
    size_t n = span_line_objs(span->object_bytes);
    size_t taken = 0;
    while (taken + n <= span->objs / n * n) {
        REQUIRE(span_take(span, objects + taken, n) == n);
        EXPECT_EQ((uintptr_t)objects[taken] % ARCH_CACHE_LINE, 0);
        EXPECT_EQ((uintptr_t)objects[taken + n - 1],
                  (uintptr_t)objects[taken] + (n - 1) * span->object_bytes);
        taken += n;
    }
    size_t single = n > 1 ? 1 : 0; /* a line of which one object has come back is taken last */
    for (size_t i = 0; i < taken; i++)
        EXPECT_EQ(put_one(span, (uintptr_t)objects[i]), SPAN_OK);
    REQUIRE(span_take(span, objects, single) == single);
    REQUIRE(span_take(span, objects + single, n) == n);
    EXPECT_EQ((uintptr_t)objects[single] % ARCH_CACHE_LINE, 0);
    for (size_t i = 0; i < single + n; i++)
        EXPECT_EQ(put_one(span, (uintptr_t)objects[i]), SPAN_OK);
}

TEST(span_gives_whole_cache_lines_first)
{
    for (unsigned i = 1; size_classes[i].object_bytes < ARCH_CACHE_LINE; i++)
        with_span(i, take_lines_in_turn);
}

static void take_and_put_all(struct bh_span *span)
{
    size_t taken = 0;
    for (size_t n; (n = span_take(span, objects + taken, 7)) > 0;)
        taken += n;
    EXPECT_EQ(taken, span->objs);
    EXPECT_EQ(span->free_objs, 0);
    expect_each_once(span);
    for (size_t i = taken; i-- > 0;)
        EXPECT_EQ(put_one(span, (uintptr_t)objects[i]), SPAN_OK);
    EXPECT_EQ(span_take(span, objects, SIZE_CLASS_MAX_OBJS), span->objs);
    for (size_t i = 0; i < taken; i++)
        EXPECT_EQ(put_one(span, (uintptr_t)objects[i]), SPAN_OK);
}

TEST(span_gives_each_object_once)
{
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++)
        with_span(i, take_and_put_all);
}

/* A run of objects of the span, and what ends it. */
static void put_runs(struct bh_span *span)
{
    enum span_crime crime = SPAN_OK;
    size_t taken = span_take(span, objects, 3);
    static void *end_of_another[1];
    objects[taken] = end_of_another;
    EXPECT_EQ(span_put(span, objects, objects + taken + 1, &crime) - objects, taken);
    EXPECT_EQ(crime, SPAN_OK);
    EXPECT_EQ(span->free_objs, span->objs);
    taken = span_take(span, objects, 2);
    objects[taken] = objects[0];
    EXPECT_EQ(span_put(span, objects, objects + taken + 1, &crime) - objects, taken);
    EXPECT_EQ(crime, SPAN_TWICE);
}

TEST(span_takes_a_run_of_its_objects)
{
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++)
        with_span(i, put_runs);
}

static void put_wrong_pointers(struct bh_span *span)
{
    uintptr_t end = span->base + (span->pages << PAGE_SHIFT);
    EXPECT_EQ(put_one(span, span->base), SPAN_TWICE); /* never taken */
    REQUIRE(span_take(span, objects, 1) == 1);
    uintptr_t object = (uintptr_t)objects[0];
    EXPECT_EQ(put_one(span, object + 1), SPAN_INTERIOR);
    EXPECT_EQ(put_one(span, object + span->object_bytes - 1), SPAN_INTERIOR);
    uintptr_t tail = span_object(span, span->objs);
    if (tail < end) {
        EXPECT_EQ(put_one(span, tail), SPAN_INTERIOR);
        EXPECT_EQ(put_one(span, end - 1), SPAN_INTERIOR);
    }
    EXPECT_EQ(put_one(span, object), SPAN_OK);
    EXPECT_EQ(put_one(span, object), SPAN_TWICE);
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
    span_free(span);
}

TEST(span_of_a_collected_kind_has_two_clear_bitmaps)
{
    harness_heap();
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++) {
        struct bh_span *span = span_new_small(i, KIND_SCAN, i);
        REQUIRE(span && span->bits && span_mark_bits(span) != span->bits);
        EXPECT_EQ(bitmap_count(span->bits, span->objs), 0);
        EXPECT_EQ(bitmap_count(span_mark_bits(span), span->objs), 0);
        span_free(span);
    }
    bh_heap_verify();
}
