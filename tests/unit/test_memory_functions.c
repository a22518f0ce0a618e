/* SPDX-License-Identifier: MIT */
/*
 * memcpy, memmove, memset and memcmp against loops over bytes, at every alignment and around the
 * sizes at which they change their step. On the boards that is boards/common/string.c, on the host
 * the C library. Calls go through pointers, else the compiler would answer them by itself.
 */
#include "tests/harness/harness.h"

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

static void *(*volatile copy)(void *restrict, const void *restrict, size_t) = memcpy;
static void *(*volatile move)(void *, const void *, size_t) = memmove;
static void *(*volatile set)(void *, int, size_t) = memset;
static int (*volatile compare)(const void *, const void *, size_t) = memcmp;

#define ARENA_BYTES    256
#define SHIFT_MAX      16
#define SIZE_MAX_BYTES 100

static unsigned char arena[ARENA_BYTES];
static unsigned char before[ARENA_BYTES];

static void arena_fill(void)
{
    for (size_t i = 0; i < ARENA_BYTES; i++)
        before[i] = arena[i] = (unsigned char)harness_random();
}

/* Whether arena is what `before` was with [to, to + bytes) replaced by before's [from, ...). */
static bool arena_moved(size_t to, size_t from, size_t bytes)
{
    for (size_t i = 0; i < ARENA_BYTES; i++) {
        bool inside = i >= to && i - to < bytes;
        if (arena[i] != (inside ? before[from + (i - to)] : before[i]))
            return false;
    }
    return true;
}

TEST(memcpy_copies_exactly)
{
    for (size_t bytes = 0; bytes <= SIZE_MAX_BYTES; bytes++)
        for (size_t shift = 0; shift < SHIFT_MAX; shift++) {
            size_t to = harness_random_below(SHIFT_MAX);
            size_t from = ARENA_BYTES / 2 + shift;
            arena_fill();
            REQUIRE(copy(arena + to, arena + from, bytes) == arena + to);
            REQUIRE(arena_moved(to, from, bytes));
        }
}

TEST(memmove_moves_over_itself_both_ways)
{
    for (size_t bytes = 0; bytes <= SIZE_MAX_BYTES; bytes++)
        for (size_t distance = 0; distance <= 2 * SHIFT_MAX; distance++) {
            size_t low = harness_random_below(SHIFT_MAX);
            arena_fill();
            REQUIRE(move(arena + low, arena + low + distance, bytes) == arena + low);
            REQUIRE(arena_moved(low, low + distance, bytes));
            arena_fill();
            REQUIRE(move(arena + low + distance, arena + low, bytes) == arena + low + distance);
            REQUIRE(arena_moved(low + distance, low, bytes));
        }
}

TEST(memset_sets_exactly)
{
    for (size_t bytes = 0; bytes <= SIZE_MAX_BYTES; bytes++)
        for (size_t to = 0; to < SHIFT_MAX; to++) {
            arena_fill();
            REQUIRE(set(arena + to, 0x1a5, bytes) == arena + to);
            for (size_t i = 0; i < ARENA_BYTES; i++)
                REQUIRE(arena[i] == (i >= to && i - to < bytes ? 0xa5 : before[i]));
        }
}

TEST(memcmp_finds_the_first_difference)
{
    for (size_t bytes = 1; bytes <= SIZE_MAX_BYTES; bytes++) {
        arena_fill();
        size_t at = harness_random_below(bytes);
        REQUIRE(compare(arena, before, bytes) == 0);
        arena[at] = 0xff;
        before[at] = 0x01;
        /* A later difference the other way must not count. */
        arena[bytes] = 0x00;
        before[bytes] = 0xff;
        REQUIRE(compare(arena, before, bytes + 1) > 0);
        REQUIRE(compare(before, arena, bytes + 1) < 0);
        REQUIRE(compare(arena, before, at) == 0);
    }
}
