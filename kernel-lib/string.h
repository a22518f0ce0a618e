/* SPDX-License-Identifier: MIT */
/*
 * Strings and memory, as far as this project needs them. Nothing here is called strlen or memcmp:
 * a kernel has its own, and a compiler treats those names as its own property.
 */
#ifndef KERNEL_LIB_STRING_H
#define KERNEL_LIB_STRING_H

#include "kernel-lib/atomics.h"
#include <stdbool.h>
#include <stddef.h>

static inline size_t string_length(const char *s)
{
    size_t n = 0;
    while (s[n] != '\0') {
        compiler_barrier(); /* or the compiler would see strlen in this loop and call it */
        n++;
    }
    return n;
}

static inline bool string_equal(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* What follows `prefix` in `s`, or NULL when `s` does not start with it. */
static inline const char *string_after(const char *s, const char *prefix)
{
    while (*prefix != '\0') {
        if (*s++ != *prefix++)
            return NULL;
    }
    return s;
}

/* Whether all of [memory, memory + bytes) is `byte`. */
static inline bool memory_is_filled(const void *memory, unsigned char byte, size_t bytes)
{
    const unsigned char *at = memory;
    for (size_t i = 0; i < bytes; i++) {
        if (at[i] != byte)
            return false;
    }
    return true;
}

#endif
