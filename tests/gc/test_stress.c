/* SPDX-License-Identifier: MIT */
/* Collections at every n-th allocation, contents of freed objects, marking twice. */
#include "alloc/dead.h"
#include "alloc/walk.h"
#include "gc/checkmark.h"
#include "gc/collect.h"
#include "gc/roots.h"
#include "tests/gc/gc_test.h"
#include <bareheap/port.h>

static void *volatile root;

/* ---- every n-th ---- */

static uint64_t cycles_of(unsigned allocations)
{
    uint64_t before = test_cycles();
    for (unsigned i = 0; i < allocations; i++)
        root = bh_gc_alloc(16 + i % 100);
    return test_cycles() - before;
}

TEST(stress_collects_at_every_nth)
{
    test_begin();
    bh_gc_set_stress(1);
    EXPECT_EQ(cycles_of(20), 20);
    bh_gc_set_stress(7);
    EXPECT_EQ(cycles_of(35), 5);
    bh_gc_set_stress(0);
    EXPECT_EQ(cycles_of(500), 0);
    root = NULL;
}

TEST(stress_large_and_noscan_count_too)
{
    test_begin();
    bh_gc_set_stress(2);
    uint64_t before = test_cycles();
    for (int i = 0; i < 5; i++) {
        root = bh_gc_alloc((size_t)100 << 10);
        root = bh_gc_alloc_noscan(300);
    }
    EXPECT_EQ(test_cycles() - before, 5);
    bh_gc_set_stress(0);
    root = NULL;
}

TEST(stress_keeps_out_of_interrupts)
{
    test_begin();
    bh_gc_set_stress(1);
    board_irq_off();
    EXPECT_EQ(cycles_of(50), 0);
    board_irq_on();
    bh_gc_set_stress(0);
    root = NULL;
}

/* A list that is only in this frame while it grows. */
TEST(stress_spares_what_is_in_use)
{
    struct node *list = NULL;
    test_begin();
    bh_gc_set_stress(3);
    for (uint64_t i = 0; i < 60; i++) {
        struct node *node = test_node(21, i);
        node->left = list;
        node->right = test_node(22, i);
        list = node;
    }
    bh_gc_set_stress(0);
    for (uint64_t i = 60; i-- > 0; list = list->left)
        EXPECT(list->magic == 21 && list->value == i && list->right->magic == 22);
    EXPECT(list == NULL);
}

/* ---- contents of freed objects ---- */

ROOTS_RAW_READS static bool is_dead(uintptr_t object, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (((volatile unsigned char *)object)[i] != DEAD_BYTE) /* NOLINT: an address */
            return false;
    return true;
}

enum { PAIRS = 100 };
static uintptr_t lost[PAIRS];

/* Every second object of their spans is kept, so that the spans are. */
static __attribute__((noinline)) void make_pairs(void)
{
    struct node *list = NULL;
    for (size_t i = 0; i < PAIRS; i++) {
        struct node *node = test_node(23, i);
        node->left = list;
        root = list = node;
        lost[i] = test_hide(test_node(24, i));
    }
}

TEST(stress_freed_objects_are_filled)
{
    size_t dead = 0;
    test_begin();
    make_pairs();
    test_collect();
    for (size_t i = 0; i < PAIRS; i++)
        dead += !test_is_alive(lost[i]) && is_dead(~lost[i], sizeof(struct node));
    EXPECT(DEAD_FILL ? dead + TEST_LEFTOVERS >= PAIRS : dead == 0);
    for (const struct node *node = root; node != NULL; node = node->left)
        EXPECT_EQ(node->magic, 23);
    root = NULL;
}

TEST(stress_objects_freed_by_hand_are_filled)
{
    test_begin();
    root = test_node(25, 1);
    struct node *node = test_node(25, 2);
    uintptr_t address = test_hide(node);
    bh_gc_free(node);
    EXPECT_EQ(is_dead(~address, sizeof(*node)), DEAD_FILL);
    root = NULL;
}

/* ---- marking twice ---- */

enum { SLOTS = 256 };
static struct node *slots[SLOTS];

