/* SPDX-License-Identifier: MIT */
/*
 * The harness: board_main() of a test image. Picks the cases, runs them, reports in TAP.
 *
 * 1. Every TEST() puts a struct harness_case into section "harness_cases"; the linker makes one
 *    array of them, in the order of the linked files and of the lines in each.
 * 2. The command line picks: case=GLOB (all without), seed=N, list.
 * 3. Ordinary cases run one after the other in this boot. Cases that need a boot of their own
 *    (HARNESS_PANICS, HARNESS_ALONE) are only announced, "# alone NAME KIND"; the runner boots
 * again with case=NAME, and a boot whose glob is exactly the name of such a case runs that one.
 * 4. Each case is reported when it ends. A panic ends the whole image, so the hook that the board
 *    calls first (board_on_panic) writes the report: a pass when the case expects that text, else
 *    a failure of the case and a line "# not-run NAME" for each that had not had its turn.
 * 5. The last line is always "# END passed=N failed=N skipped=N"; whoever reads the console must
 *    demand it, because a machine that resets can look like one that ended well.
 *
 * Expectations are in expect.c, random numbers in random.c, the
 * barrier in barrier.c, patterns and the command line in text.c.
 */
#include "kernel-lib/atomics.h"
#include "kernel-lib/print.h"
#include "kernel-lib/string.h"
#include "tests/harness/internal.h"
#include <bareheap/port.h>

/* The array that the linker makes of section "harness_cases"; weak: an image may have no case. */
extern const struct harness_case __start_harness_cases[] __attribute__((weak));
extern const struct harness_case __stop_harness_cases[] __attribute__((weak));

struct totals {
    unsigned passed, failed, skipped;
};

/* The case that runs, its number in this boot, and what it has come to. Written by core 0. */
static const struct harness_case *running;
static unsigned running_number;
static uint64_t running_since_ns;
static struct totals totals;

/* Set by any core, during the case. */
static uint32_t running_failures;
static const char *running_skip;

static uintptr_t running_fault; /* where a TEST_FAULTS() case is to fault; 0: nowhere */

/* --- Which cases -------------------------------------------------------------------------- */

static bool is_alone(const struct harness_case *c)
{
    return c->kind == HARNESS_PANICS || c->kind == HARNESS_ALONE;
}

/* Whether case=GLOB (or its absence) asks for `c`. */
static bool is_chosen(const struct harness_case *c)
{
    char glob[128];
    return !harness_option_text("case", glob, sizeof(glob)) || harness_matches(glob, c->name);
}

static bool is_named_exactly(const struct harness_case *c)
{
    char glob[128];
    return harness_option_text("case", glob, sizeof(glob)) && string_equal(glob, c->name);
}

static bool runs_in_this_boot(const struct harness_case *c)
{
    return is_alone(c) ? is_named_exactly(c) : is_chosen(c);
}

static unsigned count_to_run(void)
{
    unsigned n = 0;
    for (const struct harness_case *c = __start_harness_cases; c < __stop_harness_cases; c++)
        n += runs_in_this_boot(c);
    return n;
}

static const char *kind_name(enum harness_kind kind)
{
    static const char *const names[] = {[HARNESS_ONE_CORE] = "one-core",
                                        [HARNESS_ALL_CORES] = "all-cores",
                                        [HARNESS_PANICS] = "panics",
                                        [HARNESS_ALONE] = "alone"};
    return names[kind];
}

static void announce_alone(void)
{
    for (const struct harness_case *c = __start_harness_cases; c < __stop_harness_cases; c++)
        if (is_alone(c) && is_chosen(c) && !is_named_exactly(c))
            print_log("# alone %s %s\n", c->name, kind_name(c->kind));
}

static void list_cases(void)
{
    for (const struct harness_case *c = __start_harness_cases; c < __stop_harness_cases; c++)
        if (is_chosen(c))
            print_log("# case %s %s %s\n", c->name, kind_name(c->kind), c->file);
}

/* --- Reports ------------------------------------------------------------------------------ */

static unsigned long long running_ms(void)
{
    return (unsigned long long)((bh_port_now_ns() - running_since_ns) / 1000000);
}

static void report_passed(void)
{
    totals.passed++;
    print_log("ok %u - %s # time=%llums\n", running_number, running->name, running_ms());
}

static void report_skipped(void)
{
    totals.skipped++;
    print_log("ok %u - %s # SKIP %s\n", running_number, running->name, running_skip);
}

static void report_failed(void)
{
    totals.failed++;
    print_log("not ok %u - %s # time=%llums\n", running_number, running->name, running_ms());
}

