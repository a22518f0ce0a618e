/* SPDX-License-Identifier: MIT */
/* Counts the instructions of an allocator's calls. The allocator is the image's: ours.c, newlib.c.
 */
#ifndef TESTS_COUNT_COUNT_H
#define TESTS_COUNT_COUNT_H

#include <stddef.h>
#include <stdint.h>

struct bh_gc_type;

/* NULL for a function that an allocator does not have. */
struct count_allocator {
    const char *name;
    void (*init)(void); /* makes the heap */
    void *(*malloc)(size_t bytes);
    void (*free)(void *object);
    void (*free_sized)(void *object, size_t bytes);
    void *(*realloc)(void *object, size_t bytes);
    void *(*calloc)(size_t count, size_t bytes);
    void *(*aligned_alloc)(size_t align, size_t bytes);
    void *(*collected)(size_t bytes);
    void *(*typed)(struct bh_gc_type *type);
    struct bh_gc_type *type; /* 16 bytes, both words of them pointers */
};

extern const struct count_allocator count_allocator;

/* --- clock_<cpu>.S: only under -icount shift=0, where an instruction is a tick ---------------- */

void count_clock_init(void);
uint64_t count_clock(void);

/* One instruction: the return. */
void *count_nothing(size_t a, size_t b);

#endif
