/* SPDX-License-Identifier: MIT */
/*
 * boards/board.h and port.h as every board must fulfil them. A wait here is bounded by the
 * runner's timeout alone: how long something takes never decides.
 */
#include "alloc/poison.h"
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/string.h"
#include "tests/harness/harness.h"
#include <bareheap/port.h>

#define TICK_NS     UINT64_C(200000)
#define TICKS       5u
#define MASKED_NS   UINT64_C(3000000)
#define CLOCK_READS 10000u

/* More than any board's stack: a bound that a wrong stack top breaks. */
#define STACK_MAX_BYTES ((uintptr_t)1 << 30)

/* --- Cores and jobs ----------------------------------------------------------------------- */

static uint32_t job_ran[BOARD_MAX_CORES];

static void note_core(void *arg)
{
    EXPECT_EQ(bh_port_core(), (uintptr_t)arg);
    EXPECT(arch_irq_enabled());
    job_ran[bh_port_core()]++;
}

TEST(board_knows_its_cores)
{
    EXPECT(board_cores() >= 1 && board_cores() <= BOARD_MAX_CORES);
    EXPECT_EQ(bh_port_core_count(), board_cores());
    EXPECT_EQ(bh_port_core(), 0);
    EXPECT(arch_irq_enabled());
    EXPECT(string_length(board_name()) > 0);
}

TEST(board_runs_jobs_on_every_core)
{
    for (unsigned round = 1; round <= 20; round++) {
        for (uintptr_t core = 0; core < board_cores(); core++)
            board_start((unsigned)core, note_core, (void *)core);
        for (unsigned core = 0; core < board_cores(); core++) {
            board_wait(core);
            EXPECT_EQ(job_ran[core], round);
        }
    }
    for (unsigned core = 0; core < board_cores(); core++)
        job_ran[core] = 0;
}

TEST(board_wait_without_a_job_returns)
{
    for (unsigned core = 0; core < board_cores(); core++)
        board_wait(core);
}

TEST_PANICS(board_refuses_a_core_it_has_not, "board: no core 99: this machine has *")
{
    board_start(99, note_core, NULL);
}

TEST(board_has_a_command_line)
{
    EXPECT(board_command_line() != NULL);
    EXPECT(string_length(board_command_line()) < 4096);
}

/* --- Memory ------------------------------------------------------------------------------- */

/* Writes and reads a word of RAM and puts back what was there, with interrupts off and unseen by a
 * sanitizer, as a heap of another case may live in it. */
POISON_BLIND static bool word_works(volatile uint64_t *word)
{
    uintptr_t irq_state = arch_irq_save();
    uint64_t before = *word;
    *word = ~before;
    bool works = *word == ~before;
    *word = before;
    arch_irq_restore(irq_state);
    return works;
}

static void expect_region_works(const struct bh_region *region)
{
    volatile uint64_t *words = region->base;
    size_t count = region->bytes / sizeof(uint64_t);
    REQUIRE(words != NULL);
    EXPECT_EQ((uintptr_t)region->base % 16, 0);
    EXPECT((uintptr_t)region->base + region->bytes > (uintptr_t)region->base);
    REQUIRE(count > 0);
    EXPECT(word_works(&words[0]));
    EXPECT(word_works(&words[count - 1]));
    for (unsigned i = 0; i < 1000; i++)
        EXPECT(word_works(&words[harness_random_below(count)]));
}

static bool is_apart(const struct bh_region *region, const void *lo, const void *hi)
{
    uintptr_t base = (uintptr_t)region->base;
    return (uintptr_t)hi <= base || (uintptr_t)lo >= base + region->bytes;
}

TEST(board_ram_can_be_used)
{
    size_t count = 0;
    const struct bh_region *ram = board_ram(&count);
    REQUIRE(count >= 1);
    for (size_t i = 0; i < count; i++) {
        expect_region_works(&ram[i]);
        for (size_t j = 0; j < i; j++)
            EXPECT(is_apart(&ram[i], ram[j].base, (char *)ram[j].base + ram[j].bytes));
    }
}

/* The image's code, data and stacks are in no region. */
TEST_ALL_CORES(board_ram_is_apart_from_the_image)
{
    size_t count = 0;
    const struct bh_region *ram = board_ram(&count);
    char on_stack = 0;
    for (size_t i = 0; i < count; i++) {
        EXPECT(is_apart(&ram[i], &on_stack, &on_stack + 1));
        EXPECT(is_apart(&ram[i], job_ran, job_ran + BOARD_MAX_CORES));
        EXPECT(is_apart(&ram[i], (const void *)(uintptr_t)&word_works,
                        (const char *)(uintptr_t)&word_works + 1));
    }
}

TEST_ALL_CORES(board_knows_the_stack)
{
    uintptr_t irq_state = arch_irq_save();
    uintptr_t sp = arch_stack_pointer();
    uintptr_t top = bh_port_stack_top(sp);
    EXPECT(top > sp && top - sp < STACK_MAX_BYTES);
    EXPECT_EQ(bh_port_stack_top(top - sizeof(uintptr_t)), top);
    arch_irq_restore(irq_state);
}

