/* SPDX-License-Identifier: MIT */
/*
 * An image that comes to one end per boot, so that selftest.py can read what the board says about
 * it: faults of all kinds, panics, several cores at once. "scenario=NAME core=N" picks what happens
 * and on which core.
 *
 * Not on the harness, which takes the first word of a report and ends the machine: here the whole
 * report is wanted. A scenario that returns ends the image with success and the line "survived".
 */
#include "arch/arch.h"
#include "boards/board.h"
#include "boards/common/console.h"
#include "boards/common/image.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include "kernel-lib/string.h"
#include "tests/harness/internal.h"
#include <bareheap/port.h>

#define TICK_NS  UINT64_C(200000)
#define QUIET_NS UINT64_C(20000000)

/* Volatile: so that the compiler cannot tell that the accesses below are wrong, nor make these
 * arguments part of the function that takes them. selftest.py has the same numbers. */
static volatile uint64_t arguments[] = {UINT64_C(0xa1a2a3a4a5a6a7a8), UINT64_C(0xb1b2b3b4b5b6b7b8),
                                        UINT64_C(0xc1c2c3c4c5c6c7c8)};
static volatile int dividend = 7; /* not 1, which gcc divides by comparing */
static volatile int divisor;
static volatile uintptr_t null_address = 0x10;
static volatile uintptr_t wild_address = 0x7f0000001230;
static volatile uintptr_t high_address = UINT64_C(0x8000000000000010);

/* --- Accesses ----------------------------------------------------------------------------- */

/* The first three arguments are needed after the access, so they are in registers during it. */
__attribute__((noinline)) static uint64_t read_at(uint64_t a, uint64_t b, uint64_t c,
                                                  uintptr_t address)
{
    uint64_t value = *(volatile uint64_t *)address;
    return (a ^ value) + (b ^ value) + (c ^ value);
}

__attribute__((noinline)) static void write_at(uintptr_t address)
{
    *(volatile uint64_t *)address = 1;
}

__attribute__((noinline)) static void jump_to(uintptr_t address)
{
    ((void (*)(void))address)();
    compiler_barrier(); /* no tail call: the report shows who called */
}

static void read_from(uintptr_t address)
{
    uint64_t sum = read_at(arguments[0], arguments[1], arguments[2], address);
    print_log("sum %llu\n", (unsigned long long)sum);
}

static void null_read(void)
{
    read_from(null_address);
}

static void null_write(void)
{
    write_at(null_address);
}

static void null_jump(void)
{
    jump_to(null_address);
}

static void wild_read(void)
{
    read_from(wild_address);
}

static void high_read(void)
{
    read_from(high_address);
}

static void code_write(void)
{
    write_at((uintptr_t)jump_to & ~(uintptr_t)7);
}

static void data_jump(void)
{
    jump_to((uintptr_t)&null_address);
}

/* --- Instructions ------------------------------------------------------------------------- */

static void divide(void)
{
    print_log("%d / 0 is %d\n", dividend, dividend / divisor);
}

static void trap(void)
{
    __builtin_trap();
}

/* --- Stacks and their guards -------------------------------------------------------------- */

/* Each frame is touched, and none can be reused by its callee. */
__attribute__((noinline)) static unsigned dive(unsigned depth)
{
    volatile char frame[1024];
    frame[depth % sizeof(frame)] = 1;
    unsigned below = depth < UINT32_MAX ? dive(depth + 1) : 0;
    return below + (unsigned)frame[depth % sizeof(frame)];
}

static void overflow(void)
{
    print_log("depth %u\n", dive(0));
}

static void overflow_in_handler(void)
{
    board_timer_start(TICK_NS, overflow);
    for (;;)
        arch_pause();
}

/* What lies above the main stack on both boards: a guard, but no overflow leads there. */
static void guard_above(void)
{
    read_from(bh_port_stack_top(arch_stack_pointer()));
}

/* The guard under the main stack of core 0, to which no overflow of another core leads. */
static void guard_of_core_0(void)
{
    read_from((uintptr_t)__stacks_start + sizeof(uint64_t));
}

/* --- Several ends ------------------------------------------------------------------------- */

static bool fault_in_report;