static void report_end(void)
{
    print_log("# END passed=%u failed=%u skipped=%u\n", totals.passed, totals.failed,
              totals.skipped);
}

/* The verdict on a case that has returned. */
static void report_returned(void)
{
    if (running->kind == HARNESS_PANICS && running_skip == NULL) {
        harness_note("%s returned; it should have panicked: %s", running->name,
                     running->text ? running->text : "(anything)");
        running_failures++;
    }
    if (running_failures != 0)
        report_failed();
    else if (running_skip != NULL)
        report_skipped();
    else
        report_passed();
}

unsigned harness_count_failure(void)
{
    /* Relaxed: a count; core 0 reads it after board_wait(), which orders it. */
    return atomic_add_relaxed(&running_failures, 1u) + 1;
}

void harness_skip(const char *reason)
{
    /* Relaxed: all cores of a case may say it; core 0 reads it after board_wait(), which orders it.
     */
    atomic_store_relaxed(&running_skip, reason);
}

/* --- Running ------------------------------------------------------------------------------ */

static void run_on_this_core(void *arg)
{
    const struct harness_case *c = arg;
    c->run();
    harness_barrier_leave();
}

static void run_on_all_cores(const struct harness_case *c)
{
    harness_barrier_init(board_cores());
    for (unsigned core = 1; core < board_cores(); core++)
        board_start(core, run_on_this_core, (void *)(uintptr_t)c);
    run_on_this_core((void *)(uintptr_t)c);
    for (unsigned core = 1; core < board_cores(); core++)
        board_wait(core);
}

static void run_case(const struct harness_case *c)
{
    running = c;
    running_number++;
    running_failures = 0;
    running_skip = NULL;
    running_fault = 0;
    running_since_ns = bh_port_now_ns();
    harness_random_start(c->name);
    print_log("# run %s\n", c->name);
    if (c->kind == HARNESS_ALL_CORES)
        run_on_all_cores(c);
    else
        c->run();
    report_returned();
    running = NULL;
}

int board_main(void)
{
    print_log("TAP version 13\n# board=%s cores=%u seed=%llu debug=%d\n", board_name(),
              board_cores(), (unsigned long long)harness_seed(), BH_DEBUG);
    if (harness_word("list")) {
        list_cases();
    } else {
        print_log("1..%u\n", count_to_run());
        announce_alone();
        for (const struct harness_case *c = __start_harness_cases; c < __stop_harness_cases; c++)
            if (runs_in_this_boot(c))
                run_case(c);
    }
    report_end();
    return totals.failed == 0 ? 0 : 1;
}

/* --- Panics ------------------------------------------------------------------------------- */

static void report_not_run(void)
{
    for (const struct harness_case *c = running + 1; c < __stop_harness_cases; c++)
        if (runs_in_this_boot(c))
            print_log("# not-run %s\n", c->name);
}

static bool is_expected(const char *message)
{
    /* Relaxed: as in harness_count_failure(). */
    if (running->kind != HARNESS_PANICS || atomic_load_relaxed(&running_failures) != 0)
        return false;
    return running->text == NULL || harness_matches_panic(running->text, message);
}

/* The machine is about to end with `message`: gives the running case its verdict, ends the run. */
static void end_by(const char *how, const char *message)
{
    static uint32_t ending;
    /* Acquire-release: two cores may panic at once; the one that comes second only waits. */
    while (atomic_exchange_acq_rel(&ending, 1u) != 0)
        compiler_barrier();
    if (running == NULL) {
        print_log("# %s outside of any case: %s\n", how, message);
        totals.failed++;
    } else if (is_expected(message)) {
        if (running->text == NULL)
            print_log("# %s: %s\n", how, message);
        report_passed();
    } else {
        print_log("# %s: %s\n", how, message);
        if (running->kind == HARNESS_PANICS && running->text != NULL)
            print_log("# expected: %s\n", running->text);
        report_failed();
        report_not_run();
    }
    report_end();
    board_exit(totals.failed == 0 ? 0 : 1);
}

void board_on_panic(const char *message)
{
    end_by("panic", message);
}

void harness_fault_at(const volatile void *address)
{
    running_fault = (uintptr_t)address;
}

/* A failed access as the boards call it: x86-64 and the host one way, AArch64 the other. */
static bool is_fault(const char *what)
{
    return string_equal(what, "page fault") || string_equal(what, "data abort");
}

void board_on_exception(const char *what, uintptr_t address)
{
    if (running_fault != 0 && is_fault(what) && address == running_fault)
        what = HARNESS_FAULT;
    else if (running_fault != 0)
        print_log("# expected a fault at 0x%zx, not at 0x%zx\n", (size_t)running_fault,
                  (size_t)address);
    end_by("exception", what);
}
