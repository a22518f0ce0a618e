/* SPDX-License-Identifier: MIT */
/* What keeps an object alive, and what does not: globals, stacks, registered ranges, pins. */
#include "tests/gc/gc_test.h"
#include <bareheap/port.h>

#define OBJECTS 256

/* Volatile: a variable that is only written would be left out. */
static struct node *volatile root;
static struct node *table[OBJECTS];

static void fill_table(uint64_t magic)
{
    for (size_t i = 0; i < OBJECTS; i++)
        table[i] = test_node(magic, i);
}

static void clear_table(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        table[i] = NULL;
}

static void expect_gone(uint64_t magic)
{
    EXPECT(test_count(magic) <= TEST_LEFTOVERS);
}

TEST(gc_bss_is_a_root)
{
    uint64_t magic = test_magic();
    test_begin();
    fill_table(magic);
    test_collect();
    EXPECT_EQ(test_count(magic), OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++)
        EXPECT_EQ(table[i]->value, i);
    clear_table();
    test_collect();
    expect_gone(magic);
}

static __attribute__((noinline)) struct node *tree(uint64_t magic, unsigned depth)
{
    struct node *node = test_node(magic, depth);
    if (depth > 0) {
        node->left = tree(magic, depth - 1);
        node->right = tree(magic, depth - 1);
    }
    return node;
}

/* Trees of 15 nodes; a stray word can hold one of them at most. */
TEST(gc_objects_hold_objects)
{
    uint64_t magic = test_magic();
    test_begin();
    for (size_t i = 0; i < OBJECTS; i++)
        table[i] = tree(magic, 3);
    test_collect();
    EXPECT_EQ(test_count(magic), OBJECTS * 15);
    for (size_t i = 0; i < OBJECTS; i++)
        table[i] = table[i]->left;
    test_collect();
    EXPECT(test_count(magic) >= OBJECTS * 7);
    EXPECT(test_count(magic) <= OBJECTS * 7 + TEST_LEFTOVERS * 15);
    clear_table();
    test_collect();
    EXPECT(test_count(magic) <= TEST_LEFTOVERS * 15);
}

/* Rings of four: a stray word holds one of them, not all. */
TEST(gc_cycles_of_references_are_garbage)
{
    enum { RING = 4 };
    uint64_t magic = test_magic();
    test_begin();
    fill_table(magic);
    for (size_t i = 0; i < OBJECTS; i++)
        table[i]->left = table[i / RING * RING + (i + 1) % RING];
    test_collect();
    EXPECT_EQ(test_count(magic), OBJECTS);
    clear_table();
    test_collect();
    EXPECT(test_count(magic) <= TEST_LEFTOVERS * RING);
}

static __attribute__((noinline)) void hold_on_stack(uint64_t magic)
{
    struct node *volatile local[8];
    for (size_t i = 0; i < 8; i++)
        local[i] = test_node(magic, i);
    test_collect();
    EXPECT(test_count(magic) == 8);
    for (size_t i = 0; i < 8; i++)
        EXPECT(local[i]->magic == magic && local[i]->value == i);
}

TEST(gc_stack_is_a_root)
{
    test_begin();
    hold_on_stack(test_magic());
}

TEST(gc_interior_pointer_holds)
{
    test_begin();
    uint8_t *object = bh_gc_alloc(100);
    REQUIRE(object != NULL);
    uintptr_t hidden = test_hide(object);
    root = (struct node *)(void *)(object + 99);
    object = NULL;
    test_collect();
    EXPECT(test_is_alive(hidden));
    root = NULL;
}

/* An array of `bytes` held by the address behind its last byte alone. */
static __attribute__((noinline)) uintptr_t hold_by_end(size_t bytes)
{
    uint8_t *object = bh_gc_alloc(bytes);
    EXPECT(object != NULL);
    root = (struct node *)(void *)(object + bytes);
    return test_hide(object);
}

TEST(gc_one_past_the_end_holds)
{
    static const size_t sizes[] = {8, 16, 64, 1024, 8192, 32768, 65536, (size_t)1 << 20};
    test_begin();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uintptr_t hidden = hold_by_end(sizes[i]);
        test_collect();
        EXPECT(test_is_alive(hidden));
    }
    root = NULL;
}