/* --- Time and interrupts ------------------------------------------------------------------ */

static uint32_t ticks[BOARD_MAX_CORES];

static void tick(void)
{
    EXPECT(!arch_irq_enabled());
    (void)atomic_add_relaxed(&ticks[bh_port_core()], 1); /* relaxed: read on this core */
}

static uint32_t ticks_here(void)
{
    return atomic_load_relaxed(&ticks[bh_port_core()]); /* relaxed: written on this core */
}

static void wait_for_ticks(uint32_t count)
{
    uint32_t start = ticks_here();
    while (ticks_here() - start < count)
        arch_pause();
}

static void spin_for_ns(uint64_t ns)
{
    uint64_t start = bh_port_now_ns();
    while (bh_port_now_ns() - start < ns)
        arch_pause();
}

TEST_ALL_CORES(board_clock_never_goes_back)
{
    uint64_t start = bh_port_now_ns();
    uint64_t last = start;
    for (unsigned i = 0; i < CLOCK_READS; i++) {
        uint64_t now = bh_port_now_ns();
        EXPECT(now >= last);
        last = now;
    }
    EXPECT(last > start);
}

TEST_ALL_CORES(board_timer_ticks_on_every_core)
{
    board_timer_start(TICK_NS, tick);
    wait_for_ticks(TICKS);
    board_timer_stop();
    uint32_t stopped_at = ticks_here();
    spin_for_ns(MASKED_NS);
    EXPECT_EQ(ticks_here(), stopped_at);
}

TEST_ALL_CORES(board_timer_starts_again)
{
    for (unsigned i = 0; i < 3; i++) {
        board_timer_start(TICK_NS, tick);
        wait_for_ticks(1);
        board_timer_start(TICK_NS * 2, tick); /* replaces the first */
        wait_for_ticks(1);
        board_timer_stop();
    }
    board_timer_stop(); /* stopped already: nothing */
}

/* No tick comes while interrupts are off; one that fell due meanwhile comes afterwards. */
TEST_ALL_CORES(board_masks_interrupts)
{
    board_timer_start(TICK_NS, tick);
    wait_for_ticks(1);
    board_irq_off();
    EXPECT(!arch_irq_enabled());
    uint32_t masked_at = ticks_here();
    spin_for_ns(MASKED_NS);
    EXPECT_EQ(ticks_here(), masked_at);
    board_irq_on();
    EXPECT(arch_irq_enabled());
    wait_for_ticks(1);
    board_timer_stop();
}

/* Masks nest: only the outermost restore lets interrupts in. */
TEST_ALL_CORES(board_masks_nest)
{
    board_timer_start(TICK_NS, tick);
    wait_for_ticks(1);
    uintptr_t outer = arch_irq_save();
    uintptr_t inner = arch_irq_save();
    uint32_t masked_at = ticks_here();
    spin_for_ns(MASKED_NS);
    arch_irq_restore(inner);
    EXPECT(!arch_irq_enabled());
    EXPECT_EQ(ticks_here(), masked_at);
    arch_irq_restore(outer);
    wait_for_ticks(1);
    board_timer_stop();
}

/* A stop interrupt that nobody asked for is answered and forgotten, whatever the other core does.
 */
TEST_ALL_CORES(board_survives_stray_stop_interrupts)
{
    unsigned other = (bh_port_core() + 1) % board_cores();
    if (other == bh_port_core()) {
        harness_skip("needs a second core to signal");
        return;
    }
    harness_barrier();
    for (unsigned i = 0; i < 100; i++) {
        uintptr_t irq_state = arch_irq_save();
        bh_port_signal_core(other);
        arch_irq_restore(irq_state);
    }
    harness_barrier();
}

/* --- Faults ------------------------------------------------------------------------------- */

static volatile unsigned depth_limit = 1u << 30;

/* Deeper and deeper: each frame is touched, none can be reused by its callee. */
__attribute__((noinline)) static unsigned dive(unsigned depth)
{
    volatile char frame[1024];
    frame[depth % sizeof(frame)] = 1;
    unsigned below = depth < depth_limit ? dive(depth + 1) : 0;
    return below + (unsigned)frame[depth % sizeof(frame)];
}

TEST_PANICS(board_reports_a_stack_overflow, "stack overflow")
{
    EXPECT(dive(0) > 0);
}

static void dive_job(void *arg)
{
    (void)arg;
    EXPECT(dive(0) > 0);
}

TEST_PANICS(board_reports_a_stack_overflow_elsewhere, "stack overflow")
{
    board_start(board_cores() - 1, dive_job, NULL);
    board_wait(board_cores() - 1);
}

TEST_FAULTS(board_reports_a_wild_access)
{
    volatile uint64_t *volatile nowhere = (volatile uint64_t *)0x10;
    harness_fault_at(nowhere);
    *nowhere = 1;
}
