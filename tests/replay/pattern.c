/* SPDX-License-Identifier: MIT */
/*
 * Contents of objects: a word that follows from the object's id and the word's place in it, cheap
 * to make and to compare again.
 *
 * 1. Word k of object `id` is seed(id) + k * step, with its two top bits set to 10. Such a word is
 *    an address on neither CPU (bits 63 and 62 of an address are equal), so contents never keep
 *    another object alive in a conservative scan.
 * 2. The bytes behind the last whole word are the low bytes of the word that would be there.
 * 3. Two objects differ in every byte column for most pairs of ids, two words of an object
 *    always do: a copy to a wrong place is found as well as a stray store.
 *
 * Not here: which part of an object has the pattern and which holds links (graph.c).
 */
#include "kernel-lib/bits.h"
#include "tests/replay/replay.h"

#define PATTERN_STEP 0x9e3779b97f4a7c15u /* 2^64 / golden ratio: odd, all bits in play */
#define PATTERN_SEED 0xd1342543de82ef95u /* odd, so that ids map to different seeds */
#define PATTERN_TOP  0x8000000000000000u
#define PATTERN_MASK 0x3fffffffffffffffu

static inline uint64_t pattern_seed(uint32_t id)
{
    return ((uint64_t)id + 1) * PATTERN_SEED;
}

static inline uint64_t pattern_word(uint64_t seed, size_t k)
{
    return ((seed + k * PATTERN_STEP) & PATTERN_MASK) | PATTERN_TOP;
}

/* Objects under 16 bytes may lie at any address, hence no plain word accesses. */
static inline uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    __builtin_memcpy(&word, at, sizeof(word));
    return word;
}

uint8_t pattern_byte(uint32_t id, size_t offset)
{
    return (uint8_t)(pattern_word(pattern_seed(id), offset / 8) >> (offset % 8 * 8));
}

void pattern_fill(void *base, uint32_t id, size_t from, size_t to)
{
    uint8_t *bytes = base;
    uint64_t seed = pattern_seed(id);
    size_t at = from;

    for (; at + 8 <= to; at += 8) {
        uint64_t word = pattern_word(seed, at / 8);
        __builtin_memcpy(bytes + at, &word, sizeof(word));
    }
    for (; at < to; at++)
        bytes[at] = pattern_byte(id, at);
}

size_t pattern_check(const void *base, uint32_t id, size_t from, size_t to)
{
    const uint8_t *bytes = base;
    uint64_t seed = pattern_seed(id);
    size_t at = from;

    while (at + 8 <= to && load_word(bytes + at) == pattern_word(seed, at / 8))
        at += 8;
    while (at < to && bytes[at] == pattern_byte(id, at))
        at++;
    return at;
}

size_t pattern_check_zero(const void *base, size_t bytes)
{
    const uint8_t *from = base;
    size_t at = 0;

    while (at + 8 <= bytes && load_word(from + at) == 0)
        at += 8;
    while (at < bytes && from[at] == 0)
        at++;
    return at;
}
