/* SPDX-License-Identifier: MIT */
/*
 * Finalizers and cleanups: when they run, in which order, and what they may do.
 *
 * An object's finalizer counts in `finalized`, checks that the object is whole, and does what its
 * test asked for in `also`.
 */
#include "kernel-lib/atomics.h"
#include "tests/gc/gc_test.h"
#include <bareheap/port.h>

#define OBJECTS 256

static uint64_t counted; /* magic of the nodes that count */
static size_t finalized;
static void (*also)(struct node *node);
static size_t cleaned;
static uint64_t told; /* calls of the port's hook */

void bh_port_finalizers_due(void)
{
    atomic_add_relaxed(&told, 1); /* a count */
}

static struct bh_gc_stats stats_now(void)
{
    struct bh_gc_stats stats;
    bh_gc_get_stats(&stats);
    return stats;
}

static void finalize_node(void *object, void *arg)
{
    struct node *node = object;
    EXPECT_EQ(node->magic, (uintptr_t)arg);
    if (node->magic != counted)
        return; /* a leftover of another test */
    finalized++;
    if (also != NULL)
        also(node);
}

static void clean(void *arg)
{
    (void)arg;
    cleaned++;
}

/* Runs all that is due, then none is. */
static size_t run_all(void)
{
    size_t ran = bh_gc_run_finalizers(SIZE_MAX);
    EXPECT_EQ(stats_now().finalizers_due, 0);
    return ran;
}

static void collect_and_run(void)
{
    test_collect();
    run_all();
}

/* Returns the magic of the nodes to be made. */
static uint64_t begin(void (*also_do)(struct node *node))
{
    test_begin();
    for (int i = 0; i < 2; i++)
        collect_and_run(); /* leftovers of other tests */
    also = also_do;
    counted = test_magic();
    finalized = cleaned = 0;
    return counted;
}

static bool watch(struct node *node)
{
    return bh_gc_set_finalizer(node, finalize_node, (void *)(uintptr_t)node->magic); /* NOLINT */
}

static __attribute__((noinline)) void make_watched(uint64_t magic, size_t count)
{
    for (size_t i = 0; i < count; i++)
        EXPECT(watch(test_node(magic, i)));
}

static void expect_nearly(size_t count, size_t all)
{
    EXPECT(count <= all && count + TEST_LEFTOVERS >= all);
}

TEST(gc_finalizer_runs_once_and_outside_of_the_stop)
{
    uint64_t magic = begin(NULL);

    size_t set_before = stats_now().finalizers_set;
    uint64_t run_before = stats_now().finalizers_run;
    uint64_t told_before = told;
    make_watched(magic, OBJECTS);
    EXPECT_EQ(stats_now().finalizers_set, set_before + OBJECTS);
    test_collect();
    EXPECT_EQ(finalized, 0);
    EXPECT(told > told_before);
    EXPECT_EQ(test_count(magic), OBJECTS);
    size_t due = stats_now().finalizers_due;
    expect_nearly(due, OBJECTS);
    EXPECT_EQ(bh_gc_run_finalizers(7), 7);
    EXPECT_EQ(run_all(), due - 7);
    EXPECT_EQ(finalized, due);
    EXPECT_EQ(stats_now().finalizers_run, run_before + due);
    collect_and_run();
    EXPECT(test_count(magic) <= TEST_LEFTOVERS);
    EXPECT(finalized <= OBJECTS);
}

/* `value` of a node in a list is its place; the finalizer puts OBJECTS there. */
static void expect_before_the_rest(struct node *node)
{
    EXPECT(node->value < OBJECTS);
    EXPECT(node->left == NULL || node->left->value == node->value + 1);
    node->value = OBJECTS;
}

static __attribute__((noinline)) void make_lists(uint64_t magic, size_t lists, uint64_t length)
{
    for (size_t i = 0; i < lists; i++) {
        struct node *next = NULL;
        for (uint64_t place = length; place-- > 0;) {
            struct node *node = test_node(magic, place);
            node->left = next;
            EXPECT(watch(node));
            next = node;
        }
    }
}

