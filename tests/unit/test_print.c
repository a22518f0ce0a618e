/* SPDX-License-Identifier: MIT */
/* kernel-lib/print.h: every conversion, flag and length, and the edges of the buffer. */
#include "kernel-lib/print.h"
#include "kernel-lib/string.h"
#include "tests/harness/harness.h"

static char buffer[128];

/* The case fails with both texts when they differ. */
static void expect_text(size_t length, const char *expected)
{
    if (!EXPECT(string_equal(buffer, expected)))
        harness_note("printed \"%s\", expected \"%s\"", buffer, expected);
    EXPECT_EQ(length, string_length(expected));
}

#define EXPECT_PRINTS(expected, ...) \
    expect_text(print_format(buffer, sizeof(buffer), __VA_ARGS__), expected)

TEST(print_plain_text)
{
    EXPECT_PRINTS("", "%s", "");
    EXPECT_PRINTS("no conversions", "no conversions");
    EXPECT_PRINTS("100%", "100%%");
}

TEST(print_strings)
{
    const char *volatile nothing = NULL;
    EXPECT_PRINTS("a word", "a %s", "word");
    EXPECT_PRINTS("[   ab]", "[%5s]", "ab");
    EXPECT_PRINTS("[ab   ]", "[%-5s]", "ab");
    EXPECT_PRINTS("[abcdef]", "[%3s]", "abcdef");
    EXPECT_PRINTS("[abc]", "[%.3s]", "abcdef");
    EXPECT_PRINTS("[  ab]", "[%*.*s]", 4, 2, "abcdef");
    EXPECT_PRINTS("[]", "[%.0s]", "abcdef");
    EXPECT_PRINTS("(null)", "%s", nothing);
    EXPECT_PRINTS("[x] [  x] [x  ]", "[%c] [%3c] [%-3c]", 'x', 'x', 'x');
}

/* A precision bounds what is read: the array has no zero at its end. */
TEST(print_string_without_end)
{
    const char four[4] = {'f', 'o', 'u', 'r'};
    EXPECT_PRINTS("four", "%.4s", four);
}

TEST(print_signed_numbers)
{
    EXPECT_PRINTS("0 7 -7", "%d %d %i", 0, 7, -7);
    EXPECT_PRINTS("-2147483648 2147483647", "%d %d", INT32_MIN, INT32_MAX);
    EXPECT_PRINTS("-9223372036854775808", "%ld", INT64_MIN);
    EXPECT_PRINTS("9223372036854775807", "%lld", (long long)INT64_MAX);
    EXPECT_PRINTS("[   -5]", "[%5d]", -5);
    EXPECT_PRINTS("[-0005]", "[%05d]", -5);
    EXPECT_PRINTS("[-5   ]", "[%-5d]", -5);
    EXPECT_PRINTS("[   42]", "[%*d]", 5, 42);
}

TEST(print_unsigned_numbers)
{
    EXPECT_PRINTS("0 4294967295", "%u %u", 0u, UINT32_MAX);
    EXPECT_PRINTS("18446744073709551615", "%lu", UINT64_MAX);
    EXPECT_PRINTS("18446744073709551615", "%zu", SIZE_MAX);
    EXPECT_PRINTS("1.007", "%lu.%03lu", 1ul, 7ul);
    EXPECT_PRINTS("deadbeef 0", "%x %x", 0xdeadbeefu, 0u);
    EXPECT_PRINTS("ffffffffffffffff", "%llx", ~0ull);
    EXPECT_PRINTS("00c0ffee", "%08x", 0xc0ffeeu);
    EXPECT_PRINTS("0xc0ffee 0x0000001f", "%#x %#010x", 0xc0ffeeu, 0x1fu);
    EXPECT_PRINTS("0x1000", "%p", (void *)0x1000);
    EXPECT_PRINTS("[    0x1f]", "[%8p]", (void *)0x1f);
}

TEST(print_unknown_conversion_shows)
{
    const char *volatile wrong = "%5q and %";
    /* The compiler checks literal formats; this one comes from a variable. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
    size_t length = print_format(buffer, sizeof(buffer), wrong);
#pragma GCC diagnostic pop
    expect_text(length, "%5q and %");
}

/* For every room from none to plenty: cut there, ended by a zero, nothing written behind. */
TEST(print_stays_in_the_buffer)
{
    static const char text[] = "value 12345 end";
    for (size_t room = 0; room <= sizeof(text) + 2; room++) {
        for (size_t i = 0; i < sizeof(buffer); i++)
            buffer[i] = '#';
        EXPECT_EQ(print_format(buffer, room, "value %d %s", 12345, "end"), sizeof(text) - 1);
        size_t kept = room < sizeof(text) ? room : sizeof(text);
        for (size_t i = 0; i + 1 < kept; i++)
            EXPECT_EQ(buffer[i], text[i]);
        EXPECT(kept == 0 || buffer[kept - 1] == '\0');
        EXPECT(memory_is_filled(buffer + kept, '#', sizeof(buffer) - kept));
    }
}
