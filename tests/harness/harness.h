/* SPDX-License-Identifier: MIT */
/*
 * The test harness: cases register themselves, an image runs them, a runner on the developer's
 * machine boots the image and reads TAP from the console. Guide: tests/harness/README.md.
 *
 *     #include "tests/harness/harness.h"
 *
 *     TEST(list_starts_empty)
 *     {
 *         struct list l;
 *         list_init(&l);
 *         EXPECT(list_is_empty(&l));
 *     }
 */
#ifndef TESTS_HARNESS_HARNESS_H
#define TESTS_HARNESS_HARNESS_H

#include "boards/board.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum harness_kind {
    HARNESS_ONE_CORE,  /* runs on core 0, the others idle */
    HARNESS_ALL_CORES, /* runs on all cores at once; ends when all have returned */
    HARNESS_PANICS,    /* alone in a boot of its own; passes when it panics with `text` */
    HARNESS_ALONE,     /* on core 0, alone in a boot of its own: the heap is untouched */
};

struct harness_case {
    const char *name;
    const char *file;
    void (*run)(void);
    const char *text; /* the panic expected; '*' stands for any run of characters but a blank.
                       * NULL: any panic or exception */
    enum harness_kind kind;
};

/* A case on core 0. */
#define TEST(name) HARNESS_CASE(name, HARNESS_ONE_CORE, NULL)

/* A case that every core runs at once; bh_port_core() tells which one this is. */
#define TEST_ALL_CORES(name) HARNESS_CASE(name, HARNESS_ALL_CORES, NULL)

/* A case that must end in a panic (or an exception report) whose message matches `text`. */
#define TEST_PANICS(name, text) HARNESS_CASE(name, HARNESS_PANICS, text)

/* A case that must end in a failed access of memory, reported by the board, at the very address
 * that the case has given to harness_fault_at(). */
#define TEST_FAULTS(name) HARNESS_CASE(name, HARNESS_PANICS, HARNESS_FAULT)
#define HARNESS_FAULT     "fault at the address given"

/*
 * A case that breaks something on purpose, such as a protection that it leaves out, and is on the
 * look for the damage: it passes when it panics or runs into an exception, with whatever words.
 */
#define TEST_BREAKS(name) HARNESS_CASE(name, HARNESS_PANICS, NULL)

/* A case on core 0 that needs a machine, or a heap, that no other case has used. */
#define TEST_ALONE(name) HARNESS_CASE(name, HARNESS_ALONE, NULL)

/* Cases run in the order in which they are written. gcc reverses variables unless told not to. */
#ifdef __clang__
#define HARNESS_IN_ORDER
#else
#define HARNESS_IN_ORDER __attribute__((no_reorder))
#endif

#define HARNESS_CASE(name, kind, text)                                                           \
    static void test_##name(void);                                                               \
    static const struct harness_case HARNESS_IN_ORDER harness_case_##name                        \
        __attribute__((used, section("harness_cases"), aligned(8))) = {#name, __FILE__,          \
                                                                       test_##name, text, kind}; \
    static void test_##name(void)

/* Fails the case, with the expression or the two values, and goes on with it. */
#define EXPECT(cond) harness_expect(!!(cond), #cond, __FILE__, __LINE__)
#define EXPECT_EQ(a, b) \
    harness_expect_eq((uint64_t)(a), (uint64_t)(b), #a " == " #b, __FILE__, __LINE__)
/* The same, but leaves the case (return) when it fails. */
#define REQUIRE(cond)      \
    do {                   \
        if (!EXPECT(cond)) \
            return;        \
    } while (0)

void harness_fail(const char *what, const char *file, int line);

static inline bool harness_expect(bool ok, const char *what, const char *file, int line)
{
    if (!ok)
        harness_fail(what, file, line);
    return ok;
}

bool harness_expect_eq(uint64_t a, uint64_t b, const char *what, const char *file, int line);

/* Marks the running case as skipped, with the reason. */
void harness_skip(const char *reason);

/* In a TEST_FAULTS() case: where the next access is to fault. */
void harness_fault_at(const volatile void *address);

/* A line of commentary in the output ("# ..."). */
void harness_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The run's seed ("seed=N" on the command line, else from the clock; printed) and random numbers
 * from it: each case starts anew from seed and case name, each core with its own stream. */
uint64_t harness_random(void);
uint64_t harness_random_below(uint64_t n);

/* All cores of a TEST_ALL_CORES case wait here for one another. */
void harness_barrier(void);

/* The value of "name=value" on the image's command line, or `otherwise`. */
uint64_t harness_option(const char *name, uint64_t otherwise);

/* Inits the heap with all of board_ram() if no case has yet; panics when that fails. */
void harness_heap(void);

#endif