TEST(gc_finalizer_of_what_refers_runs_first)
{
    enum { LISTS = 64, LENGTH = 4 };
    uint64_t magic = begin(expect_before_the_rest);
    make_lists(magic, LISTS, LENGTH);
    for (size_t round = 1; round <= LENGTH; round++) {
        collect_and_run();
        EXPECT(finalized <= round * LISTS);
        EXPECT(finalized + round * TEST_LEFTOVERS >= round * LISTS);
    }
}

static __attribute__((noinline)) void make_rings(uint64_t magic)
{
    for (size_t i = 0; i < OBJECTS / 2; i++) {
        struct node *one = test_node(magic, i);
        struct node *other = test_node(magic, i);
        one->left = other;
        other->left = one;
        EXPECT(watch(one) && watch(other));
    }
}

static void drop_finalizer(const struct node *node)
{
    EXPECT(bh_gc_set_finalizer((void *)(uintptr_t)node, NULL, NULL)); /* NOLINT */
}

static void *volatile root;

TEST(gc_finalizers_in_a_ring_never_run)
{
    uint64_t magic = begin(NULL);

    make_rings(magic);
    collect_and_run();
    collect_and_run();
    EXPECT_EQ(finalized, 0);
    EXPECT_EQ(test_count(magic), OBJECTS);
}

/* ---- resurrection ---- */

static struct node *revived[OBJECTS];

static void revive(struct node *node)
{
    revived[node->value] = node;
}

static void revive_and_watch(struct node *node)
{
    revived[node->value] = node;
    EXPECT(watch(node));
}

static void bury(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        revived[i] = NULL;
}

TEST(gc_finalizer_may_resurrect)
{
    uint64_t magic = begin(revive);

    make_watched(magic, OBJECTS);
    collect_and_run();
    size_t first = finalized;
    expect_nearly(first, OBJECTS);
    test_collect();
    for (size_t i = 0; i < OBJECTS; i++)
        EXPECT(revived[i] == NULL || (revived[i]->magic == magic && revived[i]->value == i));
    EXPECT(test_count(magic) >= first);
    bury();
    collect_and_run();
    bury();
    collect_and_run();
    EXPECT(finalized <= OBJECTS);
    bury();
    test_collect();
    EXPECT(test_count(magic) <= TEST_LEFTOVERS);
}

TEST(gc_finalizer_set_again_runs_again)
{
    uint64_t magic = begin(revive_and_watch);
    make_watched(magic, OBJECTS);
    for (size_t round = 1; round <= 3; round++) {
        collect_and_run();
        bury();
        expect_nearly(finalized, round * OBJECTS);
    }
    also = NULL;
    collect_and_run();
    expect_nearly(finalized, 4 * OBJECTS);
    collect_and_run();
    EXPECT(finalized <= 4 * OBJECTS);
}

/* ---- replacing, removing, arguments ---- */

static void never(void *object, void *arg)
{
    (void)arg;
    EXPECT(object == NULL);
}

static __attribute__((noinline)) void make_replaced_and_removed(uint64_t magic)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        struct node *node = test_node(magic, i);
        EXPECT(bh_gc_set_finalizer(node, never, NULL));
        EXPECT(i % 2 ? watch(node) : bh_gc_set_finalizer(node, NULL, NULL));
        EXPECT(i % 2 || bh_gc_set_finalizer(node, NULL, NULL)); /* there is none: no matter */
    }
}

TEST(gc_finalizer_replaced_and_removed)
{
    uint64_t magic = begin(NULL);

    size_t set_before = stats_now().finalizers_set;
    make_replaced_and_removed(magic);
    EXPECT_EQ(stats_now().finalizers_set, set_before + OBJECTS / 2);
    test_collect();
    EXPECT(test_count(magic) <= OBJECTS / 2 + TEST_LEFTOVERS);
    run_all();
    expect_nearly(finalized, OBJECTS / 2);
}

