/* SPDX-License-Identifier: MIT */
/* Weak references: until when they are good, and against collections that begin meanwhile. */
#include "alloc/page_heap.h"
#include "kernel-lib/atomics.h"
#include "tests/gc/gc_test.h"
#include <bareheap/port.h>

#define OBJECTS 256

static struct node *strong[OBJECTS]; /* a root */
static struct bh_gc_weak *weak[OBJECTS];

static size_t weak_references(void)
{
    struct bh_gc_stats stats;
    bh_gc_get_stats(&stats);
    return stats.weak_references;
}

static __attribute__((noinline)) void make_all(uint64_t magic)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        strong[i] = test_node(magic, i);
        weak[i] = bh_gc_weak_create(strong[i]);
        EXPECT(weak[i] != NULL);
    }
}

static void destroy_all(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        bh_gc_weak_destroy(weak[i]);
}

static void drop_all(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        strong[i] = NULL;
}

/* Out of line: leaves none of what it sees in the caller's frame. */
static __attribute__((noinline)) size_t count_alive(void)
{
    size_t alive = 0;
    for (size_t i = 0; i < OBJECTS; i++) {
        const struct node *node = bh_gc_weak_get(weak[i]);
        EXPECT(node == NULL || node->value == i);
        alive += node != NULL;
    }
    return alive;
}

TEST(gc_weak_reference_holds_nothing)
{
    uint64_t magic = test_magic();
    test_begin();
    size_t before = weak_references();
    make_all(magic);
    EXPECT_EQ(weak_references(), before + OBJECTS);
    test_collect();
    EXPECT_EQ(count_alive(), OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++)
        EXPECT(bh_gc_weak_get(weak[i]) == strong[i]);
    drop_all();
    test_collect();
    EXPECT(count_alive() <= TEST_LEFTOVERS);
    EXPECT(test_count(magic) <= TEST_LEFTOVERS);
    EXPECT_EQ(weak_references(), before + OBJECTS);
    destroy_all();
    EXPECT_EQ(weak_references(), before);
}

static __attribute__((noinline)) void hold_what_weak_gives(uint64_t magic)
{
    struct node *volatile held[8];
    for (size_t i = 0; i < 8; i++)
        held[i] = bh_gc_weak_get(weak[i]);
    drop_all();
    test_collect();
    for (size_t i = 0; i < 8; i++)
        EXPECT(held[i]->magic == magic && bh_gc_weak_get(weak[i]) == held[i]);
}

TEST(gc_weak_get_holds)
{
    uint64_t magic = test_magic();
    test_begin();
    make_all(magic);
    hold_what_weak_gives(magic);
    destroy_all();
}

TEST(gc_weak_references_to_one_object)
{
    test_begin();
    make_all(test_magic());
    struct bh_gc_weak *second = bh_gc_weak_create(strong[0]);
    bh_gc_weak_destroy(weak[0]);
    EXPECT(bh_gc_weak_get(second) == strong[0]);
    weak[0] = bh_gc_weak_create(strong[0]);
    bh_gc_weak_destroy(second);
    drop_all();
    destroy_all();
    bh_gc_weak_destroy(NULL);
}

/* ---- finalizers ---- */

static size_t finalized;

/* The object is back, but the references to it are gone. A new one is good. */
static void revive(void *object, void *arg)
{
    struct node *node = object;
    EXPECT(node->magic == (uintptr_t)arg);
    EXPECT(bh_gc_weak_get(weak[node->value]) == NULL);
    bh_gc_weak_destroy(weak[node->value]);
    strong[node->value] = node;
    weak[node->value] = bh_gc_weak_create(node);
    finalized++;
}

