/* SPDX-License-Identifier: MIT */
/* Where marking starts: registered ranges, stacks and registers, pinned objects. How: roots.c. */
#ifndef GC_ROOTS_H
#define GC_ROOTS_H

#include <stddef.h>
#include <stdint.h>

/* [lo, hi), addresses. */
struct roots_range {
    uintptr_t lo;
    uintptr_t hi;
};

enum roots_kind {
    ROOTS_GLOBAL,  /* a registered range */
    ROOTS_STACK,   /* a stack or a copy of registers */
    ROOTS_PIN,     /* the table of pinned objects */
    ROOTS_SERVICE, /* contents and arguments of finalizers and cleanups, manual objects scanned */
    ROOTS_KINDS
};

/*
 * Calls visit for every range of memory whose words are roots: whole aligned words, not empty.
 * These are the jobs of the root scan. All cores stopped.
 */
void roots_each(void (*visit)(enum roots_kind kind, uintptr_t lo, uintptr_t hi, void *arg),
                void *arg);

/* Asked by bh_gc_free() about an object that is noted (special.h): panics when it is pinned. NULL
 * before the first pin: kernels that do without link none of it. */
extern void (*roots_pin_hook)(const void *object, uintptr_t caller);

/* Copies the aligned words in [lo, hi) of a stack: memory of which the compiler knows nothing. */
void roots_copy_words(uintptr_t *to, uintptr_t lo, uintptr_t hi);

/* For code that reads foreign stacks and globals as words: no sanitizer has a say in it. */
#define ROOTS_RAW_READS __attribute__((no_sanitize("address"), no_sanitize("thread"), noinline))

/* A word of memory of any type, which a parked core may write meanwhile; as above, but inline where
 * no sanitizer is. */
__attribute__((no_sanitize("address"), no_sanitize("thread"))) static inline uintptr_t
roots_word(uintptr_t at)
{
    return *(const volatile uintptr_t *)at; /* NOLINT: an address becomes memory */
}

#endif