/* Of a pair, the first that runs takes back the other's. */
static void take_back(struct node *node)
{
    const struct node *pair = node->left;
    drop_finalizer(node->value == 0 ? pair->right : pair->left);
}

/* They know each other through a manual node, so by no reference. */
static __attribute__((noinline)) void make_pair(uint64_t magic, struct node *pair)
{
    pair->left = test_node(magic, 0);
    pair->right = test_node(magic, 1);
    pair->left->left = pair->right->left = pair;
    EXPECT(watch(pair->left) && watch(pair->right));
}

TEST(gc_finalizer_is_taken_back_while_it_is_due)
{
    uint64_t magic = begin(take_back);
    struct node *pairs = bh_calloc(OBJECTS, sizeof(*pairs));
    REQUIRE(pairs != NULL);
    for (size_t i = 0; i < OBJECTS; i++)
        make_pair(magic, &pairs[i]);
    collect_and_run();
    expect_nearly(finalized, OBJECTS);
    collect_and_run();
    EXPECT_EQ(stats_now().finalizers_due, 0);
    EXPECT(finalized <= OBJECTS + TEST_LEFTOVERS);
    bh_free(pairs);
}

static void finalize_with_node(void *object, void *arg)
{
    const struct node *node = object;
    const struct node *other = arg;
    EXPECT(node->magic == other->magic && node->value == other->value && other->left->value == 7);
    finalized++;
}

static __attribute__((noinline)) void make_with_arguments(uint64_t magic)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        struct node *arg = test_node(magic, i);
        arg->left = test_node(magic, 7);
        EXPECT(bh_gc_set_finalizer(test_node(magic, i), finalize_with_node, arg));
    }
}

TEST(gc_finalizer_argument_is_kept)
{
    uint64_t magic = begin(NULL);

    make_with_arguments(magic);
    for (int i = 0; i < 3; i++)
        test_collect(); /* due and not run yet */
    EXPECT_EQ(test_count(magic), 3 * OBJECTS);
    run_all();
    expect_nearly(finalized, OBJECTS);
    collect_and_run();
    EXPECT(test_count(magic) <= 3 * TEST_LEFTOVERS);
}

/* ---- types ---- */

struct typed {
    uint64_t magic;
    struct node *pointer;
    uintptr_t number;
};

static BH_GC_TYPE(typed_type, struct typed, BH_GC_POINTER(struct typed, pointer));

static void finalize_typed(void *object, void *arg)
{
    const struct typed *typed = object;
    EXPECT_EQ(typed->magic, (uintptr_t)arg);
    EXPECT(typed->pointer->magic == (uintptr_t)arg && typed->pointer->left->value == 3);
    finalized++;
}

static __attribute__((noinline)) void make_typed(uint64_t magic, uint64_t other_magic)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        struct typed *typed = bh_gc_alloc_typed_array(&typed_type, 3);
        REQUIRE(typed != NULL);
        typed->magic = magic;
        typed->pointer = test_node(magic, 2);
        typed->pointer->left = test_node(magic, 3);
        typed[2].pointer = test_node(magic, 4);
        typed->number = (uintptr_t)test_node(other_magic, 5);
        EXPECT(bh_gc_set_finalizer(typed, finalize_typed, (void *)(uintptr_t)magic)); /* NOLINT */
    }
}

TEST(gc_finalizer_of_typed_objects_keeps_what_the_type_says)
{
    uint64_t magic = begin(NULL);
    uint64_t other_magic = test_magic();

    make_typed(magic, other_magic);
    test_collect();
    EXPECT_EQ(test_count(magic), 4 * OBJECTS);
    EXPECT(test_count(other_magic) <= TEST_LEFTOVERS);
    run_all();
    expect_nearly(finalized, OBJECTS);
}

/* ---- cleanups ---- */

static void clean_node(void *arg)
{
    const struct node *node = arg;
    EXPECT(node->value == 9);
    cleaned++;
}

static uint64_t handles[OBJECTS];

