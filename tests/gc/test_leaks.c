/* SPDX-License-Identifier: MIT */
/*
 * The leak report: what holds a manual object and what does not.
 *
 * What is counted is counted in a boot of its own, without the leaks of other tests and without the
 * stale words that they leave, which lead to where the allocator puts the next objects. A few
 * objects may still be held by words that only look like pointers: the tests allow for that.
 */
#include "alloc/walk.h"
#include "kernel-lib/check.h"
#include "kernel-lib/string.h"
#include "tests/gc/gc_test.h"
#include <bareheap/port.h>

enum { MANY = 200 };

/* Garbage holds more than what lies in it: twice what is usual. */
#define LEFTOVERS (2 * TEST_LEFTOVERS)

/* Volatile: or the writes would be left out. */
static void *volatile root;
static uintptr_t hidden[MANY];

static size_t leaks(void)
{
    test_wipe_stack();
    size_t count = bh_gc_report_leaks(0);
    EXPECT(count != SIZE_MAX);
    return count;
}

/* What `make` leaves behind adds up to about `expected` leaks; with `drop` they are gone. */
static void expect_leaks(void (*make)(void), size_t expected, void (*drop)(void))
{
    test_begin();
    EXPECT(bh_gc_alloc(8) != NULL);
    size_t before = leaks();
    make();
    size_t found = leaks() - before;
    if (!EXPECT(found <= expected && found + LEFTOVERS >= expected))
        harness_note("%zu leaks of %zu expected", found, expected);
    drop();
    root = NULL;
    test_collect();
    EXPECT(leaks() <= before + LEFTOVERS);
}

static __attribute__((noinline)) void make_hidden(void)
{
    for (size_t i = 0; i < MANY; i++)
        hidden[i] = test_hide(bh_malloc(16 + i * 7));
}

static __attribute__((noinline)) void free_hidden(void)
{
    for (size_t i = 0; i < MANY; i++) {
        bh_free(test_show(hidden[i]));
        hidden[i] = 0;
    }
}

TEST_ALONE(leaks_of_every_size_are_found)
{
    expect_leaks(make_hidden, MANY, free_hidden);
}

/* ---- what holds an object ---- */

/* root -> a table, manual -> objects, by interior pointers and by such past their ends. */
static __attribute__((noinline)) void make_table(void)
{
    char **table = bh_malloc(MANY * sizeof(char *));
    for (size_t i = 0; i < MANY; i++) {
        size_t bytes = 16 + i * 7;
        char *object = bh_malloc(bytes);
        table[i] = object + i % 3 * (bytes / 2) - i % 3 / 2;
        hidden[i] = test_hide(object);
    }
    root = table;
}

static __attribute__((noinline)) void free_table(void)
{
    free_hidden();
    bh_free(root);
}

TEST_ALONE(leaks_not_by_way_of_manual_objects)
{
    expect_leaks(make_table, 0, free_table);
}

/* root -> collected nodes -> manual objects. */
static __attribute__((noinline)) void make_mixed(void)
{
    for (size_t i = 0; i < MANY; i++) {
        struct node *node = test_node(1, i);
        node->left = root;
        node->right = bh_malloc(100);
        hidden[i] = test_hide(node->right);
        root = node;
    }
}

TEST_ALONE(leaks_not_by_way_of_collected_objects)
{
    expect_leaks(make_mixed, 0, free_hidden);
}

/* The nodes are garbage, though nobody has found that out yet; each by itself, so that a stale word
 * does not hold them all. */
static __attribute__((noinline)) void make_dropped(void)
{
    make_mixed();
    test_drop_list(root, offsetof(struct node, left));
    root = NULL;
}

TEST_ALONE(leaks_by_way_of_garbage)
{
    expect_leaks(make_dropped, MANY, free_hidden);
}

static __attribute__((noinline)) void make_noscan(void)
{
    uintptr_t *words = bh_gc_alloc_noscan(MANY * sizeof(uintptr_t));
    make_hidden();
    for (size_t i = 0; i < MANY; i++)
        words[i] = ~hidden[i];
    root = words;
}

TEST_ALONE(leaks_by_way_of_noscan_objects)
{
    expect_leaks(make_noscan, MANY, free_hidden);
}

/* Each refers to the one before, and the first to the last: in rings of RING, which is what a stale
 * word holds. */
static __attribute__((noinline)) void make_rings(void)
{
    enum { RING = 4 };
    for (size_t i = 0; i < MANY; i++) {
        uintptr_t *object = bh_malloc(48);
        hidden[i] = test_hide(object);
        if (i % RING != 0)
            *object = (uintptr_t)test_show(hidden[i - 1]);
        if (i % RING == RING - 1)
            *(uintptr_t *)test_show(hidden[i - (RING - 1)]) = (uintptr_t)object;
    }
}

TEST_ALONE(leaks_in_a_ring)
{
    expect_leaks(make_rings, MANY, free_hidden);
}

/* ---- large objects ---- */

enum { LARGE = 16 };

#define LARGE_BYTES ((size_t)300 << 10)

