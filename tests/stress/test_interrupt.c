/* SPDX-License-Identifier: MIT */
/*
 * The timer interrupt allocates and frees on every core, from the same size classes as the code
 * that it interrupts at arbitrary points. Contents are checked on both sides. How long it
 * takes decides nothing: it ends when every core has had its interrupts.
 */
#include "kernel-lib/atomics.h"
#include "tests/unit/heap_test.h"

#define PERIOD_NS  UINT64_C(100000)
#define INTERRUPTS 300
#define SLOTS      40
#define IRQ_SLOTS  24

/* What one core has. The interrupt has random numbers of its own: harness_random() belongs to the
 * code that it interrupts. */
static struct interrupted {
    struct heap_test_object slots[SLOTS];
    struct heap_test_object irq_slots[IRQ_SLOTS];
    uint64_t random;
    uint32_t interrupts;
} cores[BOARD_MAX_CORES];

static uint64_t irq_random_below(struct interrupted *core, uint64_t n)
{
    core->random = core->random * 6364136223846793005u + 1442695040888963407u;
    return (core->random >> 33) % n;
}

/* Sizes on both sides of the classes' borders, now and then a large one. */
static size_t irq_size(struct interrupted *core)
{
    static const size_t sizes[] = {8, 16, 24, 48, 64, 100, 128, 200, 500, 1000, 2000, 40000};
    return sizes[irq_random_below(core, sizeof(sizes) / sizeof(sizes[0]))];
}

static void irq_alloc(struct interrupted *core, struct heap_test_object *slot)
{
    size_t bytes = irq_size(core);
    char *address = irq_random_below(core, 4) ? bh_malloc(bytes) : bh_calloc(1, bytes);
    if (!address)
        return; /* legal: out of memory in an interrupt */
    *slot = (struct heap_test_object){address, bytes, core->random};
    heap_test_fill(address, bytes, slot->tag);
}

static void irq_realloc(struct interrupted *core, struct heap_test_object *slot)
{
    size_t bytes = irq_size(core);
    size_t kept = bytes < slot->bytes ? bytes : slot->bytes;
    char *address = bh_realloc(slot->address, bytes);
    if (!address)
        return;
    EXPECT(heap_test_is_filled(address, kept & ~(size_t)7, slot->tag));
    *slot = (struct heap_test_object){address, bytes, core->random};
    heap_test_fill(address, bytes, slot->tag);
}

static void irq_step(struct interrupted *core)
{
    struct heap_test_object *slot = &core->irq_slots[irq_random_below(core, IRQ_SLOTS)];
    if (!slot->address)
        irq_alloc(core, slot);
    else if (irq_random_below(core, 5) == 0)
        irq_realloc(core, slot);
    else
        heap_test_free(slot);
}

static void on_timer(void)
{
    struct interrupted *core = &cores[bh_port_core()];
    for (unsigned i = 0; i < 8; i++)
        irq_step(core);
    /* Relaxed: only this core's own loop reads it. */
    atomic_store_relaxed(&core->interrupts, core->interrupts + 1);
}

/* The same sizes, so that both want the same bins at the same time. */
static void main_step(struct interrupted *core)
{
    static const size_t sizes[] = {8, 16, 24, 48, 64, 100, 128, 200, 500, 1000, 2000};
    struct heap_test_object *slot = &core->slots[harness_random_below(SLOTS)];
    if (slot->address)
        heap_test_free(slot);
    else
        heap_test_alloc(slot, sizes[harness_random_below(sizeof(sizes) / sizeof(sizes[0]))]);
}

TEST_ALL_CORES(interrupts_allocate_on_all_cores)
{
    harness_heap();
    struct interrupted *core = &cores[bh_port_core()];
    core->random = harness_random();
    atomic_store_relaxed(&core->interrupts, 0); /* as in on_timer() */
    board_timer_start(PERIOD_NS, on_timer);
    while (atomic_load_relaxed(&core->interrupts) < INTERRUPTS) /* as above */
        main_step(core);
    board_timer_stop();
    heap_test_verify_at_barrier();
    heap_test_free_all(core->slots, SLOTS);
    heap_test_free_all(core->irq_slots, IRQ_SLOTS);
    heap_test_verify_at_barrier();
}

/* With the classes' spans handed back all the time, so that every tier is interrupted. */
TEST_ALL_CORES(interrupts_allocate_while_caches_are_flushed)
{
    harness_heap();
    struct interrupted *core = &cores[bh_port_core()];
    core->random = harness_random();
    atomic_store_relaxed(&core->interrupts, 0); /* as in on_timer() */
    board_timer_start(PERIOD_NS, on_timer);
    while (atomic_load_relaxed(&core->interrupts) < INTERRUPTS / 2) { /* as above */
        for (unsigned i = 0; i < 20; i++)
            main_step(core);
        bh_release_pages();
    }
    board_timer_stop();
    heap_test_free_all(core->slots, SLOTS);
    heap_test_free_all(core->irq_slots, IRQ_SLOTS);
    heap_test_verify_at_barrier();
}

TEST(interrupts_leave_nothing_behind)
{
    harness_heap();
    EXPECT_EQ(heap_test_stats().manual_objects, 0);
    EXPECT_EQ(heap_test_stats().manual_bytes, 0);
    bh_heap_verify();
}
