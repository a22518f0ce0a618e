/* SPDX-License-Identifier: MIT */
/*
 * Finalizers and cleanups: when they run, in which order, and what they may do.
 *
 * An object's finalizer counts in `finalized`, checks that the object is whole, and does what its
 * test asked for in `also`.
 */
#include "kernel-lib/atomics.h"
#include "tests/gc/finalize.h"
#include <bareheap/port.h>

uint64_t finalize_counted; /* magic of the nodes that count */
size_t finalize_count;
void (*finalize_also)(struct node *node);
size_t finalize_cleaned;
uint64_t finalize_told; /* calls of the port's hook */

void bh_port_finalizers_due(void)
{
    atomic_add_relaxed(&finalize_told, 1); /* a count */
}

struct bh_gc_stats finalize_stats(void)
{
    struct bh_gc_stats stats;
    bh_gc_get_stats(&stats);
    return stats;
}

bool finalize_counts(uint64_t magic)
{
    if (magic != finalize_counted)
        return false;
    atomic_add_relaxed(&finalize_count, 1); /* a count */
    return true;
}

static void finalize_node(void *object, void *arg)
{
    struct node *node = object;
    EXPECT_EQ(node->magic, (uintptr_t)arg);
    if (finalize_counts(node->magic) && finalize_also != NULL)
        finalize_also(node);
}

void finalize_clean(void *arg)
{
    (void)arg;
    atomic_add_relaxed(&finalize_cleaned, 1); /* a count */
}

/* Runs all that is due, then none is. */
size_t finalize_run_all(void)
{
    size_t ran = bh_gc_run_finalizers(SIZE_MAX);
    EXPECT_EQ(finalize_stats().finalizers_due, 0);
    return ran;
}

void finalize_collect(void)
{
    test_collect();
    finalize_run_all();
}

/* Returns the magic of the nodes to be made. */
uint64_t finalize_begin(void (*also_do)(struct node *node))
{
    test_begin();
    finalize_also = NULL;
    for (int i = 0; i < 2; i++)
        finalize_collect(); /* leftovers of other tests */
    finalize_also = also_do;
    finalize_counted = test_magic();
    finalize_count = finalize_cleaned = 0;
    return finalize_counted;
}

bool finalize_watch(struct node *node)
{
    return bh_gc_set_finalizer(node, finalize_node, (void *)(uintptr_t)node->magic); /* NOLINT */
}

__attribute__((noinline)) void finalize_make(uint64_t magic, size_t count)
{
    for (size_t i = 0; i < count; i++)
        EXPECT(finalize_watch(test_node(magic, i)));
}

void finalize_expect_nearly(size_t count, size_t all)
{
    /* A stale word to a node holds what that refers to, and idle cores have many. */
    EXPECT(count <= all && count + 4 * TEST_LEFTOVERS >= all);
}

TEST(gc_finalizer_runs_once_and_outside_of_the_stop)
{
    uint64_t magic = finalize_begin(NULL);

    size_t set_before = finalize_stats().finalizers_set;
    uint64_t run_before = finalize_stats().finalizers_run;
    uint64_t told_before = finalize_told;
    finalize_make(magic, FINALIZE_OBJECTS);
    EXPECT_EQ(finalize_stats().finalizers_set, set_before + FINALIZE_OBJECTS);
    test_collect();
    EXPECT_EQ(finalize_count, 0);
    EXPECT(finalize_told > told_before);
    EXPECT_EQ(test_count(magic), FINALIZE_OBJECTS);
    size_t due = finalize_stats().finalizers_due;
    finalize_expect_nearly(due, FINALIZE_OBJECTS);
    EXPECT_EQ(bh_gc_run_finalizers(7), 7);
    EXPECT_EQ(finalize_run_all(), due - 7);
    EXPECT_EQ(finalize_count, due);
    EXPECT_EQ(finalize_stats().finalizers_run, run_before + due);
    finalize_collect();
    EXPECT(test_count(magic) <= TEST_LEFTOVERS);
    EXPECT(finalize_count <= FINALIZE_OBJECTS);
}

