/* SPDX-License-Identifier: MIT */
/*
 * Thousands of timer interrupts a second, on all cores, at random points of code that does nothing
 * but allocate and free small objects of the classes that the handlers use as well.
 *
 * 1. Every object bears its owner's signature in its first and last word, and is looked at before
 * it is freed: one that was handed out twice, or lost its place in a bin, is found.
 * 2. The handler takes and gives objects of the interrupted class; now and then it overflows a bin,
 *    empties the core's cache, or wants a large object.
 * 3. The period is drawn anew all the time, so that no rhythm of the loop meets one of the timer's.
 *    Half as long it makes fewer interrupts on x86-64 under emulation (1,900 a second on four cores
 *    instead of 8,000), and on the host fewer of them inside of a sequence.
 * 4. It lasts "seconds=" of the command line (make soak: 60), and in any case until each core has
 *    had INTERRUPTS_LEAST. All cores together must have had RATE_LEAST a second: that is a tenth or
 *    less of what the slowest build has on a busy machine, and far more than nothing.
 *
 * With the fixup left out the same must be caught (TEST_BREAKS). Under emulation interrupts come
 * between blocks of code only, which is often enough; interrupts at every instruction are in
 * test_every_instruction.c.
 */
#include "alloc/cache.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include "tests/stress/interrupts.h"
#include "tests/unit/heap_test.h"

#define SECONDS          3
#define BROKEN_SECONDS   60 /* for the damage of a missing fixup to show; usually a tenth of one */
#define INTERRUPTS_LEAST 300
#define RATE_LEAST       200
#define PERIOD_LEAST_NS  20000
#define PERIOD_MOST_NS   200000
#define TICKS_PER_PERIOD 8
#define STEPS_PER_LOOK   256
#define LARGE_BYTES      40000
#define NS_PER_SECOND    UINT64_C(1000000000)

#define SLOTS     16
#define IRQ_SLOTS 96 /* more than one batch */

static const size_t sizes[] = {16, 64, 64, 200};

struct slot {
    uint64_t *object;
    size_t words;
    uint64_t signature;
};

/* One core's; the interrupt has slots and random numbers of its own. */
static struct rate_core {
    struct slot slots[SLOTS];
    struct slot irq_slots[IRQ_SLOTS];
    uint64_t random;
    uint64_t irq_random;
    uint64_t signature;
    uint64_t taken;    /* timer interrupts */
    uint64_t restarts; /* of sequences, by these and by others */
    uint64_t ran_ns;   /* how long it took */
} __attribute__((aligned(2 * ARCH_CACHE_LINE))) cores[BOARD_MAX_CORES];

static uint64_t draw(uint64_t *state, uint64_t n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (*state >> 33) % n;
}

/* ---- the oracle ---- */

static void slot_take(struct slot *slot, size_t bytes, uint64_t signature)
{
    uint64_t *object = bh_malloc(bytes);
    if (!object)
        return; /* legal in an interrupt */
    *slot = (struct slot){object, bytes / sizeof(*object), signature};
    object[0] = signature;
    object[slot->words - 1] = signature;
}

static void slot_give(struct slot *slot)
{
    uint64_t *object = slot->object;
    if (object[0] != slot->signature || object[slot->words - 1] != slot->signature)
        bh_panic("stress: object %p was written to by another owner", (void *)object);
    object[0] = 0; /* who has it too will find this */
    object[slot->words - 1] = 0;
    slot->object = NULL;
    bh_free(object);
}

static void slot_step(struct slot *slot, size_t bytes, uint64_t signature)
{
    if (slot->object)
        slot_give(slot);
    else
        slot_take(slot, bytes, signature);
}

/* Core and owner in the upper bits, a number in the lower: no two objects have the same. */
static uint64_t sign(struct rate_core *core, bool in_interrupt)
{
    return (uint64_t)(core - cores + 1) << 48 | (uint64_t)in_interrupt << 40 | ++core->signature;
}

/* ---- the interrupt ---- */

static void irq_some(struct rate_core *core)
{
    for (unsigned i = 0; i < 4; i++)
        slot_step(&core->irq_slots[draw(&core->irq_random, IRQ_SLOTS)],
                  sizes[draw(&core->irq_random, 4)], sign(core, true));
}

/* All slots go the same way: bins are emptied and refilled, or overflow. */
static void irq_all(struct rate_core *core)
{
    for (unsigned i = 0; i < IRQ_SLOTS; i++)
        slot_step(&core->irq_slots[i], sizes[0], sign(core, true));
}

