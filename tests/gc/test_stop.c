/* SPDX-License-Identifier: MIT */
/* Stopping other cores: what their stacks hold is found, wherever they are, and two may ask at
 * once. Registers: test_registers.c. */
#include "arch/arch.h"
#include "gc/collect.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/spinlock.h"
#include "tests/gc/gc_test.h"
#include <bareheap/port.h>

static bool need_cores(unsigned cores)
{
    if (board_cores() >= cores)
        return true;
    harness_skip("needs more cores");
    return false;
}

static void wait_until(const uint32_t *flag)
{
    while (atomic_load_acquire(flag) == 0) /* pairs with whoever sets it with release */
        board_yield();
}

/* ---- a stack of another core ---- */

struct spinner {
    uint32_t ready;
    uint32_t go;
    uint64_t magic;
    bool intact;
};

/* Waits in a loop without calls, with nodes on its stack. */
static void spin_with_stack(void *arg)
{
    struct spinner *spinner = arg;
    struct node *volatile local[32];
    for (size_t i = 0; i < 32; i++)
        local[i] = test_node(spinner->magic, i);
    atomic_store_release(&spinner->ready, 1); /* pairs with wait_until() */
    while (atomic_load_acquire(&spinner->go) == 0)
        continue;
    spinner->intact = true;
    for (size_t i = 0; i < 32; i++)
        spinner->intact &= local[i]->magic == spinner->magic && local[i]->value == i;
}

TEST(gc_stack_of_another_core_is_a_root)
{
    static struct spinner spinner;
    test_begin();
    if (!need_cores(2))
        return;
    spinner = (struct spinner){.magic = test_magic()};
    board_start(1, spin_with_stack, &spinner);
    wait_until(&spinner.ready);
    for (int i = 0; i < 5; i++)
        test_collect();
    EXPECT_EQ(test_count(spinner.magic), 32);
    atomic_store_release(&spinner.go, 1); /* pairs with spin_with_stack() */
    board_wait(1);
    EXPECT(spinner.intact);
}

/* ---- all cores at once ---- */

static __attribute__((noinline)) struct node *random_tree(uint64_t magic, unsigned depth)
{
    struct node *node = test_node(magic, depth);
    node->value = (uintptr_t)node ^ magic;
    if (depth > 0 && harness_random_below(8) != 0)
        node->left = random_tree(magic, depth - 1);
    if (depth > 0 && harness_random_below(8) != 0)
        node->right = random_tree(magic, depth - 1);
    return node;
}

static bool tree_is_intact(const struct node *node, uint64_t magic)
{
    return node == NULL ||
           (node->magic == magic && node->value == ((uintptr_t)node ^ magic) &&
            tree_is_intact(node->left, magic) && tree_is_intact(node->right, magic));
}

/* Trees that cores hand to one another; a magic of their own, so that any core can check them. */
#define EXCHANGE       64
#define EXCHANGE_MAGIC UINT64_C(0x9d5f00d5eed5a11e)
static struct node *exchange[EXCHANGE];

TEST_ALL_CORES(gc_all_cores_allocate_and_check)
{
    test_begin();
    bh_gc_set_percent(20);
    harness_barrier();
    struct node *mine[8] = {NULL};
    for (int i = 0; i < 400; i++) {
        struct node **slot = &mine[harness_random_below(8)];
        EXPECT(tree_is_intact(*slot, EXCHANGE_MAGIC));
        struct node *tree = random_tree(EXCHANGE_MAGIC, 6);
        /* Acquire and release: what another core built is seen before it is checked. */
        *slot =
            __atomic_exchange_n(&exchange[harness_random_below(EXCHANGE)], tree, __ATOMIC_ACQ_REL);
        EXPECT(tree_is_intact(*slot, EXCHANGE_MAGIC));
        if (i % 16 == 0)
            bh_free(bh_malloc(1 + harness_random_below(9000)));
    }
    harness_barrier();
    if (bh_port_core() == 0) {
        for (size_t i = 0; i < EXCHANGE; i++)
            exchange[i] = NULL;
        bh_gc_set_percent(100);
        bh_heap_verify();
    }
    harness_barrier();
}

