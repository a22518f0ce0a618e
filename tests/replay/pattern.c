/* SPDX-License-Identifier: MIT */
/*
 * Contents of objects: a word that follows from the object's id and the word's place in it, cheap
 * to make and to compare again.
 *
 * 1. Word k of object `id` is seed(id) + k * step, with 18 of its bits fixed (below).
 * 2. The bytes behind the last whole word are the low bytes of the word that would be there.
 * 3. Two objects differ in most byte columns for most pairs of ids, two words of an object
 *    always do: a copy to a wrong place is found as well as a stray store.
 *
 * Contents never keep another object alive in a conservative scan: no word of an object is the
 * address of RAM, neither a whole one nor the last one, whose missing bytes are zero:
 *
 *   bytes there   what they look like          because
 *   8             an address on neither CPU    bits 63 and 62 of an address are equal
 *   1 to 3        at most 0xffff               byte 2 is 0
 *   4             0xf0000000 or more           byte 3 is 0xf0 or more
 *   5 to 7        0xf0_f0000000 or more        byte 4 is too
 *
 * where the boards have no RAM (under MEM=2816M). Without the fixed bits in bytes 2 to 4, objects
 * with odd sizes keep up to 150 dropped ones alive where RAM begins at a few MiB, as on
 * qemu-x86_64.
 *
 * Not here: which part of an object has the pattern and which holds links (graph.c).
 */
#include "kernel-lib/bits.h"
#include "tests/replay/replay.h"

#define PATTERN_STEP 0x9e3779b97f4a7c15u /* 2^64 / golden ratio: odd, all bits in play */
#define PATTERN_SEED 0xd1342543de82ef95u /* odd, so that ids map to different seeds */
#define PATTERN_SET  0x800000f0f0000000u /* bits that are 1 in every word */
#define PATTERN_FREE 0x3fffff0f0f00ffffu /* bits that depend on object and place */

static inline uint64_t pattern_seed(uint32_t id)
{
    return ((uint64_t)id + 1) * PATTERN_SEED;
}

static inline uint64_t pattern_word(uint64_t seed, size_t k)
{
    return ((seed + k * PATTERN_STEP) & PATTERN_FREE) | PATTERN_SET;
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
