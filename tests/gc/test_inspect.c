/* SPDX-License-Identifier: MIT */
/* bh_gc_walk(): every collected object once, in order, as it is. */
#include "alloc/poison.h"
#include "kernel-lib/atomics.h"
#include "tests/gc/gc_test.h"
#include <bareheap/port.h>

static void *volatile root;

enum { LIST_NODES = 2000 };

static __attribute__((noinline)) void make_list(uint64_t magic)
{
    for (uint64_t i = 0; i < LIST_NODES; i++) {
        struct node *node = test_node(magic, i);
        node->left = root;
        root = node;
    }
}

struct tour {
    uint64_t magic;
    size_t found;
    size_t out_of_order;
    size_t of_kind[BH_GC_TYPED + 1];
    uintptr_t last_end;
};

/* A board may have regions in any order: a step back is one between two of them. Objects of other
 * cases may be shorter than a word. */
POISON_BLIND static void tour_visit(const struct bh_gc_object *object, void *arg)
{
    struct tour *tour = arg;
    uintptr_t base = (uintptr_t)object->base;
    tour->out_of_order += base < tour->last_end;
    tour->last_end = base + object->bytes;
    tour->of_kind[object->kind]++;
    tour->found += *(const uint64_t *)object->base == tour->magic;
}

TEST(gc_walk_shows_every_object_once)
{
    struct tour tour = {0};
    test_begin();
    test_collect();
    tour.magic = test_magic();
    make_list(tour.magic);
    EXPECT(bh_gc_walk(tour_visit, &tour));
    EXPECT_EQ(tour.found, LIST_NODES);
    EXPECT(tour.out_of_order < 8);
    EXPECT(tour.of_kind[BH_GC_CONSERVATIVE] >= LIST_NODES);
    test_drop_list(root, offsetof(struct node, left));
    root = NULL;
    test_collect();
    tour = (struct tour){.magic = tour.magic};
    EXPECT(bh_gc_walk(tour_visit, &tour));
    EXPECT(tour.found <= TEST_LEFTOVERS);
}

struct shape_of {
    const void *object;
    struct bh_gc_object shown;
    size_t times;
};

static void shape_visit(const struct bh_gc_object *object, void *arg)
{
    struct shape_of *shape = arg;
    if (object->base != shape->object)
        return;
    shape->shown = *object;
    shape->times++;
}

static void expect_shape(const void *object, size_t bytes, enum bh_gc_kind kind,
                         const struct bh_gc_type *type)
{
    struct shape_of shape = {.object = object};
    EXPECT(bh_gc_walk(shape_visit, &shape));
    EXPECT_EQ(shape.times, 1);
    EXPECT_EQ(shape.shown.kind, kind);
    EXPECT(shape.shown.type == type);
    EXPECT(shape.shown.bytes >= bytes && shape.shown.bytes <= bytes + bytes / 4 + 8192);
}

/* No other test's types have the layout of the first: or one of theirs would be shown. */
struct shape {
    uint64_t numbers[17];
    struct shape *next;
    uint64_t more[3];
};
static BH_GC_TYPE(shape_type, struct shape, BH_GC_POINTER(struct shape, next));
static BH_GC_TYPE(shape_twin_type, struct shape, BH_GC_POINTER(struct shape, next));
static BH_GC_TYPE(shape_plain_type, struct shape, 0);

TEST(gc_walk_tells_size_and_kind)
{
    test_begin();
    expect_shape(bh_gc_alloc(200), 200, BH_GC_CONSERVATIVE, NULL);
    expect_shape(bh_gc_alloc_noscan(3000), 3000, BH_GC_NOSCAN, NULL);
    expect_shape(bh_gc_alloc((size_t)1 << 20), (size_t)1 << 20, BH_GC_CONSERVATIVE, NULL);
    test_collect();
}

/* Of types that share a layout the first, for arrays and tails as well. */
TEST(gc_walk_tells_the_type)
{
    size_t bytes = sizeof(struct shape);
    test_begin();
    expect_shape(bh_gc_alloc_typed(&shape_type), bytes, BH_GC_TYPED, &shape_type);
    expect_shape(bh_gc_alloc_typed(&shape_twin_type), bytes, BH_GC_TYPED, &shape_type);
    expect_shape(bh_gc_alloc_typed_array(&shape_twin_type, 3), 3 * bytes, BH_GC_TYPED, &shape_type);
    expect_shape(bh_gc_alloc_typed_tail(&shape_type, 500), bytes + 500, BH_GC_TYPED, &shape_type);
    expect_shape(bh_gc_alloc_typed(&shape_plain_type), bytes, BH_GC_NOSCAN, NULL);
    test_collect();
}

static void never(const struct bh_gc_object *object, void *arg)
{
    (void)object;
    *(bool *)arg = true;
}

TEST(gc_walk_needs_interrupts)
{
    bool called = false;
    test_begin();
    EXPECT(bh_gc_alloc(8) != NULL);
    board_irq_off();
    EXPECT(!bh_gc_walk(never, &called));
    EXPECT_EQ(bh_gc_report_leaks(0), SIZE_MAX);
    board_irq_on();
    EXPECT(!called);
}

/* ---- on all cores at once ---- */

static uint64_t shared_magic;
static struct node *kept[BH_MAX_CORES];

/* What every core has in its hands is shown, whoever walks and whatever the others do. */
static void walk_and_check(void)
{
    struct tour tour = {.magic = atomic_load_relaxed(&shared_magic)};
    EXPECT(bh_gc_walk(tour_visit, &tour));
    EXPECT(tour.found >= board_cores());
}

TEST_ALL_CORES(gc_walk_beside_allocating_cores)
{
    unsigned core = bh_port_core();
    if (core == 0) {
        test_begin();
        atomic_store_relaxed(&shared_magic, test_magic()); /* the barrier orders it */
    }
    harness_barrier();
    kept[core] = test_node(shared_magic, core);
    harness_barrier();
    for (unsigned i = 0; i < 400; i++) {
        kept[core]->left = bh_gc_alloc(16 + i % 500);
        if (i % 100 == core % 100)
            walk_and_check();
    }
    harness_barrier();
    kept[core] = NULL;
}
