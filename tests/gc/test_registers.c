/* SPDX-License-Identifier: MIT */
/*
 * Every register, one at a time, of a core that is stopped; and some of one that parks, of one that
 * collects, of one that was interrupted before it was stopped.
 */
#include "arch/arch.h"
#include "gc/stop.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/string.h"
#include "tests/gc/gc_test.h"
#include "tests/gc/registers.h"
#include <bareheap/port.h>

/* ThreadSanitizer delivers signals at atomic accesses only: not to a loop in assembly. */
#ifdef __SANITIZE_THREAD__
#define SPIN_IS_INTERRUPTIBLE false
#else
#define SPIN_IS_INTERRUPTIBLE true
#endif

static struct spin spin;

static bool can_spin(void)
{
    if (SPIN_IS_INTERRUPTIBLE && board_cores() >= 2)
        return true;
    harness_skip("needs two cores, and interrupts in loops in assembly");
    return false;
}

static void wait_until(const uint32_t *flag)
{
    while (atomic_load_acquire(flag) == 0) /* pairs with whoever sets it with release */
        board_yield();
}

static __attribute__((noinline)) void hide_node(uint64_t magic, size_t offset)
{
    spin = (struct spin){.hidden = test_hide((char *)test_node(magic, magic / 2) + offset)};
}

static void expect_node(uintptr_t hidden, uint64_t magic)
{
    const struct node *node = test_show(hidden);
    EXPECT(node->magic == magic && node->value == magic / 2);
}

/* ---- of a core that is stopped ---- */

static void run_loop(void *arg)
{
    void (*const *loop)(struct spin *) = arg;
    (*loop)(&spin);
}

/* The node is in `loop`'s register of core 1, as an address `offset` behind its first byte, and
 * nowhere else, while core 0 collects. */
static bool is_held_by(void (*loop)(struct spin *), size_t offset)
{
    uint64_t magic = test_magic();
    hide_node(magic, offset);
    uintptr_t hidden = spin.hidden;
    board_start(1, run_loop, &loop);
    wait_until(&spin.ready);
    test_collect();
    bool alive = test_is_alive(hidden);
    atomic_store_release(&spin.go, 1); /* pairs with the loop */
    board_wait(1);
    EXPECT(spin.hidden == hidden);
    if (alive)
        expect_node(test_hide((char *)test_show(hidden) - offset), magic);
    return alive;
}

/* Each register, or each `step`-th from a random one on. */
static void expect_all_hold(size_t step, size_t offset)
{
    test_begin();
    if (!can_spin())
        return;
    for (size_t i = harness_random_below(step); i < registers_count; i += step) {
        if (!EXPECT(is_held_by(registers_spin[i], offset)))
            harness_note("a pointer in %s only", registers_name[i]);
    }
}

TEST(gc_pointer_in_each_register_of_another_core)
{
    expect_all_hold(1, 0);
}

/* Where a register is stored does not depend on what it holds: some of them will do. */
TEST(gc_one_past_the_end_in_registers_of_another_core)
{
    expect_all_hold(8, sizeof(struct node));
}

TEST(gc_pointer_in_a_register_of_a_core_that_parks)
{
    test_begin();
    if (can_spin())
        EXPECT(is_held_by(spin_parked, 0));
}

/* ---- of a core that calls ---- */

struct look {
    uintptr_t hi;
    size_t stored;
};

/* Whether register `n` is in [lo, hi). */
static bool is_stored(size_t n, uintptr_t lo, uintptr_t hi)
{
    for (const uintptr_t *word = (const uintptr_t *)lo; word < (const uintptr_t *)hi; word++) {
        if (*word == REGISTERS_VALUE + n)
            return true;
    }
    return false;
}

static __attribute__((no_sanitize("address"))) void look_for_all(void *arg, uintptr_t sp)
{
    struct look *look = arg;
    for (size_t n = 0; n < registers_kept_count; n++) {
        bool stored = is_stored(n, sp, look->hi);
        look->stored += stored;
        if (!stored)
            harness_note("register %zu of the list is not stored", n);
    }
}

TEST(gc_registers_are_stored)
{
    struct look look = {(uintptr_t)__builtin_frame_address(0), 0};
    registers_fill_and_call(look_for_all, &look);
    EXPECT_EQ(look.stored, registers_kept_count);
}

static void collect_twice(void *arg)
{
    (void)arg;
    test_collect();
    test_collect();
}

static __attribute__((noinline)) uintptr_t hidden_node(uint64_t magic)
{
    return test_hide(test_node(magic, magic / 2));
}

TEST(gc_pointer_in_a_saved_register_of_the_core_that_collects)
{
    uint64_t magic = test_magic();
    test_begin();
    uintptr_t hidden = hidden_node(magic);
    EXPECT_EQ(hold_in_register(hidden, collect_twice, NULL), hidden);
    if (EXPECT(test_is_alive(hidden)))
        expect_node(hidden, magic);
}

/* ---- of a core that was interrupted ---- */

static uint32_t in_handler;

/* Interrupts the loop for as long as it is to last, and stands still from here for each stop: what
 * the loop has in its register is in the frame of this interrupt only. */
static void stay_in_handler(void)
{
    if (atomic_load_acquire(&spin.ready) == 0) /* pairs with the loop */
        return;
    registers_wipe();
    atomic_store_release(&in_handler, 1); /* pairs with wait_until() */
    while (atomic_load_acquire(&spin.go) == 0)
        stop_poll();
}

static void run_interrupted_loop(void *arg)
{
    void (*const *loop)(struct spin *) = arg;
    board_timer_start(1000000, stay_in_handler);
    (*loop)(&spin);
    board_timer_stop();
}

static void expect_held_by_frame(void (*loop)(struct spin *))
{
    uint64_t magic = test_magic();
    test_begin();
    if (!can_spin())
        return;
    in_handler = 0;
    hide_node(magic, 0);
    uintptr_t hidden = spin.hidden;
    board_start(1, run_interrupted_loop, &loop);
    wait_until(&in_handler);
    test_collect();
    test_collect();
    bool alive = test_is_alive(hidden);
    atomic_store_release(&spin.go, 1); /* pairs with the loop and its handler */
    board_wait(1);
    if (EXPECT(alive))
        expect_node(hidden, magic);
}

TEST(gc_general_register_in_an_interrupt_frame_of_another_core)
{
    expect_held_by_frame(spin_scratch);
}

TEST(gc_link_register_in_an_interrupt_frame_of_another_core)
{
    expect_held_by_frame(spin_link);
}

TEST(gc_vector_register_in_an_interrupt_frame_of_another_core)
{
    expect_held_by_frame(spin_vector_high);
}