TEST(gc_registered_range_is_a_root)
{
    uint64_t magic = test_magic();
    test_begin();
    struct node **range = bh_calloc(OBJECTS, sizeof(*range));
    REQUIRE(range != NULL);
    for (size_t i = 0; i < OBJECTS; i++)
        range[i] = table[i] = test_node(magic, i);
    EXPECT(bh_gc_add_root(range, range + OBJECTS));
    clear_table();
    test_collect();
    EXPECT_EQ(test_count(magic), OBJECTS);
    EXPECT(bh_gc_remove_root(range));
    EXPECT(!bh_gc_remove_root(range));
    test_collect();
    expect_gone(magic);
    bh_free(range);
}

/* Three words, with a node of its own behind each. */
static __attribute__((noinline)) void fill_words(uint64_t *words, uintptr_t *hidden)
{
    for (size_t i = 0; i < 3; i++) {
        hidden[i] = test_hide(test_node(1, i));
        words[i] = ~hidden[i];
    }
}

TEST(gc_root_range_is_rounded_inward)
{
    uintptr_t hidden[3];
    test_begin();
    uint64_t *words = bh_calloc(3, sizeof(*words));
    REQUIRE(words != NULL);
    fill_words(words, hidden);
    /* Word 0 is cut at its start and word 2 at its end: only word 1 is scanned. */
    EXPECT(bh_gc_add_root((char *)words + 1, (char *)words + 23));
    test_collect();
    EXPECT(test_is_alive(hidden[1]));
    if (test_is_alive(hidden[0]) || test_is_alive(hidden[2]))
        harness_note("a node was held by a stray word, or by a word outside of the range");
    EXPECT(bh_gc_remove_root((char *)words + 1));
    bh_free(words);
}

TEST(gc_root_table_has_an_end)
{
    static char places[BH_GC_MAX_ROOTS + 1][8];
    size_t added = 0;
    test_begin();
    while (added <= BH_GC_MAX_ROOTS && bh_gc_add_root(places[added], places[added] + 8))
        added++;
    EXPECT(added > 0 && added < BH_GC_MAX_ROOTS); /* the board has registered some */
    test_collect();
    while (added > 0)
        EXPECT(bh_gc_remove_root(places[--added]));
    EXPECT(bh_gc_add_root(places[0], places[0] + 8));
    EXPECT(bh_gc_remove_root(places[0]));
}

TEST(gc_manual_memory_is_no_root)
{
    uint64_t magic = test_magic();
    test_begin();
    struct node **manual = bh_calloc(OBJECTS, sizeof(*manual));
    REQUIRE(manual != NULL);
    for (size_t i = 0; i < OBJECTS; i++)
        manual[i] = test_node(magic, i);
    test_collect();
    expect_gone(magic);
    bh_free(manual);
}

TEST(gc_noscan_objects_are_not_scanned)
{
    uint64_t magic = test_magic();
    test_begin();
    struct node **noscan = bh_gc_alloc_noscan(OBJECTS * sizeof(*noscan));
    REQUIRE(noscan != NULL);
    root = (struct node *)(void *)noscan;
    for (size_t i = 0; i < OBJECTS; i++)
        noscan[i] = test_node(magic, i);
    uintptr_t hidden = test_hide(noscan);
    test_collect();
    EXPECT(test_is_alive(hidden));
    expect_gone(magic);
    root = NULL;
}

TEST(gc_pins_hold_until_the_last_unpin)
{
    static uintptr_t hidden[OBJECTS];
    uint64_t magic = test_magic();
    test_begin();
    fill_table(magic);
    for (size_t i = 0; i < OBJECTS; i++) {
        EXPECT(bh_gc_pin(table[i]) && bh_gc_pin(table[i]));
        hidden[i] = test_hide(table[i]);
    }
    clear_table();
    for (size_t i = 0; i < OBJECTS; i++)
        bh_gc_unpin(test_show(hidden[i]));
    test_collect();
    EXPECT_EQ(test_count(magic), OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++)
        bh_gc_unpin(test_show(hidden[i]));
    test_collect();
    expect_gone(magic);
}