TEST(gc_weak_references_are_cleared_before_finalizers)
{
    uint64_t magic = test_magic();
    test_begin();
    make_all(magic);
    for (size_t i = 0; i < OBJECTS; i++)
        EXPECT(bh_gc_set_finalizer(strong[i], revive, (void *)(uintptr_t)magic)); /* NOLINT */
    drop_all();
    test_collect();
    EXPECT(count_alive() <= TEST_LEFTOVERS);
    finalized = 0;
    bh_gc_run_finalizers(SIZE_MAX);
    EXPECT(finalized <= OBJECTS && finalized + TEST_LEFTOVERS >= OBJECTS);
    test_collect();
    EXPECT(count_alive() >= finalized);
    drop_all();
    test_collect();
    EXPECT(count_alive() <= TEST_LEFTOVERS);
    destroy_all();
}

TEST(gc_free_clears_weak_references)
{
    test_begin();
    make_all(test_magic());
    for (size_t i = 0; i < OBJECTS; i++) {
        struct node *node = strong[i];
        strong[i] = NULL;
        bh_gc_free(node);
        EXPECT(bh_gc_weak_get(weak[i]) == NULL);
    }
    EXPECT_EQ(count_alive(), 0);
    destroy_all();
    bh_heap_verify();
}

/* Several in a block of 16 bytes, and one that fills pages. */
TEST(gc_weak_references_to_tiny_and_large_objects)
{
    test_begin();
    char *tiny = bh_gc_alloc_noscan(3);
    char *large = bh_gc_alloc_noscan((size_t)1 << 20);
    REQUIRE(tiny != NULL && large != NULL);
    struct bh_gc_weak *to_tiny = bh_gc_weak_create(tiny);
    struct bh_gc_weak *to_large = bh_gc_weak_create(large);
    test_collect();
    EXPECT(bh_gc_weak_get(to_tiny) == tiny && bh_gc_weak_get(to_large) == large);
    bh_gc_keep_alive(tiny);
    bh_gc_free(large);
    EXPECT(bh_gc_weak_get(to_large) == NULL);
    bh_gc_weak_destroy(to_tiny);
    bh_gc_weak_destroy(to_large);
}

/* ---- memory is out ---- */

static bool refuse_all(size_t pages)
{
    (void)pages;
    return true;
}

/* As many as there is room for; then NULL, 0 and false, and all that was made is good. */
TEST(gc_specials_without_memory)
{
    enum { MOST = 20000 };
    test_begin();
    struct node *node = test_node(1, 1);
    struct node **objects = bh_gc_alloc(MOST * sizeof(*objects));
    struct bh_gc_weak **made = bh_calloc(MOST, sizeof(*made));
    REQUIRE(objects != NULL && made != NULL);
    for (size_t i = 0; i < MOST; i++)
        objects[i] = test_node(1, i);
    page_heap_fault_hook = refuse_all;
    size_t count = 0;
    while (count < MOST && (made[count] = bh_gc_weak_create(objects[count])) != NULL)
        count++;
    EXPECT(count < MOST);
    while (bh_gc_add_cleanup(node, (void (*)(void *))bh_free, NULL) != 0)
        continue;
    for (size_t i = 0; i < MOST && bh_gc_set_finalizer(objects[i], revive, NULL); i++)
        EXPECT(i + 1 < MOST);
    page_heap_fault_hook = NULL;
    EXPECT((made[count] = bh_gc_weak_create(objects[count])) != NULL);
    test_collect();
    for (size_t i = 0; i <= count; i++) {
        EXPECT(bh_gc_weak_get(made[i]) == objects[i]);
        bh_gc_weak_destroy(made[i]);
    }
    for (size_t i = 0; i < MOST; i++)
        EXPECT(bh_gc_set_finalizer(objects[i], NULL, NULL));
    bh_free(made);
    bh_gc_free(node);
    bh_heap_verify();
}

/* ---- many ---- */

static size_t most_references(void)
{
    return test_is_emulated() ? 30000 : 1000000;
}

static __attribute__((noinline)) void make_many(struct bh_gc_weak **made, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t *object = bh_gc_alloc(16);
        REQUIRE(object != NULL);
        object[0] = i;
        made[i] = bh_gc_weak_create(object);
        EXPECT(made[i] != NULL);
    }
}

