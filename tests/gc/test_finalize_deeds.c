/* SPDX-License-Identifier: MIT */
/* Finalizers that do things, that are dropped, by the million, on all cores, and crimes. */
#include "kernel-lib/atomics.h"
#include "tests/gc/finalize.h"
#include <bareheap/port.h>

static void *volatile root;

/* ---- finalizers that do things ---- */

static void allocate(struct node *node)
{
    for (uint64_t i = 0; i < 50; i++)
        root = test_node(node->magic + 1, i);
    if (finalize_count % 32 == 0)
        EXPECT(bh_gc_collect());
    EXPECT(node->value < FINALIZE_OBJECTS);
    bh_free(bh_malloc(100));
}

TEST(gc_finalizer_may_allocate_and_collect)
{
    uint64_t magic = finalize_begin(allocate);
    finalize_make(magic, FINALIZE_OBJECTS);
    finalize_collect();
    finalize_expect_nearly(finalize_count, FINALIZE_OBJECTS);
    root = NULL;
    bh_heap_verify();
}

/* Links the nodes that were finalized, and looks at all of them so far. */
static void touch_others(struct node *node)
{
    node->right = root;
    root = node;
    uint64_t seen = 0;
    for (struct node *at = root; at != NULL; at = at->right) {
        EXPECT_EQ(at->magic, node->magic);
        seen++;
    }
    EXPECT_EQ(seen, finalize_count);
    bh_gc_run_finalizers(1); /* one inside another */
}

TEST(gc_finalizer_may_touch_other_finalized_objects)
{
    uint64_t magic = finalize_begin(touch_others);
    root = NULL;
    finalize_make(magic, 64);
    finalize_collect();
    finalize_expect_nearly(finalize_count, 64);
    root = NULL;
}

/* ---- freeing by hand ---- */

static __attribute__((noinline)) void make_and_free(uint64_t magic, bool due)
{
    static uintptr_t hidden[FINALIZE_OBJECTS];
    for (size_t i = 0; i < FINALIZE_OBJECTS; i++) {
        struct node *node = test_node(magic, i);
        hidden[i] = test_hide(node);
        EXPECT(finalize_watch(node) && bh_gc_add_cleanup(node, finalize_clean, NULL) != 0);
        root = node;
        if (!due)
            bh_gc_free(node);
    }
    root = NULL;
    if (!due)
        return;
    test_collect();
    for (size_t i = 0; i < FINALIZE_OBJECTS; i++)
        bh_gc_free(test_show(hidden[i]));
}

TEST_ALONE(gc_free_drops_finalizers_and_cleanups)
{
    finalize_begin(NULL);
    struct bh_gc_stats before = finalize_stats();
    for (int due = 0; due < 2; due++) {
        make_and_free(test_magic(), due);
        EXPECT_EQ(finalize_stats().finalizers_set, before.finalizers_set);
        EXPECT_EQ(finalize_stats().finalizers_due, 0);
        finalize_collect();
        EXPECT_EQ(finalize_count + finalize_cleaned, 0);
    }
    bh_heap_verify();
}

/* ---- many ---- */

static size_t most_objects(void)
{
    return test_is_emulated() ? 30000 : 1000000;
}

static void count_only(void *object, void *arg)
{
    (void)object, (void)arg;
    finalize_count++;
}

static __attribute__((noinline)) void make_many(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t *object = bh_gc_alloc(16);
        REQUIRE(object != NULL);
        EXPECT(bh_gc_set_finalizer(object, count_only, NULL));
        EXPECT(i % 8 != 0 || bh_gc_add_cleanup(object, finalize_clean, NULL) != 0);
    }
}

TEST_ALONE(gc_finalizers_by_the_million)
{
    size_t count = most_objects();
    finalize_begin(NULL);
    test_collect();
    uint64_t without_ns = finalize_stats().pause_last_ns;
    make_many(count);
    test_collect();
    harness_note("%zu finalizers: a pause of %llu us, %llu us without", count,
                 (unsigned long long)finalize_stats().pause_last_ns / 1000,
                 (unsigned long long)without_ns / 1000);
    finalize_run_all();
    for (int round = 0; round < 3; round++)
        finalize_collect();
    /* So many objects cover so much memory that more stray words point into it. */
    EXPECT(finalize_count <= count && finalize_count + count / 500 >= count);
    EXPECT(finalize_cleaned <= count / 8 + 1 && finalize_cleaned + count / 500 >= count / 8);
    bh_heap_verify();
}

/* ---- crimes ---- */

TEST_PANICS(
    gc_finalizer_of_a_manual_object,
    "bh_gc_set_finalizer(0x*): not a collected object: byte 0 of object * (0x*, * bytes) of "
    "the manual span 0x*, class *; caller 0x* (*)")
{
    test_begin();
    bh_gc_set_finalizer(bh_malloc(64), finalize_never, NULL);
}

TEST_PANICS(gc_cleanup_of_an_interior_pointer,
            "bh_gc_add_cleanup(0x*): inside an object: byte 8 of object * (0x*, 80 bytes) of the "
            "scan span 0x*, class *; caller 0x* (*)")
{
    test_begin();
    bh_gc_add_cleanup((char *)bh_gc_alloc(64) + 8, finalize_clean, NULL);
}

TEST_PANICS(gc_finalizers_run_with_interrupts_off,
            "bh_gc_run_finalizers() on core 0 with interrupts off")
{
    test_begin();
    board_irq_off();
    bh_gc_run_finalizers(1);
}

TEST_PANICS(gc_finalizers_run_on_a_parked_core, "bh_gc_run_finalizers() on core 0, which is parked")
{
    test_begin();
    bh_gc_park();
    bh_gc_run_finalizers(1);
}

/* ---- all cores ---- */

static void count_shared(void *object, void *arg)
{
    EXPECT_EQ(*(uint64_t *)object, (uintptr_t)arg);
    atomic_add_relaxed(&finalize_count, 1); /* a count */
}

/* Each sets finalizers, takes some back, collects now and then, and runs what is due. */
TEST_ALL_CORES(gc_finalizers_on_all_cores)
{
    test_begin();
    if (bh_port_core() == 0) {
        finalize_begin(NULL);
    }
    harness_barrier();
    for (uintptr_t i = 1; i <= 4000; i++) {
        uint64_t *object = bh_gc_alloc(40);
        if (!EXPECT(object != NULL))
            break;
        *object = i;
        EXPECT(bh_gc_set_finalizer(object, count_shared, (void *)i)); /* NOLINT */
        uint64_t handle = bh_gc_add_cleanup(object, finalize_clean_node, NULL);
        EXPECT(bh_gc_remove_cleanup(handle));
        if (i % 3 == 0)
            bh_gc_free(object);
        if (i % 500 == 0)
            bh_gc_collect();
        bh_gc_run_finalizers(3);
    }
    harness_barrier();
    if (bh_port_core() == 0) {
        finalize_collect();
        EXPECT(finalize_count + 64 >= (size_t)bh_port_core_count() * 2600);
        bh_heap_verify();
    }
}
