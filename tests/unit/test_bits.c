/* SPDX-License-Identifier: MIT */
/* kernel-lib/bits.h and string.h against the obvious way to compute the same. */
#include "kernel-lib/bits.h"
#include "kernel-lib/string.h"
#include "tests/harness/harness.h"

TEST(bits_powers_of_two)
{
    EXPECT(!bits_is_power_of_two(0));
    for (unsigned shift = 0; shift < 64; shift++) {
        size_t n = (size_t)1 << shift;
        EXPECT(bits_is_power_of_two(n));
        EXPECT(shift < 2 || !bits_is_power_of_two(n - 1));
        EXPECT(shift < 1 || !bits_is_power_of_two(n + 1));
    }
}

TEST(bits_logarithm_and_lowest)
{
    for (unsigned shift = 0; shift < 64; shift++) {
        uint64_t n = (uint64_t)1 << shift;
        EXPECT_EQ(bits_log2(n), shift);
        EXPECT_EQ(bits_log2(n | (n - 1)), shift);
        EXPECT_EQ(bits_lowest(n), shift);
        EXPECT_EQ(bits_lowest(~(uint64_t)0 << shift), shift);
    }
}

TEST(bits_rounding)
{
    for (unsigned i = 0; i < 1000; i++) {
        size_t align = (size_t)1 << harness_random_below(30);
        size_t n = harness_random_below((uint64_t)1 << 40);
        size_t up = bits_round_up(n, align);
        size_t down = bits_round_down(n, align);
        EXPECT(up >= n && up - n < align && up % align == 0);
        EXPECT(down <= n && n - down < align && down % align == 0);
    }
}

TEST(bits_counting)
{
    EXPECT_EQ(bits_count(0), 0);
    EXPECT_EQ(bits_count(~(uint64_t)0), 64);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t n = harness_random();
        unsigned count = 0;
        for (unsigned b = 0; b < 64; b++)
            count += (unsigned)((n >> b) & 1);
        EXPECT_EQ(bits_count(n), count);
    }
}

TEST(string_helpers)
{
    EXPECT_EQ(string_length(""), 0);
    EXPECT_EQ(string_length("four"), 4);
    EXPECT(string_equal("", "") && string_equal("same", "same"));
    EXPECT(!string_equal("", "x") && !string_equal("x", "") && !string_equal("ab", "ac"));
    EXPECT(string_equal(string_after("mem=64", "mem="), "64"));
    EXPECT(string_equal(string_after("mem=", "mem="), ""));
    EXPECT(string_after("me", "mem=") == NULL);
    EXPECT(string_after("", "x") == NULL);
}

TEST(memory_filled)
{
    unsigned char bytes[67];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = 0xa5;
    EXPECT(memory_is_filled(bytes, 0xa5, sizeof(bytes)));
    EXPECT(memory_is_filled(bytes, 0, 0));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = 0xa4;
        EXPECT(!memory_is_filled(bytes, 0xa5, sizeof(bytes)));
        EXPECT(memory_is_filled(bytes, 0xa5, i));
        bytes[i] = 0xa5;
    }
}