TEST_ALONE(gc_weak_references_by_the_million)
{
    size_t count = most_references();
    struct bh_gc_stats before;
    struct bh_gc_stats after;
    test_begin();
    struct bh_gc_weak **made = bh_calloc(count, sizeof(struct bh_gc_weak *));
    REQUIRE(made != NULL);
    test_collect();
    bh_gc_get_stats(&before);
    make_many(made, count);
    test_collect();
    bh_gc_get_stats(&after);
    harness_note("%zu weak references: a pause of %llu us, %llu us without", count,
                 (unsigned long long)after.pause_last_ns / 1000,
                 (unsigned long long)before.pause_last_ns / 1000);
    size_t alive = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t *object = bh_gc_weak_get(made[i]);
        EXPECT(object == NULL || *object == i);
        alive += object != NULL;
    }
    EXPECT(alive <= count / 500); /* stray words: they cover much memory */
    for (size_t i = 0; i < count; i++)
        bh_gc_weak_destroy(made[count - 1 - i]);
    bh_gc_get_stats(&after);
    EXPECT_EQ(after.weak_references, before.weak_references);
    bh_free(made);
    bh_heap_verify();
}

/* ---- crimes ---- */

TEST_PANICS(gc_weak_reference_destroyed_twice,
            "bh_gc_weak_destroy(0x*): not a weak reference; caller 0x*")
{
    test_begin();
    struct node *node = test_node(1, 1);
    struct bh_gc_weak *reference = bh_gc_weak_create(node);
    bh_gc_weak_destroy(reference);
    bh_gc_weak_destroy(reference);
}

TEST_PANICS(gc_weak_reference_to_a_manual_object,
            "bh_gc_weak_create(0x*): not a collected object: byte 0 of object * (0x*, * bytes) of "
            "the manual span 0x*, class *; caller 0x* (*)")
{
    test_begin();
    bh_gc_weak_create(bh_malloc(16));
}

/* ---- against collections ---- */

#define RACE_REFERENCES 64
#define RACE_ROUNDS     400

static struct bh_gc_weak *raced[RACE_REFERENCES];
static uint64_t race_magic;
static unsigned race_over;

/* One that is found unreachable if no core gets it in time; then others take its room. */
static __attribute__((noinline)) void replace(size_t i)
{
    for (uint64_t n = 0; n < 16; n++)
        test_node(race_magic + 1, n);
    struct bh_gc_weak *made = bh_gc_weak_create(test_node(race_magic, i));
    EXPECT(made != NULL);
    /* Release: pairs with the acquire of those who read it. The old one is not destroyed: they may
     * be at it. */
    atomic_store_release(&raced[i], made);
}

static __attribute__((noinline)) void look(size_t i)
{
    const struct bh_gc_weak *reference = atomic_load_acquire(&raced[i]);
    const struct node *node = bh_gc_weak_get(reference);
    if (node == NULL)
        return;
    for (int n = 0; n < 20; n++)
        EXPECT(atomic_load_relaxed(&node->magic) == race_magic && node->value == i);
}

static void race_begin(void)
{
    test_begin();
    race_magic = test_magic();
    race_over = 0;
    for (size_t i = 0; i < RACE_REFERENCES; i++)
        replace(i);
}

/* Core 0 makes objects and collects; the others get what they can. */
TEST_ALL_CORES(gc_weak_get_races_with_collections)
{
    if (bh_port_core() == 0)
        race_begin();
    harness_barrier();
    for (unsigned round = 0; bh_port_core() == 0 && round < test_rounds(RACE_ROUNDS); round++) {
        for (size_t n = 0; n < 8; n++)
            replace(harness_random_below(RACE_REFERENCES));
        EXPECT(bh_gc_collect());
    }
    if (bh_port_core() == 0)
        atomic_store_release(&race_over, 1); /* pairs with the load below */
    while (!atomic_load_acquire(&race_over))
        look(harness_random_below(RACE_REFERENCES));
    harness_barrier();
    if (bh_port_core() == 0)
        bh_heap_verify();
}