static __attribute__((noinline)) void make_cleaned(uint64_t magic, uint64_t arg_magic)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        struct node *node = test_node(magic, i);
        for (int n = 0; n < 3; n++) {
            handles[i] = bh_gc_add_cleanup(node, clean_node, test_node(arg_magic, 9));
            EXPECT(handles[i] != 0);
        }
    }
}

TEST(gc_cleanups_run_when_the_object_is_gone)
{
    uint64_t magic = begin(NULL);
    uint64_t arg_magic = test_magic();

    uint64_t before = stats_now().cleanups_run;
    make_cleaned(magic, arg_magic);
    for (size_t i = 0; i < OBJECTS; i++) {
        EXPECT(i % 2 == 0 || bh_gc_remove_cleanup(handles[i]));
        EXPECT(i % 2 == 0 || !bh_gc_remove_cleanup(handles[i]));
    }
    test_collect();
    EXPECT(test_count(magic) <= TEST_LEFTOVERS); /* nothing waits for the cleanups */
    EXPECT_EQ(test_count(arg_magic), 3 * OBJECTS - OBJECTS / 2);
    size_t taken_back = 0;
    for (size_t i = 0; i < OBJECTS; i += 4)
        taken_back += bh_gc_remove_cleanup(handles[i]);
    EXPECT_EQ(taken_back, OBJECTS / 4);
    run_all();
    EXPECT(cleaned <= 9 * OBJECTS / 4 && cleaned + 3 * TEST_LEFTOVERS >= 9 * OBJECTS / 4);
    EXPECT_EQ(stats_now().cleanups_run, before + cleaned);
    EXPECT(!bh_gc_remove_cleanup(handles[2]) || cleaned < 9 * OBJECTS / 4);
    EXPECT(!bh_gc_remove_cleanup(0) && !bh_gc_remove_cleanup(UINT64_MAX));
    collect_and_run();
    EXPECT(test_count(arg_magic) <= 3 * TEST_LEFTOVERS);
}

static __attribute__((noinline)) void make_both(uint64_t magic)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        struct node *node = test_node(magic, i);
        EXPECT(watch(node) && bh_gc_add_cleanup(node, clean, NULL) != 0);
    }
}

TEST(gc_cleanup_comes_after_the_finalizer)
{
    uint64_t magic = begin(revive);
    make_both(magic);
    collect_and_run();
    expect_nearly(finalized, OBJECTS);
    EXPECT_EQ(cleaned, 0);
    collect_and_run();
    EXPECT(cleaned <= TEST_LEFTOVERS); /* the rest was revived */
    bury();
    collect_and_run();
    bury();
    collect_and_run();
    expect_nearly(cleaned, OBJECTS);
}

/* ---- finalizers that do things ---- */

static void allocate(struct node *node)
{
    for (uint64_t i = 0; i < 50; i++)
        root = test_node(node->magic + 1, i);
    if (finalized % 32 == 0)
        EXPECT(bh_gc_collect());
    EXPECT(node->value < OBJECTS);
    bh_free(bh_malloc(100));
}

TEST(gc_finalizer_may_allocate_and_collect)
{
    uint64_t magic = begin(allocate);
    make_watched(magic, OBJECTS);
    collect_and_run();
    expect_nearly(finalized, OBJECTS);
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
    EXPECT_EQ(seen, finalized);
    bh_gc_run_finalizers(1); /* one inside another */
}

TEST(gc_finalizer_may_touch_other_finalized_objects)
{
    uint64_t magic = begin(touch_others);
    root = NULL;
    make_watched(magic, 64);
    collect_and_run();
    expect_nearly(finalized, 64);
    root = NULL;
}

/* ---- freeing by hand ---- */

static __attribute__((noinline)) void make_and_free(uint64_t magic, bool due)
{
    static uintptr_t hidden[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        struct node *node = test_node(magic, i);
        hidden[i] = test_hide(node);
        EXPECT(watch(node) && bh_gc_add_cleanup(node, clean, NULL) != 0);
        root = node;
        if (!due)
            bh_gc_free(node);
    }
    root = NULL;
    if (!due)
        return;
    test_collect();
    for (size_t i = 0; i < OBJECTS; i++)
        bh_gc_free(test_show(hidden[i]));
}