static void irq_drain(struct rate_core *core)
{
    (void)core;
    cache_drain();
}

static void irq_large(struct rate_core *core)
{
    struct slot slot = {0};
    slot_take(&slot, LARGE_BYTES, sign(core, true));
    if (slot.object)
        slot_give(&slot);
}

static void on_timer(void)
{
    static void (*const rare[])(struct rate_core *) = {irq_all, irq_drain, irq_large};
    struct rate_core *core = &cores[bh_port_core()];
    uint64_t what = draw(&core->irq_random, 64);
    atomic_store_relaxed(&core->taken, core->taken + 1); /* relaxed: read by this core's own loop */
    irq_some(core);
    if (what < sizeof(rare) / sizeof(rare[0]))
        rare[what](core);
}

/* ---- what is interrupted ---- */

/* The signature is made with interrupts off: the interrupt draws from the same count. */
static uint64_t sign_here(struct rate_core *core)
{
    uintptr_t irq = arch_irq_save();
    uint64_t signature = sign(core, false);
    arch_irq_restore(irq);
    return signature;
}

static void run_period(struct rate_core *core)
{
    uint64_t period_ns = PERIOD_LEAST_NS + draw(&core->random, PERIOD_MOST_NS - PERIOD_LEAST_NS);
    uint64_t signature = sign_here(core); /* once a period: the loop is to be malloc and free */
    size_t bytes = sizes[draw(&core->random, sizeof(sizes) / sizeof(sizes[0]))];
    uint64_t taken = core->taken;
    board_timer_start(period_ns, on_timer);
    do {
        for (unsigned i = 0; i < STEPS_PER_LOOK; i++)
            slot_step(&core->slots[i * 7 % SLOTS], bytes, signature);
    } while (atomic_load_relaxed(&core->taken) - taken < TICKS_PER_PERIOD); /* as in on_timer() */
    board_timer_stop();
}

static void give_all(struct slot *slots, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slots[i].object)
            slot_give(&slots[i]);
}

static void run_core(uint64_t seconds)
{
    struct rate_core *core = &cores[bh_port_core()];
    uint64_t start_ns = bh_port_now_ns();
    uint64_t restarts = interrupts_restarts(bh_port_core());
    core->random = harness_random();
    core->irq_random = harness_random();
    core->taken = 0;
    do {
        run_period(core);
        core->ran_ns = bh_port_now_ns() - start_ns;
    } while (core->ran_ns < seconds * NS_PER_SECOND || core->taken < INTERRUPTS_LEAST);
    core->restarts = interrupts_restarts(bh_port_core()) - restarts;
    give_all(core->slots, SLOTS);
    give_all(core->irq_slots, IRQ_SLOTS);
}

/* Of all cores together, when all have come to their end. tools/soak repeats the line. */
static void judge_rate(void)
{
    static const char *const protections[] = {
        [BH_PROTECT_MASK] = "mask", [BH_PROTECT_BUSY] = "busy", [BH_PROTECT_RESTART] = "restart"};
    uint64_t a_second = 0, restarts = 0;
    for (unsigned i = 0; i < board_cores(); i++) {
        a_second += cores[i].taken * NS_PER_SECOND / cores[i].ran_ns;
        restarts += cores[i].restarts;
    }
    harness_note("rate: %s, %s: %llu interrupts a second over all cores, %llu restarts",
                 board_name(), protections[BH_PROTECT], (unsigned long long)a_second,
                 (unsigned long long)restarts);
    EXPECT(a_second >= RATE_LEAST);
    EXPECT((restarts > 0) == (BH_PROTECT == BH_PROTECT_RESTART)); /* a third of them, and more */
}

TEST_ALL_CORES(interrupts_at_random_points)
{
    harness_heap();
    run_core(harness_option("seconds", SECONDS));
    heap_test_verify_at_barrier();
    if (bh_port_core() == 0)
        judge_rate();
}

TEST(interrupts_at_random_points_leave_nothing_behind)
{
    harness_heap();
    EXPECT_EQ(heap_test_stats().manual_objects, 0);
}

/* Core 0 only ever returns when nothing was noticed. */
TEST_BREAKS(interrupts_at_random_points_without_the_fixup)
{
    if (BH_PROTECT != BH_PROTECT_RESTART) {
        harness_skip("no restartable sequences in this build");
        return;
    }
    harness_heap();
    interrupts_leave_out_fixup();
    run_core(harness_option("seconds", BROKEN_SECONDS));
    bh_heap_verify();
}
