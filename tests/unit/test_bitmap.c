/* SPDX-License-Identifier: MIT */
/* kernel-lib/bitmap.h against an array of bool, one per bit. */
#include "kernel-lib/bitmap.h"
#include "tests/harness/harness.h"
#include <bareheap/port.h>

#define MODEL_MAX_BITS 200

static uint64_t map[(MODEL_MAX_BITS + 63) / 64];
static bool model[MODEL_MAX_BITS];

/* Random contents of `bits` bits, denser or sparser from call to call. */
static void model_fill(size_t bits)
{
    uint64_t density = harness_random_below(5); /* 0: none, 4: all */
    for (size_t i = 0; i < MODEL_MAX_BITS; i++) {
        model[i] = i < bits && harness_random_below(4) < density;
        if (model[i])
            bitmap_set(map, i);
        else
            bitmap_clear(map, i);
    }
}

static size_t model_next(size_t bits, size_t from, bool wanted)
{
    while (from < bits && model[from] != wanted)
        from++;
    return from < bits ? from : bits;
}

static void expect_same(size_t bits)
{
    size_t count = 0;
    for (size_t i = 0; i < bits; i++) {
        count += model[i];
        EXPECT_EQ(bitmap_test(map, i), model[i]);
        EXPECT_EQ(bitmap_next_set(map, bits, i), model_next(bits, i, true));
        EXPECT_EQ(bitmap_next_clear(map, bits, i), model_next(bits, i, false));
    }
    EXPECT_EQ(bitmap_count(map, bits), count);
    EXPECT_EQ(bitmap_next_set(map, bits, bits), bits);
    EXPECT_EQ(bitmap_next_clear(map, bits, bits + 1), bits);
}

TEST(bitmap_words_needed)
{
    EXPECT_EQ(bitmap_words(0), 0);
    EXPECT_EQ(bitmap_words(1), 1);
    EXPECT_EQ(bitmap_words(64), 1);
    EXPECT_EQ(bitmap_words(65), 2);
}

TEST(bitmap_like_the_model)
{
    for (unsigned i = 0; i < 50; i++) {
        size_t bits = 1 + harness_random_below(MODEL_MAX_BITS);
        model_fill(bits);
        expect_same(bits);
    }
}

TEST(bitmap_ranges_like_the_model)
{
    for (unsigned i = 0; i < 200; i++) {
        size_t from = harness_random_below(MODEL_MAX_BITS + 1);
        size_t to = from + harness_random_below(MODEL_MAX_BITS - from + 1);
        model_fill(i % 2 ? MODEL_MAX_BITS : 0);
        for (size_t bit = from; bit < to; bit++)
            model[bit] = true;
        bitmap_set_range(map, from, to);
        expect_same(MODEL_MAX_BITS);
    }
}