/* `value` of a node in a list is its place; the finalizer puts FINALIZE_OBJECTS there. */
static void expect_before_the_rest(struct node *node)
{
    EXPECT(node->value < FINALIZE_OBJECTS);
    EXPECT(node->left == NULL || node->left->value == node->value + 1);
    node->value = FINALIZE_OBJECTS;
}

static __attribute__((noinline)) void make_lists(uint64_t magic, size_t lists, uint64_t length)
{
    for (size_t i = 0; i < lists; i++) {
        struct node *next = NULL;
        for (uint64_t place = length; place-- > 0;) {
            struct node *node = test_node(magic, place);
            node->left = next;
            EXPECT(finalize_watch(node));
            next = node;
        }
    }
}

TEST(gc_finalizer_of_what_refers_runs_first)
{
    enum { LISTS = 64, LENGTH = 4 };
    uint64_t magic = finalize_begin(expect_before_the_rest);
    make_lists(magic, LISTS, LENGTH);
    for (size_t round = 1; round <= LENGTH; round++) {
        finalize_collect();
        EXPECT(finalize_count <= round * LISTS);
        EXPECT(finalize_count + round * TEST_LEFTOVERS >= round * LISTS);
    }
}

static __attribute__((noinline)) void make_rings(uint64_t magic)
{
    for (size_t i = 0; i < FINALIZE_OBJECTS / 2; i++) {
        struct node *one = test_node(magic, i);
        struct node *other = test_node(magic, i);
        one->left = other;
        other->left = one;
        EXPECT(finalize_watch(one) && finalize_watch(other));
    }
}

static void drop_finalizer(const struct node *node)
{
    EXPECT(bh_gc_set_finalizer((void *)(uintptr_t)node, NULL, NULL)); /* NOLINT */
}

TEST(gc_finalizers_in_a_ring_never_run)
{
    uint64_t magic = finalize_begin(NULL);

    make_rings(magic);
    finalize_collect();
    finalize_collect();
    EXPECT_EQ(finalize_count, 0);
    EXPECT_EQ(test_count(magic), FINALIZE_OBJECTS);
}

/* ---- resurrection ---- */

static struct node *revived[FINALIZE_OBJECTS];

static void revive(struct node *node)
{
    revived[node->value] = node;
}

static void revive_and_watch(struct node *node)
{
    revived[node->value] = node;
    EXPECT(finalize_watch(node));
}

static void bury(void)
{
    for (size_t i = 0; i < FINALIZE_OBJECTS; i++)
        revived[i] = NULL;
}

TEST(gc_finalizer_may_resurrect)
{
    uint64_t magic = finalize_begin(revive);

    finalize_make(magic, FINALIZE_OBJECTS);
    finalize_collect();
    size_t first = finalize_count;
    finalize_expect_nearly(first, FINALIZE_OBJECTS);
    test_collect();
    for (size_t i = 0; i < FINALIZE_OBJECTS; i++)
        EXPECT(revived[i] == NULL || (revived[i]->magic == magic && revived[i]->value == i));
    EXPECT(test_count(magic) >= first);
    bury();
    finalize_collect();
    bury();
    finalize_collect();
    EXPECT(finalize_count <= FINALIZE_OBJECTS);
    bury();
    test_collect();
    EXPECT(test_count(magic) <= TEST_LEFTOVERS);
}

TEST(gc_finalizer_set_again_runs_again)
{
    uint64_t magic = finalize_begin(revive_and_watch);
    finalize_make(magic, FINALIZE_OBJECTS);
    for (size_t round = 1; round <= 3; round++) {
        finalize_collect();
        bury();
        finalize_expect_nearly(finalize_count, round * FINALIZE_OBJECTS);
    }
    finalize_also = NULL;
    finalize_collect();
    finalize_expect_nearly(finalize_count, 4 * FINALIZE_OBJECTS);
    finalize_collect();
    EXPECT(finalize_count <= 4 * FINALIZE_OBJECTS);
}