TEST(gc_free_drops_finalizers_and_cleanups)
{
    begin(NULL);
    struct bh_gc_stats before = stats_now();
    for (int due = 0; due < 2; due++) {
        make_and_free(test_magic(), due);
        EXPECT_EQ(stats_now().finalizers_set, before.finalizers_set);
        EXPECT_EQ(stats_now().finalizers_due, 0);
        collect_and_run();
        EXPECT_EQ(finalized + cleaned, 0);
    }
    bh_heap_verify();
}

/* ---- many ---- */

static size_t most_objects(void)
{
    return board_name()[0] == 'h' ? 1000000 : 30000;
}

static void count_only(void *object, void *arg)
{
    (void)object, (void)arg;
    finalized++;
}

static __attribute__((noinline)) void make_many(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t *object = bh_gc_alloc(16);
        REQUIRE(object != NULL);
        EXPECT(bh_gc_set_finalizer(object, count_only, NULL));
        EXPECT(i % 8 != 0 || bh_gc_add_cleanup(object, clean, NULL) != 0);
    }
}

TEST(gc_finalizers_by_the_million)
{
    size_t count = most_objects();
    begin(NULL);
    test_collect();
    uint64_t without_ns = stats_now().pause_last_ns;
    make_many(count);
    test_collect();
    harness_note("%zu finalizers: a pause of %llu us, %llu us without", count,
                 (unsigned long long)stats_now().pause_last_ns / 1000,
                 (unsigned long long)without_ns / 1000);
    run_all();
    for (int round = 0; round < 3; round++)
        collect_and_run();
    /* So many objects cover so much memory that more stray words point into it. */
    EXPECT(finalized <= count && finalized + count / 500 >= count);
    EXPECT(cleaned <= count / 8 + 1 && cleaned + count / 500 >= count / 8);
    bh_heap_verify();
}

/* ---- crimes ---- */

TEST_PANICS(gc_finalizer_of_a_manual_object,
            "bh_gc_set_finalizer(0x*): not the first byte of a collected object; caller 0x*")
{
    test_begin();
    bh_gc_set_finalizer(bh_malloc(64), never, NULL);
}

TEST_PANICS(gc_cleanup_of_an_interior_pointer,
            "bh_gc_add_cleanup(0x*): not the first byte of a collected object; caller 0x*")
{
    test_begin();
    bh_gc_add_cleanup((char *)bh_gc_alloc(64) + 8, clean, NULL);
}

/* ---- all cores ---- */

static void count_shared(void *object, void *arg)
{
    EXPECT_EQ(*(uint64_t *)object, (uintptr_t)arg);
    atomic_add_relaxed(&finalized, 1); /* a count */
}

/* Each sets finalizers, takes some back, collects now and then, and runs what is due. */
TEST_ALL_CORES(gc_finalizers_on_all_cores)
{
    test_begin();
    if (bh_port_core() == 0) {
        begin(NULL);
    }
    harness_barrier();
    for (uintptr_t i = 1; i <= 4000; i++) {
        uint64_t *object = bh_gc_alloc(40);
        if (!EXPECT(object != NULL))
            break;
        *object = i;
        EXPECT(bh_gc_set_finalizer(object, count_shared, (void *)i)); /* NOLINT */
        uint64_t handle = bh_gc_add_cleanup(object, clean_node, NULL);
        EXPECT(bh_gc_remove_cleanup(handle));
        if (i % 3 == 0)
            bh_gc_free(object);
        if (i % 500 == 0)
            bh_gc_collect();
        bh_gc_run_finalizers(3);
    }
    harness_barrier();
    if (bh_port_core() == 0) {
        collect_and_run();
        EXPECT(finalized + 64 >= (size_t)bh_port_core_count() * 2600);
        bh_heap_verify();
    }
}
