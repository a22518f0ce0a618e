/* SPDX-License-Identifier: MIT */
/*
 * Bitmaps of 64-bit words, bit i in word i / 64. Bits past the end of a map are kept zero by
 * its owner. Words are read with relaxed loads, which cost nothing, so that one core may look
 * while another changes bits with an atomic operation; what a bit found that way means is the
 * caller's to argue. Changes are not atomic.
 */
#ifndef KERNEL_LIB_BITMAP_H
#define KERNEL_LIB_BITMAP_H

#include "kernel-lib/atomics.h"
#include "kernel-lib/bits.h"

static inline size_t bitmap_words(size_t bits)
{
    return (bits + 63) / 64;
}

/* Relaxed: see above. */
static inline uint64_t bitmap_word(const uint64_t *map, size_t w)
{
    return atomic_load_relaxed(&map[w]);
}

static inline bool bitmap_test(const uint64_t *map, size_t i)
{
    return (bitmap_word(map, i / 64) >> (i % 64)) & 1;
}

static inline void bitmap_set(uint64_t *map, size_t i)
{
    map[i / 64] |= (uint64_t)1 << (i % 64);
}

static inline void bitmap_clear(uint64_t *map, size_t i)
{
    map[i / 64] &= ~((uint64_t)1 << (i % 64));
}

static inline size_t bitmap_count(const uint64_t *map, size_t bits)
{
    size_t n = 0;
    for (size_t w = 0; w < bitmap_words(bits); w++)
        n += bits_count(bitmap_word(map, w));
    return n;
}

/* The first bit at or after `from` that is set, or `bits` when there is none. */
static inline size_t bitmap_next_set(const uint64_t *map, size_t bits, size_t from)
{
    if (from >= bits)
        return bits;
    size_t w = from / 64;
    uint64_t word = bitmap_word(map, w) & (~(uint64_t)0 << (from % 64));
    while (word == 0) {
        if (++w >= bitmap_words(bits))
            return bits;
        word = bitmap_word(map, w);
    }
    size_t i = w * 64 + bits_lowest(word);
    return i < bits ? i : bits;
}

/* The first bit at or after `from` that is clear, or `bits` when there is none. */
static inline size_t bitmap_next_clear(const uint64_t *map, size_t bits, size_t from)
{
    if (from >= bits)
        return bits;
    size_t w = from / 64;
    uint64_t word = ~bitmap_word(map, w) & (~(uint64_t)0 << (from % 64));
    while (word == 0) {
        if (++w >= bitmap_words(bits))
            return bits;
        word = ~bitmap_word(map, w);
    }
    size_t i = w * 64 + bits_lowest(word);
    return i < bits ? i : bits;
}

/* Sets bits [from, to). */
static inline void bitmap_set_range(uint64_t *map, size_t from, size_t to)
{
    while (from < to) {
        size_t in_word = 64 - from % 64;
        size_t n = to - from < in_word ? to - from : in_word;
        uint64_t ones = n == 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
        map[from / 64] |= ones << (from % 64);
        from += n;
    }
}

#endif
