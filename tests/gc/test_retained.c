/* SPDX-License-Identifier: MIT */
/*
 * Garbage that integers keep, because they look like pointers: in a heap of conservative objects,
 * and in the same heap of typed ones, where only what the type names is a pointer.
 *
 * Records that stay have a pointer to the next and six integers from the range of the heap's
 * addresses, as hashes, sizes and times can be on a machine with little memory. The garbage is
 * rings of eight nodes, so that a word that hits one keeps eight. In boots of their own: the
 * garbage then lies in one piece.
 */
#include "tests/gc/gc_test.h"

#define RECORDS 1000
#define RINGS   2000
#define RING    8

struct record {
    struct record *next;
    uintptr_t integers[6];
};
static BH_GC_TYPE(record_type, struct record, BH_GC_POINTER(struct record, next));

/* Volatile, as in the other files: a variable that is only written would be left out. */
static struct record *volatile records;

/* Complemented: where the garbage is. */
static uintptr_t hidden_lo;
static uintptr_t hidden_hi;

static void *alloc_conservative(void)
{
    return bh_gc_alloc(sizeof(struct record));
}

static void *alloc_typed(void)
{
    return bh_gc_alloc_typed(&record_type);
}

static void note_address(const struct node *node)
{
    uintptr_t hidden = test_hide(node);
    if (hidden > hidden_lo)
        hidden_lo = hidden;
    if (hidden < hidden_hi)
        hidden_hi = hidden;
}

static __attribute__((noinline)) void make_ring(uint64_t magic)
{
    struct node *first = test_node(magic, 0);
    struct node *last = first;
    for (size_t i = 1; i < RING; i++) {
        note_address(last);
        last->left = test_node(magic, i);
        last = last->left;
    }
    last->left = first;
}

static __attribute__((noinline)) void make_records(void *(*alloc)(void))
{
    uintptr_t span = hidden_lo - hidden_hi;
    for (size_t i = 0; i < RECORDS; i++) {
        struct record *record = alloc();
        if (!EXPECT(record != NULL))
            return;
        record->next = records;
        for (size_t k = 0; k < 6; k++)
            record->integers[k] = ~hidden_lo + harness_random_below(span);
        records = record;
    }
}

static __attribute__((noinline)) size_t drop_records(void)
{
    size_t count = 0;
    struct record *next;
    for (struct record *record = records; record != NULL; record = next, count++) {
        next = record->next;
        *record = (struct record){0};
    }
    records = NULL;
    return count;
}

/* The nodes of RINGS * RING that a collection leaves. */
static size_t retained_by(void *(*alloc)(void), const char *what)
{
    uint64_t magic = test_magic();
    test_begin();
    bh_gc_set_percent(-1);
    hidden_lo = 0;
    hidden_hi = UINTPTR_MAX;
    for (size_t i = 0; i < RINGS; i++)
        make_ring(magic);
    make_records(alloc);
    test_collect();
    size_t retained = test_count(magic);
    EXPECT_EQ(drop_records(), RECORDS);
    bh_gc_set_percent(100);
    test_collect();
    EXPECT(test_count(magic) <= TEST_LEFTOVERS * RING);
    harness_note("%s records: %zu of %u dead nodes retained", what, retained, RINGS * RING);
    return retained;
}

TEST_ALONE(gc_retained_by_conservative_records)
{
    EXPECT(retained_by(alloc_conservative, "conservative") > RINGS * RING / 2);
}

TEST_ALONE(gc_retained_by_typed_records)
{
    EXPECT(retained_by(alloc_typed, "typed") <= TEST_LEFTOVERS * RING);
}