/* More pins than the table's first page has room for, added and dropped in random order. */
TEST(gc_pin_table_grows)
{
    enum { PINS = 3000 };
    test_begin();
    uintptr_t *hidden = bh_calloc(PINS, sizeof(*hidden));
    REQUIRE(hidden != NULL);
    for (int i = 0; i < 20 * PINS; i++) {
        uintptr_t *one = &hidden[harness_random_below(PINS)];
        if (*one == 0) {
            *one = test_hide(test_node(1, (uintptr_t)one));
            EXPECT(bh_gc_pin(test_show(*one)));
        } else if (harness_random_below(4) == 0) {
            bh_gc_unpin(test_show(*one));
            *one = 0;
        }
    }
    test_collect();
    for (int i = 0; i < PINS; i++) {
        struct node *node = hidden[i] ? test_show(hidden[i]) : NULL;
        if (node == NULL)
            continue;
        EXPECT(test_is_alive(hidden[i]) && node->value == (uintptr_t)&hidden[i]);
        bh_gc_unpin(node);
    }
    bh_free(hidden);
}

TEST_PANICS(
    gc_unpin_of_what_is_not_pinned,
    "bh_gc_unpin(0x*): not pinned: byte 0 of object * (0x*, 48 bytes) of the scan span 0x*, "
    "class *; caller 0x* (*)")
{
    test_begin();
    bh_gc_unpin(test_node(1, 1));
}

TEST_PANICS(gc_root_that_ends_before_it_starts,
            "bh_gc_add_root(0x*, 0x*): the end is before the start")
{
    bh_gc_add_root(&table[1], &table[0]);
}

/* ---- stacks ---- */

/* Words that the collector knows as a stack only. Filled from its end down, as stacks are. */
static __attribute__((noinline)) void fill_stack(uintptr_t *words, uint64_t magic)
{
    for (size_t i = 0; i < OBJECTS; i++)
        words[i] = (uintptr_t)test_node(magic, i);
}

TEST(gc_added_stack_is_a_root_from_its_pointer_up)
{
    uint64_t magic = test_magic();
    test_begin();
    uintptr_t *words = bh_calloc(OBJECTS, sizeof(*words));
    REQUIRE(words != NULL);
    struct bh_gc_stack stacks[3] = {{.lo = words, .hi = words + OBJECTS},
                                    {.lo = words, .hi = words + OBJECTS},
                                    {.lo = words, .hi = words}};
    fill_stack(words, magic);
    for (size_t i = 0; i < 3; i++)
        bh_gc_add_stack(&stacks[i]);
    stacks[1].sp = (uintptr_t)words;
    stacks[2].sp = (uintptr_t)words; /* empty: all of it is used */
    test_collect();
    EXPECT_EQ(test_count(magic), OBJECTS);
    bh_gc_remove_stack(&stacks[2]);
    stacks[1].sp = (uintptr_t)(words + OBJECTS / 2);
    test_collect();
    EXPECT(test_count(magic) >= OBJECTS / 2);
    EXPECT(test_count(magic) <= OBJECTS / 2 + TEST_LEFTOVERS);
    stacks[1].sp = 0; /* a core runs on it */
    test_collect();
    expect_gone(magic);
    bh_gc_remove_stack(&stacks[1]);
    bh_gc_remove_stack(&stacks[0]);
    bh_free(words);
}

/* What the port lists; none as long as both are NULL. */
static uintptr_t *volatile listed_lo;
static uintptr_t *volatile listed_hi;

void bh_port_for_each_stack(void (*visit)(const void *lo, const void *hi, void *arg), void *arg)
{
    if (listed_lo != NULL)
        visit(listed_lo, listed_hi, arg);
}