void board_on_exception(const char *what, uintptr_t address)
{
    (void)what;
    (void)address;
    if (fault_in_report)
        null_write();
}

static void nested(void)
{
    fault_in_report = true;
    null_write();
}

static void panic(void)
{
    bh_panic("on purpose, for the %d%s time", 1, "st");
}

static void null_write_job(void *arg)
{
    (void)arg;
    null_write();
}

/* Every core faults: one report is to come out, whole. */
static void all_at_once(void)
{
    for (unsigned core = 1; core < board_cores(); core++)
        board_start(core, null_write_job, NULL);
    null_write();
}

static uint32_t ticks;

static void tick(void)
{
    (void)atomic_add_relaxed(&ticks, 1); /* relaxed: a count */
}

static void panic_with_a_timer(void *arg)
{
    (void)arg;
    board_timer_start(TICK_NS, tick);
    /* Relaxed: as above. */
    while (atomic_load_relaxed(&ticks) == 0)
        arch_pause();
    bh_panic("too late: core 0 has the console");
}

/* Ticks in a stretch of time that is long for the timer. */
static uint32_t ticks_while_waiting(void)
{
    uint32_t before = atomic_load_relaxed(&ticks); /* relaxed: a count */
    uint64_t start_ns = bh_port_now_ns();
    while (bh_port_now_ns() - start_ns < QUIET_NS)
        arch_pause();
    return atomic_load_relaxed(&ticks) - before; /* relaxed: a count */
}

/* A core that panics second runs no handlers any more. Returns once that is so. */
static void second_panic_is_quiet(void)
{
    BH_CHECK(console_claim(), "core 0 does not get the console");
    board_start(1, panic_with_a_timer, NULL);
    while (atomic_load_relaxed(&ticks) == 0) /* relaxed: a count */
        arch_pause();
    while (ticks_while_waiting() != 0)
        continue;
}

/* --- What was loaded ---------------------------------------------------------------------- */

static void check_apart(const unsigned char *data, size_t bytes)
{
    size_t count = 0;
    const struct bh_region *ram = board_ram(&count);
    for (size_t i = 0; i < count; i++) {
        uintptr_t base = (uintptr_t)ram[i].base;
        BH_CHECK((uintptr_t)data + bytes <= base || (uintptr_t)data >= base + ram[i].bytes,
                 "the initrd at %p is in free RAM", (const void *)data);
    }
}

static void initrd(void)
{
    size_t bytes = 0;
    unsigned long long sum = 0;
    const unsigned char *data = board_initrd(&bytes);
    check_apart(data, bytes);
    for (size_t i = 0; i < bytes; i++)
        sum = sum * 31 + data[i];
    print_log("initrd: %zu bytes, sum %llu\n", bytes, sum % 1000000007);
}

/* ------------------------------------------------------------------------------------------ */

static const struct scenario {
    const char *name;
    void (*run)(void);
} scenarios[] = {
    {"null_read", null_read},
    {"null_write", null_write},
    {"null_jump", null_jump},
    {"wild_read", wild_read},
    {"high_read", high_read},
    {"code_write", code_write},
    {"data_jump", data_jump},
    {"divide", divide},
    {"trap", trap},
    {"overflow", overflow},
    {"overflow_in_handler", overflow_in_handler},
    {"guard_above", guard_above},
    {"guard_of_core_0", guard_of_core_0},
    {"nested", nested},
    {"panic", panic},
    {"all_at_once", all_at_once},
    {"second_panic_is_quiet", second_panic_is_quiet},
    {"initrd", initrd},
};

static const struct scenario *find_scenario(void)
{
    char name[64] = "";
    (void)harness_option_text("scenario", name, sizeof(name));
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        if (string_equal(scenarios[i].name, name))
            return &scenarios[i];
    bh_panic("no scenario \"%s\": say scenario=NAME on the command line", name);
}

static void run_scenario(void *arg)
{
    const struct scenario *scenario = arg;
    scenario->run();
    compiler_barrier(); /* no tail call here either */
}

int board_main(void)
{
    const struct scenario *scenario = find_scenario();
    unsigned core = (unsigned)harness_option("core", 0);
    board_start(core, run_scenario, (void *)(uintptr_t)scenario);
    board_wait(core);
    print_log("survived\n");
    return 0;
}
