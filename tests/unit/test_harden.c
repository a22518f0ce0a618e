/* SPDX-License-Identifier: MIT */
/* The hardened heap where nobody does wrong. What it finds is in tests/misuse. */
#include "alloc/guard.h"
#include "alloc/harden.h"
#include "arch/arch.h"
#include "tests/unit/heap_test.h"

#if BH_HARDEN

#define COUNT 200

TEST(harden_shuffle_keeps_every_object)
{
    void *objects[COUNT];
    bool seen[COUNT] = {false};
    for (size_t i = 0; i < COUNT; i++)
        objects[i] = &seen[i];
    uintptr_t irq = arch_irq_save();
    harden_shuffle(objects, COUNT);
    arch_irq_restore(irq);
    size_t in_place = 0;
    for (size_t i = 0; i < COUNT; i++) {
        in_place += objects[i] == &seen[i];
        *(bool *)objects[i] = true;
    }
    for (size_t i = 0; i < COUNT; i++)
        EXPECT(seen[i]);
    EXPECT(in_place < COUNT / 4); /* one, on average */
}

TEST(harden_shuffle_of_few)
{
    int thing;
    void *one[1] = {&thing};
    harden_shuffle(one, 0);
    harden_shuffle(one, 1);
    EXPECT(one[0] == &thing);
}

/* Every place is as likely for the first of eight. */
TEST(harden_shuffle_has_no_favourites)
{
    unsigned places[8] = {0};
    char things[8];
    for (unsigned round = 0; round < 8000; round++) {
        void *objects[8];
        for (size_t i = 0; i < 8; i++)
            objects[i] = &things[i];
        harden_shuffle(objects, 8);
        for (size_t i = 0; i < 8; i++)
            places[i] += objects[i] == &things[0];
    }
    for (size_t i = 0; i < 8; i++)
        EXPECT(places[i] > 800 && places[i] < 1200); /* seven standard deviations */
}

TEST_ALONE(harden_objects_come_in_random_order)
{
    char *objects[COUNT];
    size_t ascending = 0;
    harness_heap();
    for (size_t i = 0; i < COUNT; i++)
        objects[i] = bh_malloc(64);
    for (size_t i = 1; i < COUNT; i++)
        ascending += objects[i] > objects[i - 1];
    EXPECT(ascending > COUNT / 4 && ascending < COUNT / 4 * 3);
    for (size_t i = 0; i < COUNT; i++)
        bh_free(objects[i]);
}

/* Whole while it is short, else at both ends. */
TEST(harden_fills_what_is_free)
{
    if (!HARDEN_POISON) {
        harness_skip("red zones fill free objects");
        return;
    }
    harness_heap();
    for (unsigned i = SIZE_CLASS_LEAST; i < SIZE_CLASS_COUNT; i++) {
        size_t bytes = size_classes[i].object_bytes;
        size_t most = HARDEN_FILL_HEAD_BYTES + HARDEN_FILL_TAIL_BYTES;
        size_t head = bytes <= most ? bytes : HARDEN_FILL_HEAD_BYTES;
        size_t tail = bytes <= most ? 0 : HARDEN_FILL_TAIL_BYTES;
        uint64_t *object = bh_malloc(bytes);
        bh_free(object);
        for (size_t word = 0; word < head / 8; word++)
            EXPECT_EQ(object[word], HARDEN_FILL_WORD);
        for (size_t word = (bytes - tail) / 8; word < bytes / 8; word++)
            EXPECT_EQ(object[word], HARDEN_FILL_WORD);
    }
}

/* Objects on new pages, and on pages that had other objects before. */
TEST_ALONE(harden_takes_no_object_for_a_crime)
{
    static struct heap_test_object slots[500];
    heap_test_init((size_t)8 << 20);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 2000; i++)
            heap_test_step(slots, 500, 80000);
        heap_test_free_all(slots, 500);
        heap_test_drain();
        bh_heap_verify();
    }
}

/* ---- guard pages ---- */

