/* SPDX-License-Identifier: MIT */
/* alloc/size_classes.h: what the generator promises, checked for every size and every offset. */
#include "alloc/span.h"
#include "tests/harness/harness.h"

/* A class that `bytes` fit in, and none that would do with less room. */
static bool is_best_class(unsigned size_class, size_t bytes)
{
    bool fits = bytes <= size_classes[size_class].object_bytes;
    return fits &&
           (size_class == SIZE_CLASS_LEAST || size_classes[size_class - 1].object_bytes < bytes);
}

TEST(size_class_fits_every_size)
{
    EXPECT_EQ(size_class_for(0), SIZE_CLASS_LEAST);
    for (size_t bytes = 1; bytes <= SIZE_CLASS_MAX; bytes++) {
        unsigned size_class = size_class_for(bytes);
        REQUIRE(size_class >= 1 && size_class < SIZE_CLASS_COUNT);
        REQUIRE(is_best_class(size_class, bytes));
    }
}

TEST(size_class_wastes_an_eighth_at_most)
{
    for (size_t bytes = 128; bytes <= SIZE_CLASS_MAX; bytes++) {
        size_t room = size_classes[size_class_for(bytes)].object_bytes;
        if (!EXPECT((room - bytes) * 8 <= room))
            harness_note("%zu bytes get %zu", bytes, room);
    }
}

TEST(size_class_wastes_under_16_bytes_below_128)
{
    for (size_t bytes = 9; bytes < 128; bytes++)
        EXPECT(size_classes[size_class_for(bytes)].object_bytes - bytes < 16);
}

/* What is left over behind the last object of a long span. */
TEST(size_class_tail_is_a_50th_at_most)
{
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++) {
        size_t span_bytes = size_classes[i].pages * PAGE_BYTES;
        size_t used_bytes = (size_t)size_classes[i].objs * size_classes[i].object_bytes;
        EXPECT(used_bytes <= span_bytes);
        EXPECT((span_bytes - used_bytes) * 50 <= span_bytes);
        EXPECT(span_bytes - used_bytes < size_classes[i].object_bytes);
    }
}

/* A class begins with the fewest pages that hold an object, and its short spans together waste no
 * more than half of a long one by their tails. */
TEST(size_class_short_spans_waste_little)
{
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++) {
        const struct size_class *info = &size_classes[i];
        size_t tail = info->short_pages * PAGE_BYTES % info->object_bytes;
        EXPECT_EQ(info->short_pages, (info->object_bytes + PAGE_BYTES - 1) / PAGE_BYTES);
        EXPECT(info->short_pages <= info->pages);
        EXPECT_EQ(info->short_spans == 0, info->short_pages == info->pages);
        EXPECT(2 * tail * info->short_spans <= info->pages * PAGE_BYTES);
    }
}

static void expect_reciprocal(const struct size_class *info)
{
    struct bh_span span = {.object_bytes = info->object_bytes, .reciprocal = info->reciprocal};
    for (uint32_t offset = 0; offset <= info->pages * PAGE_BYTES; offset++)
        REQUIRE(span_idx(&span, offset) == offset / info->object_bytes);
}

TEST(size_class_reciprocal_is_exact)
{
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++)
        expect_reciprocal(&size_classes[i]);
}

/* Of every offset in a span: whether it is an object's first byte, the tail's being none's. */
static void expect_objects(const struct size_class *info, size_t pages)
{
    uint32_t bytes = info->object_bytes;
    uint32_t span_bytes = (uint32_t)(pages * PAGE_BYTES);
    struct bh_span span = {.base = (uintptr_t)1 << 30,
                           .object_bytes = bytes,
                           .reciprocal = info->reciprocal,
                           .objs = (uint16_t)(span_bytes / bytes)};
    for (uint32_t offset = 0; offset < span_bytes; offset++) {
        bool is_first = offset % bytes == 0 && offset / bytes < span.objs;
        REQUIRE(span_is_object(&span, span.base + offset) == is_first);
    }
    REQUIRE(span_object(&span, span.objs - 1) + bytes <= span.base + span_bytes);
}

TEST(size_class_objects_are_told_from_their_insides)
{
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++) {
        expect_objects(&size_classes[i], size_classes[i].pages);
        expect_objects(&size_classes[i], size_classes[i].short_pages);
    }
}

TEST(size_class_objects_are_aligned)
{
    for (unsigned i = 2; i < SIZE_CLASS_COUNT; i++)
        EXPECT_EQ(size_classes[i].object_bytes % 16, 0);
    EXPECT_EQ(size_classes[1].object_bytes, 8);
}

/* The aligned requests rely on it: every power of two up to the largest class is a class. */
TEST(size_class_has_every_power_of_two)
{
    size_t least = size_classes[SIZE_CLASS_LEAST].object_bytes;
    for (size_t bytes = least; bytes <= SIZE_CLASS_MAX; bytes *= 2)
        EXPECT_EQ(size_classes[size_class_for(bytes)].object_bytes, bytes);
}

TEST(size_class_counts_fit_their_fields)
{
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++) {
        const struct size_class *info = &size_classes[i];
        EXPECT(info->objs >= 1 && info->objs <= SIZE_CLASS_MAX_OBJS);
        EXPECT(info->batch >= 1 && info->batch <= SIZE_CLASS_MAX_BATCH);
        EXPECT(info->slots >= 1 && info->slots <= SIZE_CLASS_MAX_SLOTS);
    }
}