/* ---- replacing, removing, arguments ---- */

void finalize_never(void *object, void *arg)
{
    (void)arg;
    EXPECT(object == NULL);
}

static __attribute__((noinline)) void make_replaced_and_removed(uint64_t magic)
{
    for (size_t i = 0; i < FINALIZE_OBJECTS; i++) {
        struct node *node = test_node(magic, i);
        EXPECT(bh_gc_set_finalizer(node, finalize_never, NULL));
        EXPECT(i % 2 ? finalize_watch(node) : bh_gc_set_finalizer(node, NULL, NULL));
        EXPECT(i % 2 || bh_gc_set_finalizer(node, NULL, NULL)); /* there is none: no matter */
    }
}

TEST(gc_finalizer_replaced_and_removed)
{
    uint64_t magic = finalize_begin(NULL);

    size_t set_before = finalize_stats().finalizers_set;
    make_replaced_and_removed(magic);
    EXPECT_EQ(finalize_stats().finalizers_set, set_before + FINALIZE_OBJECTS / 2);
    test_collect();
    EXPECT(test_count(magic) <= FINALIZE_OBJECTS / 2 + TEST_LEFTOVERS);
    finalize_run_all();
    finalize_expect_nearly(finalize_count, FINALIZE_OBJECTS / 2);
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
    EXPECT(finalize_watch(pair->left) && finalize_watch(pair->right));
}

TEST(gc_finalizer_is_taken_back_while_it_is_due)
{
    uint64_t magic = finalize_begin(take_back);
    struct node *pairs = bh_calloc(FINALIZE_OBJECTS, sizeof(*pairs));
    REQUIRE(pairs != NULL);
    for (size_t i = 0; i < FINALIZE_OBJECTS; i++)
        make_pair(magic, &pairs[i]);
    finalize_collect();
    finalize_expect_nearly(finalize_count, FINALIZE_OBJECTS);
    finalize_collect();
    EXPECT_EQ(finalize_stats().finalizers_due, 0);
    EXPECT(finalize_count <= FINALIZE_OBJECTS + TEST_LEFTOVERS);
    bh_free(pairs);
}

static void finalize_with_node(void *object, void *arg)
{
    const struct node *node = object;
    const struct node *other = arg;
    EXPECT(node->magic == other->magic && node->value == other->value && other->left->value == 7);
    finalize_counts(node->magic);
}

static __attribute__((noinline)) void make_with_arguments(uint64_t magic)
{
    for (size_t i = 0; i < FINALIZE_OBJECTS; i++) {
        struct node *arg = test_node(magic, i);
        arg->left = test_node(magic, 7);
        EXPECT(bh_gc_set_finalizer(test_node(magic, i), finalize_with_node, arg));
    }
}

TEST(gc_finalizer_argument_is_kept)
{
    uint64_t magic = finalize_begin(NULL);

    make_with_arguments(magic);
    for (int i = 0; i < 3; i++)
        test_collect(); /* due and not run yet */
    EXPECT_EQ(test_count(magic), 3 * FINALIZE_OBJECTS);
    finalize_run_all();
    finalize_expect_nearly(finalize_count, FINALIZE_OBJECTS);
    finalize_collect();
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
    finalize_counts(typed->magic);
}