static void use_whole(char *object, size_t bytes)
{
    REQUIRE(object != NULL);
    heap_test_fill(object, bytes, bytes);
    EXPECT(heap_test_is_filled(object, bytes, bytes));
}

TEST_ALONE(guard_pages_come_back)
{
    heap_test_init((size_t)8 << 20);
    size_t before = heap_test_stats().largest_run_bytes;
    for (size_t bytes = 70000; bytes < (size_t)6 << 20; bytes = bytes * 5 / 3) {
        char *object = bh_malloc(bytes);
        use_whole(object, bytes);
        bh_free(object);
    }
    bh_heap_verify();
    EXPECT_EQ(heap_test_stats().largest_run_bytes, before);
    size_t all = before - REDZONE_BYTES; /* and without guards where there is no room for any */
    use_whole(bh_malloc(all), all);
}

TEST_ALONE(guard_pages_move_with_the_end)
{
    heap_test_init((size_t)8 << 20);
    size_t before = heap_test_stats().largest_run_bytes;
    char *object = bh_malloc(100000);
    char *first = object;
    for (unsigned i = 0; i < 300; i++) {
        size_t bytes = 70000 + harness_random_below(3000000);
        object = bh_realloc(object, bytes);
        use_whole(object, bytes);
        bh_heap_verify();
    }
    EXPECT(object == first); /* nobody else wanted the room */
    bh_free(object);
    EXPECT_EQ(heap_test_stats().largest_run_bytes, before);
}

/* An end that stays where it is: the guard behind it is there again. */
TEST_ALONE(guard_pages_stay_where_they_are)
{
    heap_test_init((size_t)8 << 20);
    char *object = bh_malloc(100000);
    struct bh_span *span = pagemap_span((uintptr_t)object);
    size_t pages = span->pages;
    EXPECT(guard_resize(span, pages));
    EXPECT_EQ(span->pages, pages);
    EXPECT(span[pages].flags & RUN_GUARD);
    use_whole(object, 100000);
    bh_heap_verify();
    bh_free(object);
}

TEST_ALONE(guard_pages_of_aligned_objects)
{
    heap_test_init((size_t)32 << 20);
    size_t before = heap_test_stats().largest_run_bytes;
    for (size_t align = 4096; align <= (size_t)2 << 20; align *= 2) {
        char *object = bh_aligned_alloc(align, 100000);
        EXPECT_EQ((uintptr_t)object % align, 0);
        use_whole(object, 100000);
        bh_heap_verify();
        bh_free(object);
    }
    EXPECT_EQ(heap_test_stats().largest_run_bytes, before);
}

/* What comes back is kept for the next of its length, up to a budget, and given up when asked. */
TEST_ALONE(guard_stock_is_used_again)
{
    heap_test_init((size_t)64 << 20);
    size_t before = heap_test_stats().largest_run_bytes;
    char *one = bh_malloc(100000);
    char *other = bh_malloc(200000);
    bh_free(one);
    bh_free(other);
    EXPECT_EQ(guard_stock_bytes(), 106496 + 204800);
    EXPECT(bh_calloc(1, 100000) == one);
    for (size_t i = 0; i < 100000; i++)
        if (!EXPECT(one[i] == 0))
            break;
    EXPECT_EQ(guard_stock_bytes(), 204800);
    bh_free(one);
    bh_heap_verify();
    EXPECT_EQ(heap_test_stats().largest_run_bytes, before);
    EXPECT_EQ(guard_stock_bytes(), 0);
}

TEST_ALONE(guard_stock_is_bounded)
{
    char *objects[60];
    heap_test_init((size_t)64 << 20);
    size_t before = heap_test_stats().largest_run_bytes;
    for (size_t i = 0; i < 60; i++)
        objects[i] = bh_malloc(70000 + i * 8192);
    for (size_t i = 0; i < 60; i++) {
        bh_free(objects[i]);
        EXPECT(guard_stock_bytes() <= (size_t)64 << 20 >> 6);
    }
    bh_heap_verify();
    EXPECT_EQ(heap_test_stats().largest_run_bytes, before);
}

#endif
