/* SPDX-License-Identifier: MIT */
/* What the collector's tests share: objects that can be counted, and pointers that do not count. */
#ifndef TESTS_GC_GC_TEST_H
#define TESTS_GC_GC_TEST_H

#include "tests/harness/harness.h"
#include <bareheap/gc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of so many objects that should be gone, a few may be held by words that only look like pointers:
 * dead stack slots and the like. */
#define TEST_LEFTOVERS 16

/* Whether this is a board that QEMU plays, and no process. */
bool test_is_emulated(void);

/* So many rounds on the host, an eighth of them under emulation, where a collection takes a second
 * when there are more cores than processors. */
unsigned test_rounds(unsigned rounds);

/* A node of lists and trees; `magic` says which test it belongs to. */
struct node {
    uint64_t magic;
    struct node *left;
    struct node *right;
    uint64_t value;
};

/* A new heap or the one there is, with the settings that tests change put back. To be called first.
 */
void test_begin(void);

/* A random number that no other test has, for `magic`. */
uint64_t test_magic(void);

/* A node, checked to be there and zero. Ends the image's run when memory is out. */
struct node *test_node(uint64_t magic, uint64_t value);

/* An array of `width` arrays of `width` nodes each, numbered by their `value`. */
void **test_wide_graph(uint64_t magic, size_t width);

/* Collected objects whose first word is `magic`. Only while no other core allocates. */
size_t test_count(uint64_t magic);

/* An address in a form that is no address. */
static inline uintptr_t test_hide(const void *object)
{
    return ~(uintptr_t)object;
}

static inline void *test_show(uintptr_t hidden)
{
    return (void *)~hidden; /* NOLINT: an address becomes a pointer again */
}

/* Whether the hidden object is still allocated. Only while no other core allocates. */
bool test_is_alive(uintptr_t hidden);

/* Overwrites the part of the stack below the caller, where calls that have returned left pointers.
 */
void test_wipe_stack(void);

/* Takes a list apart whose objects have the next one's address at `next_at`: a stale word somewhere
 * then keeps one object, not all behind it, which each collection of this boot would have to mark.
 */
void test_drop_list(void *first, size_t next_at);

/* test_wipe_stack() and bh_gc_collect(), which must succeed. */
void test_collect(void);

uint64_t test_cycles(void);
uint64_t test_abandoned(void);

/* Takes manual memory until about `bytes` are left; test_give_memory() gives it back. */
void test_take_memory(size_t bytes);
void test_give_memory(void);

#endif