TEST(gc_stack_that_the_port_lists_is_a_root)
{
    uint64_t magic = test_magic();
    test_begin();
    uintptr_t *words = bh_calloc(OBJECTS, sizeof(*words));
    REQUIRE(words != NULL);
    fill_stack(words, magic);
    listed_hi = words + OBJECTS;
    listed_lo = words;
    test_collect();
    EXPECT_EQ(test_count(magic), OBJECTS);
    listed_lo = words + OBJECTS / 2;
    test_collect();
    EXPECT(test_count(magic) >= OBJECTS / 2);
    EXPECT(test_count(magic) <= OBJECTS / 2 + TEST_LEFTOVERS);
    listed_lo = listed_hi = NULL;
    test_collect();
    expect_gone(magic);
    bh_free(words);
}

TEST_PANICS(gc_stack_removed_twice, "bh_gc_remove_stack(0x*): the stack was not added; caller 0x*")
{
    struct bh_gc_stack stack = {.lo = table, .hi = table};
    test_begin();
    bh_gc_add_stack(&stack);
    bh_gc_remove_stack(&stack);
    bh_gc_remove_stack(&stack);
}

/* Not the first in the list, and the first. */
TEST_PANICS(gc_stack_added_twice, "bh_gc_add_stack(0x*): added already, or not zeroed; caller 0x*")
{
    struct bh_gc_stack stacks[2] = {{.lo = table, .hi = table}, {.lo = table, .hi = table}};
    test_begin();
    bh_gc_add_stack(&stacks[0]);
    bh_gc_add_stack(&stacks[1]);
    bh_gc_add_stack(&stacks[0]);
}

TEST_PANICS(gc_only_stack_added_twice,
            "bh_gc_add_stack(0x*): added already, or not zeroed; caller 0x*")
{
    struct bh_gc_stack stack = {.lo = table, .hi = table};
    test_begin();
    bh_gc_add_stack(&stack);
    bh_gc_remove_stack(&stack);
    bh_gc_add_stack(&stack);
    bh_gc_add_stack(&stack);
}

TEST_PANICS(gc_stack_pointer_outside_of_its_stack,
            "bh_gc_stack 0x*: the stack pointer 0x* is not in its stack 0x*-0x*")
{
    struct bh_gc_stack stack = {.lo = table, .hi = table + 1, .sp = (uintptr_t)(table + 2)};
    test_begin();
    bh_gc_add_stack(&stack);
    bh_gc_collect();
}

/* ---- manual objects that are scanned ---- */

TEST(gc_scanned_manual_objects_are_roots)
{
    enum { MANUAL = 1500 }; /* more than the table's first page has room for */
    uint64_t magic = test_magic();
    test_begin();
    struct node **manual = bh_calloc(MANUAL, sizeof(*manual));
    REQUIRE(manual != NULL);
    for (size_t i = 0; i < MANUAL; i++) {
        manual[i] = bh_calloc(1, sizeof(**manual));
        REQUIRE(manual[i] != NULL);
        EXPECT(bh_gc_scan_manual(manual[i]) && bh_gc_scan_manual(manual[i]));
        manual[i]->right = test_node(magic, i);
    }
    for (size_t i = 0; i < MANUAL; i++)
        bh_gc_unscan_manual(manual[i]);
    test_collect();
    EXPECT_EQ(test_count(magic), MANUAL);
    for (size_t i = 0; i < MANUAL; i++) {
        EXPECT_EQ(manual[i]->right->value, i);
        bh_gc_unscan_manual(manual[i]);
    }
    test_collect();
    expect_gone(magic);
    for (size_t i = 0; i < MANUAL; i++)
        bh_free(manual[i]);
    bh_free(manual);
    EXPECT(bh_gc_scan_manual(NULL));
    bh_gc_unscan_manual(NULL);
}

TEST_PANICS(gc_unscan_of_what_is_not_scanned,
            "bh_gc_unscan_manual(0x*): the object is not scanned; caller 0x*")
{
    test_begin();
    bh_gc_unscan_manual(bh_malloc(10));
}

/* Large: its pages are free at once, so that any build finds it. What they have become by then, and
 * so the message, depends on the build. */
TEST_BREAKS(gc_manual_object_freed_while_it_is_scanned)
{
    test_begin();
    void *manual = bh_malloc((size_t)1 << 20);
    EXPECT(bh_gc_scan_manual(manual));
    bh_free(manual);
    bh_gc_collect();
}