static __attribute__((noinline)) void make_typed(uint64_t magic, uint64_t other_magic)
{
    for (size_t i = 0; i < FINALIZE_OBJECTS; i++) {
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
    uint64_t magic = finalize_begin(NULL);
    uint64_t other_magic = test_magic();

    make_typed(magic, other_magic);
    test_collect();
    EXPECT_EQ(test_count(magic), 4 * FINALIZE_OBJECTS);
    EXPECT(test_count(other_magic) <= TEST_LEFTOVERS);
    finalize_run_all();
    finalize_expect_nearly(finalize_count, FINALIZE_OBJECTS);
}

/* ---- cleanups ---- */

void finalize_clean_node(void *arg)
{
    const struct node *node = arg;
    EXPECT(node->value == 9);
    atomic_add_relaxed(&finalize_cleaned, 1); /* a count */
}

static uint64_t handles[FINALIZE_OBJECTS];

static __attribute__((noinline)) void make_cleaned(uint64_t magic, uint64_t arg_magic)
{
    for (size_t i = 0; i < FINALIZE_OBJECTS; i++) {
        struct node *node = test_node(magic, i);
        for (int n = 0; n < 3; n++) {
            handles[i] = bh_gc_add_cleanup(node, finalize_clean_node, test_node(arg_magic, 9));
            EXPECT(handles[i] != 0);
        }
    }
}

TEST(gc_cleanups_run_when_the_object_is_gone)
{
    uint64_t magic = finalize_begin(NULL);
    uint64_t arg_magic = test_magic();

    uint64_t before = finalize_stats().cleanups_run;
    make_cleaned(magic, arg_magic);
    for (size_t i = 0; i < FINALIZE_OBJECTS; i++) {
        EXPECT(i % 2 == 0 || bh_gc_remove_cleanup(handles[i]));
        EXPECT(i % 2 == 0 || !bh_gc_remove_cleanup(handles[i]));
    }
    test_collect();
    EXPECT(test_count(magic) <= TEST_LEFTOVERS); /* nothing waits for the cleanups */
    size_t kept = 3 * FINALIZE_OBJECTS - FINALIZE_OBJECTS / 2;
    EXPECT(test_count(arg_magic) >= kept && test_count(arg_magic) <= kept + TEST_LEFTOVERS);
    size_t taken_back = 0;
    for (size_t i = 0; i < FINALIZE_OBJECTS; i += 4)
        taken_back += bh_gc_remove_cleanup(handles[i]);
    EXPECT_EQ(taken_back, FINALIZE_OBJECTS / 4);
    finalize_run_all();
    EXPECT(finalize_cleaned <= 9 * FINALIZE_OBJECTS / 4 &&
           finalize_cleaned + 3 * TEST_LEFTOVERS >= 9 * FINALIZE_OBJECTS / 4);
    EXPECT_EQ(finalize_stats().cleanups_run, before + finalize_cleaned);
    EXPECT(!bh_gc_remove_cleanup(handles[2]) || finalize_cleaned < 9 * FINALIZE_OBJECTS / 4);
    EXPECT(!bh_gc_remove_cleanup(0) && !bh_gc_remove_cleanup(UINT64_MAX));
    finalize_collect();
    EXPECT(test_count(arg_magic) <= 3 * TEST_LEFTOVERS);
}

static __attribute__((noinline)) void make_both(uint64_t magic)
{
    for (size_t i = 0; i < FINALIZE_OBJECTS; i++) {
        struct node *node = test_node(magic, i);
        EXPECT(finalize_watch(node) && bh_gc_add_cleanup(node, finalize_clean, NULL) != 0);
    }
}

TEST(gc_cleanup_comes_after_the_finalizer)
{
    uint64_t magic = finalize_begin(revive);
    make_both(magic);
    finalize_collect();
    finalize_expect_nearly(finalize_count, FINALIZE_OBJECTS);
    EXPECT_EQ(finalize_cleaned, 0);
    finalize_collect();
    EXPECT(finalize_cleaned <= TEST_LEFTOVERS); /* the rest was revived */
    bury();
    finalize_collect();
    bury();
    finalize_collect();
    finalize_expect_nearly(finalize_cleaned, FINALIZE_OBJECTS);
}