/* By a pointer into the middle; one past the end in a debug build has the red zone to point to. */
static __attribute__((noinline)) void make_large(void)
{
    char **table = bh_calloc(LARGE, sizeof(char *));
    for (size_t i = 0; i < LARGE; i++) {
        char *object = bh_malloc(LARGE_BYTES);
        table[i] = object + i * LARGE_BYTES / (LARGE - 1) - i / (LARGE - 1);
        hidden[i] = test_hide(object);
    }
    root = table;
}

static __attribute__((noinline)) void lose_large(void)
{
    make_large();
    bh_free(root);
    root = NULL;
}

static __attribute__((noinline)) void free_large(void)
{
    for (size_t i = 0; i < LARGE; i++)
        bh_free(test_show(hidden[i]));
    bh_free(root);
}

TEST_ALONE(leaks_large_objects_have_insides)
{
    expect_leaks(make_large, 0, free_large);
}

/* They cover 5 MB, so that a stray word hits one more often than it hits a small one. */
TEST_ALONE(leaks_large_objects_are_found)
{
    test_begin();
    size_t before = leaks();
    lose_large();
    size_t found = leaks() - before;
    if (!EXPECT(found <= LARGE && found >= LARGE / 2))
        harness_note("%zu leaks of %d expected", found, LARGE);
    free_large();
}

/* ---- more objects than the marker's stack has room for ---- */

enum { WIDE = 10000 };

/* root -> a table of objects each of which refers to another one. */
static __attribute__((noinline)) void make_wide(void)
{
    void ***table = bh_malloc(WIDE * sizeof(void **));
    for (size_t i = 0; i < WIDE; i++) {
        table[i] = bh_malloc(16);
        table[i][0] = bh_malloc(24);
        table[i][1] = NULL;
    }
    root = table;
}

static __attribute__((noinline)) void free_wide(void)
{
    void ***table = root;
    for (size_t i = 0; i < WIDE; i++) {
        bh_free(table[i][0]);
        bh_free(table[i]);
    }
    bh_free(table);
}

TEST_ALONE(leaks_marker_overflows_and_goes_on)
{
    expect_leaks(make_wide, 0, free_wide);
}

/* ---- caches, memory, words ---- */

static uintptr_t taken[BH_MAX_CORES][MANY];

/* Objects that lie in cores' caches are not handed out: those that each core gives back stay there
 * or in the transfer cache. */
TEST_ALL_CORES(leaks_not_in_caches)
{
    uintptr_t *mine = taken[bh_port_core()];
    if (bh_port_core() == 0)
        test_begin();
    harness_barrier();
    for (size_t i = 0; i < MANY; i++)
        mine[i] = test_hide(bh_malloc(64));
    harness_barrier();
    size_t with = bh_port_core() == 0 ? leaks() : 0;
    harness_barrier();
    for (size_t i = 0; i < MANY; i++)
        bh_free(test_show(mine[i]));
    harness_barrier();
    if (bh_port_core() == 0) {
        size_t gone = with - leaks();
        EXPECT(gone <= MANY * board_cores() + TEST_LEFTOVERS);
        EXPECT(gone + TEST_LEFTOVERS * board_cores() >= MANY * board_cores());
    }
    harness_barrier();
}

TEST(leaks_without_memory_for_marks)
{
    test_begin();
    test_collect();
    test_take_memory((size_t)64 << 10);
    EXPECT_EQ(bh_gc_report_leaks(0), SIZE_MAX);
    test_give_memory();
    bh_heap_verify();
}

/* The log is for people; selftest.py reads it. */
TEST_ALONE(leaks_are_logged)
{
    test_begin();
    make_hidden();
    test_wipe_stack();
    EXPECT(bh_gc_report_leaks(3) >= MANY - TEST_LEFTOVERS);
    free_hidden();
}

static __attribute__((noinline)) void *allocate_with_a_name(size_t bytes)
{
    void *object = bh_malloc(bytes);
    EXPECT(object != NULL); /* and so no jump to bh_malloc() */
    return object;
}

/* Whether one of the calls, of which the last is followed by a zero, was in the function. */
static bool is_called_from(const uintptr_t *calls, const char *function)
{
    size_t offset;
    for (; *calls != 0; calls++) {
        const char *name = bh_symbol_name(*calls - 1, &offset);
        if (name != NULL && string_equal(name, function))
            return true;
    }
    return false;
}

TEST(leaks_know_who_allocated)
{
    uintptr_t calls[WALK_CALLS + 1] = {0};
    struct walk_object object;
    test_begin();
    if (WALK_CALLS == 0) {
        harness_skip("needs BH_DEBUG >= 2");
        return;
    }
    for (size_t bytes = 10; bytes < 200000; bytes *= 7) {
        void *memory = allocate_with_a_name(bytes);
        EXPECT(walk_find_manual((uintptr_t)memory, &object));
        EXPECT_EQ(walk_manual_origin(&object, calls), bytes);
        EXPECT(is_called_from(calls, "allocate_with_a_name"));
        bh_free(memory);
    }
}