/* Links nodes at random, drops some, and so on. */
static __attribute__((noinline)) void mutate(unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        struct node **slot = &slots[harness_random_below(SLOTS)];
        struct node *other = slots[harness_random_below(SLOTS)];
        if (*slot == NULL || i % 4 == 0)
            *slot = test_node(26, i);
        else if (i % 4 == 1)
            (*slot)->left = other;
        else if (i % 4 == 2)
            (*slot)->right = other;
        else
            (*slot)->left = bh_gc_alloc_noscan(harness_random_below(600));
    }
}

static void drop_slots(void)
{
    for (size_t i = 0; i < SLOTS; i++)
        slots[i] = NULL;
}

TEST(checkmark_agrees_on_random_graphs)
{
    test_begin();
    bh_gc_set_checkmark(true);
    for (int round = 0; round < 6; round++) {
        mutate(2000);
        test_collect();
    }
    drop_slots();
    test_collect();
    bh_gc_set_checkmark(false);
}

struct pair {
    struct pair *next;
    uintptr_t number;
};
static BH_GC_TYPE(pair_type, struct pair, BH_GC_POINTER(struct pair, next));

TEST(checkmark_agrees_on_typed_objects)
{
    struct pair *list = NULL;
    test_begin();
    bh_gc_set_checkmark(true);
    for (uintptr_t i = 0; i < test_rounds(1000); i++) {
        struct pair *pair = bh_gc_alloc_typed(&pair_type);
        *pair = (struct pair){list, (uintptr_t)list - 16};
        list = pair;
        struct pair *row = bh_gc_alloc_typed_array(&pair_type, 5);
        row[i % 5].next = list;
        pair->number = (uintptr_t)row;
        if (i % test_rounds(250) == 0)
            test_collect();
    }
    bh_gc_set_checkmark(false);
    bh_gc_keep_alive(list);
}

TEST(checkmark_agrees_under_stress)
{
    test_begin();
    mutate(500);
    bh_gc_set_checkmark(true);
    bh_gc_set_stress(10);
    mutate(test_rounds(300));
    bh_gc_set_stress(0);
    bh_gc_set_checkmark(false);
    drop_slots();
}

TEST_ALL_CORES(checkmark_agrees_on_all_cores)
{
    unsigned core = bh_port_core();
    if (core == 0) {
        test_begin();
        bh_gc_set_checkmark(true);
    }
    harness_barrier();
    struct node *mine = test_node(27, core);
    for (unsigned i = 0; i < test_rounds(2000); i++) {
        struct node *node = test_node(27, i);
        node->left = mine->left;
        mine->left = i % 300 == 0 ? NULL : node;
        if (i % 1000 == core)
            EXPECT(bh_gc_collect());
    }
    harness_barrier();
    bh_gc_keep_alive(mine);
    if (core == 0)
        bh_gc_set_checkmark(false);
}

/* A mark that forgets an object. */
static uintptr_t forgotten;

static void forget_one(bool marked)
{
    struct walk_object object;
    if (marked && walk_find(~forgotten, &object)) {
        bitmap_clear(span_mark_bits(object.span), object.idx);
        bitmap_set(object.span->bits, object.idx); /* white again */
    }
    checkmark_hook(marked);
}

TEST_PANICS(checkmark_names_what_the_mark_missed,
            "bh_gc_set_checkmark: the first mark missed byte 0 of object * (0x*, * bytes) of the "
            "scan span 0x*, class *")
{
    test_begin();
    mutate(2000);
    root = test_node(28, 1);
    forgotten = test_hide(root);
    collect_mark_hook = forget_one;
    test_collect();
}

/* A mark that keeps what nobody can reach. */
static void remember(const struct walk_object *object, void *arg)
{
    (void)arg;
    walk_mark(object);
}

static void remember_all(bool marked)
{
    if (marked)
        walk_each_object(remember, NULL);
    checkmark_hook(marked);
}

TEST_PANICS(checkmark_names_what_the_mark_kept,
            "bh_gc_set_checkmark: the second mark missed byte 0 of object * (0x*, * bytes) of the "
            "scan span 0x*, class *")
{
    test_begin();
    for (int i = 0; i < 100; i++)
        test_node(29, 1);
    test_wipe_stack();
    collect_mark_hook = remember_all;
    test_collect();
}
