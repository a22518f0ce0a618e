/* SPDX-License-Identifier: MIT */
/* Powers of two, logarithms and rounding on size_t. All constant-time, none defined for wrap. */
#ifndef KERNEL_LIB_BITS_H
#define KERNEL_LIB_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool bits_is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* Rounds up to a multiple of `align`, a power of two. The caller knows that it does not wrap. */
static inline size_t bits_round_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

static inline size_t bits_round_down(size_t n, size_t align)
{
    return n & ~(align - 1);
}

/* floor(log2(n)), n > 0. */
static inline unsigned bits_log2(uint64_t n)
{
    return 63u - (unsigned)__builtin_clzll(n);
}

/* The index of the lowest set bit, n > 0. */
static inline unsigned bits_lowest(uint64_t n)
{
    return (unsigned)__builtin_ctzll(n);
}

static inline unsigned bits_count(uint64_t n)
{
    /* Not __builtin_popcountll: without a CPU flag gcc calls the compiler's runtime for it. */
    n -= (n >> 1) & 0x5555555555555555u;
    n = (n & 0x3333333333333333u) + ((n >> 2) & 0x3333333333333333u);
    n = (n + (n >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (unsigned)((n * 0x0101010101010101u) >> 56);
}

#endif
