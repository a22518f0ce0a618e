/* SPDX-License-Identifier: MIT */
/*
 * What the programs of this folder share. They are ordinary programs that call malloc;
 * tests/preload/ selftest.py runs them with the preload library. A program says what failed on
 * standard error and ends with 1; "ok" and 0 say that all was well.
 */
#ifndef TESTS_PRELOAD_EXPECT_H
#define TESTS_PRELOAD_EXPECT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXPECT(cond) expect((cond), #cond, __FILE__, __LINE__)

/* The first thing that is not so ends the program: what comes after it may depend on it. */
static inline void expect(bool good, const char *text, const char *file, int line)
{
    if (good)
        return;
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, text);
    _exit(1);
}

/* An object's contents follow from its address and size, so that a second owner is noticed. */
static inline void fill(void *object, size_t bytes)
{
    memset(object, (int)((uintptr_t)object >> 4 ^ bytes), bytes);
}

static inline bool is_filled(const void *object, size_t bytes)
{
    unsigned char want = (unsigned char)((uintptr_t)object >> 4 ^ bytes);
    for (size_t i = 0; i < bytes; i++)
        if (((const unsigned char *)object)[i] != want)
            return false;
    return true;
}

/* Small pseudo-random numbers: the generator of POSIX's rand_r example is good enough. */
static inline uint32_t next_random(uint32_t *state)
{
    *state = *state * 1103515245u + 12345u;
    return *state >> 8;
}

#endif