TEST_ALL_CORES(gc_all_cores_ask_for_a_collection_at_once)
{
    static uint64_t before;
    test_begin();
    if (bh_port_core() == 0)
        before = test_cycles();
    uint64_t magic = test_magic();
    struct node *kept = random_tree(magic, 8);
    for (unsigned i = 0; i < test_rounds(25); i++) {
        struct node *dropped = test_node(magic, 1);
        uintptr_t hidden = test_hide(dropped);
        dropped = NULL;
        harness_barrier();
        uint64_t cycles = test_cycles();
        EXPECT(bh_gc_collect());
        EXPECT(test_cycles() > cycles);
        EXPECT(tree_is_intact(kept, magic));
        (void)hidden;
    }
    harness_barrier();
    if (bh_port_core() == 0)
        EXPECT(test_cycles() >= before + test_rounds(25));
    harness_barrier();
}

/* ---- a stop that collects nothing ---- */

static uint32_t look_begins;

static void look_at_nothing(const struct bh_gc_object *object, void *arg)
{
    (void)object, (void)arg;
}

static void walk_the_heap(void *arg)
{
    (void)arg;
    atomic_store_release(&look_begins, 1); /* pairs with wait_until() */
    EXPECT(bh_gc_walk(look_at_nothing, NULL));
}

/* With interrupts off this core does not stop for the other's look, and begins a cycle when that
 * core has had ample time to ask for it. */
TEST(gc_collection_that_comes_second_to_a_walk_is_run)
{
    test_begin();
    if (!need_cores(2))
        return;
    for (int i = 0; i < 5; i++) {
        look_begins = 0;
        uintptr_t irq = arch_irq_save();
        board_start(1, walk_the_heap, NULL);
        wait_until(&look_begins);
        for (unsigned pauses = 0; pauses < 100000; pauses++)
            arch_pause();
        EXPECT(collect_run(COLLECT_FORCED));
        arch_irq_restore(irq);
        board_wait(1);
    }
}

/* ---- a lock that is held while the world stops ---- */

static struct spinlock contended = SPINLOCK_INIT(LOCK_TEST_LOW, "test: contended");

struct lock_test {
    uint32_t holding;
    uint32_t waiting;
    uint32_t go;
    uint32_t got_it;
};
static struct lock_test lock_test;

/* Holds the lock with interrupts off for as long as it is told to: parked, as the contract wants.
 */
static void hold_lock(void *arg)
{
    (void)arg;
    uintptr_t irq = spinlock_acquire(&contended);
    bh_gc_park();
    atomic_store_release(&lock_test.holding, 1); /* pairs with wait_until() */
    wait_until(&lock_test.go);
    bh_gc_unpark();
    spinlock_release(&contended, irq);
}

static void wait_for_lock(void *arg)
{
    (void)arg;
    struct node *volatile mine = test_node(21, 22);
    wait_until(&lock_test.holding);
    atomic_store_release(&lock_test.waiting, 1); /* pairs with wait_until() */
    uintptr_t irq = spinlock_acquire(&contended);
    spinlock_release(&contended, irq);
    EXPECT(mine->magic == 21 && mine->value == 22);
    atomic_store_release(&lock_test.got_it, 1); /* pairs with the test */
}

/* Core 2 waits, with interrupts off, for a lock that core 1 will not release before core 0's
 * collection is over. */
TEST(gc_who_waits_for_a_lock_stands_still)
{
    test_begin();
    if (!need_cores(3))
        return;
    lock_test = (struct lock_test){0};
    board_start(1, hold_lock, NULL);
    board_start(2, wait_for_lock, NULL);
    wait_until(&lock_test.waiting);
    for (int i = 0; i < 5; i++)
        test_collect();
    EXPECT_EQ(atomic_load_acquire(&lock_test.got_it), 0);
    atomic_store_release(&lock_test.go, 1); /* pairs with hold_lock() */
    board_wait(1);
    board_wait(2);
    EXPECT_EQ(atomic_load_acquire(&lock_test.got_it), 1);
}
