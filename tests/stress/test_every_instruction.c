/* SPDX-License-Identifier: MIT */
/*
 * An interrupt behind every single instruction of bh_malloc() and bh_free(), whose handler changes
 * the very bin that is in use: the proof that the fast paths may be interrupted anywhere.
 *
 * 1. A round: some objects live, some in the bin; one operation is run, and behind its instruction
 *    number n the handler does its mischief (board_interrupt_at()). Then no two live objects may be
 *    the same memory, and each must have its contents.
 * 2. For every operation, every state of the bin, every handler: n = 1, 2, ... until the operation
 *    returns before it. Of long slow paths, the further in the fewer instructions are tried.
 * 3. The same with the fixup left out must be caught (TEST_BREAKS).
 */
#include "alloc/cache.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include "tests/stress/interrupts.h"
#include <bareheap/port.h>

#define OBJECT_BYTES      64
#define LIVE              24 /* objects alive before the operation */
#define SPARE             12 /* that the handler may free, the last of them */
#define TAKEN_MOST        64 /* that the handler may take */
#define DENSE_MOST        48
#define BROKEN_DENSE_MOST 1000 /* debug builds check a lot before the sequence of a free */
#define INSTRUCTIONS_MOST 3000

/* Every word of an object says who it is. */
struct object {
    uint64_t words[OBJECT_BYTES / sizeof(uint64_t)];
};

static struct object *live[LIVE + TAKEN_MOST + 1]; /* 1: the subject */
static unsigned live_count;
static struct object *subject; /* what the operation frees, or what it has allocated */

/* ---- the oracle ---- */

static void object_sign(struct object *object, uint64_t signature)
{
    for (unsigned i = 0; i < sizeof(object->words) / sizeof(object->words[0]); i++)
        object->words[i] = signature;
}

static void object_check(const struct object *object, uint64_t signature)
{
    for (unsigned i = 0; i < sizeof(object->words) / sizeof(object->words[0]); i++)
        if (object->words[i] != signature)
            bh_panic("stress: object %p was written to by another owner", (const void *)object);
}

static void live_add(struct object *object)
{
    BH_CHECK(object, "stress: out of memory");
    for (unsigned i = 0; i < live_count; i++)
        if (live[i] == object)
            bh_panic("stress: object %p was handed out twice", (void *)object);
    object_sign(object, (uintptr_t)object);
    live[live_count++] = object;
}

static void live_take(void)
{
    live_add(bh_malloc(OBJECT_BYTES));
}

static void live_free(void)
{
    struct object *object = live[--live_count];
    object_check(object, (uintptr_t)object);
    object_sign(object, ~(uint64_t)0);
    bh_free(object);
}

/* ---- what the interrupt does ---- */

static void irq_take(void)
{
    live_take();
}

static void irq_give(void)
{
    live_free();
}

static void irq_give_and_take(void)
{
    live_free();
    live_take();
}

/* Two objects of the bin change places. */
static void irq_swap(void)
{
    struct object *first = bh_malloc(OBJECT_BYTES);
    struct object *second = bh_malloc(OBJECT_BYTES);
    bh_free(first);
    bh_free(second);
}

static void irq_empty(void)
{
    for (unsigned i = 0; i < TAKEN_MOST; i++)
        live_take();
}

static void irq_fill(void)
{
    for (unsigned i = 0; i < SPARE; i++)
        live_free();
}

static void irq_drain(void)
{
    cache_drain();
}

static void (*const handlers[])(void) = {irq_take,  irq_give, irq_give_and_take, irq_swap,
                                         irq_empty, irq_fill, irq_drain};

/* ---- what is interrupted ---- */

static void run_malloc(void *arg)
{
    (void)arg;
    subject = bh_malloc(OBJECT_BYTES);
}

static void run_calloc(void *arg)
{
    (void)arg;
    subject = bh_calloc(1, OBJECT_BYTES);
}

static void run_free(void *arg)
{
    (void)arg;
    bh_free(subject);
    subject = NULL;
}

static void run_free_sized(void *arg)
{
    (void)arg;
    bh_free_sized(subject, OBJECT_BYTES);
    subject = NULL;
}

/* To another class and so by a malloc, a copy and a free. */
static void run_realloc(void *arg)
{
    (void)arg;
    subject = bh_realloc(subject, OBJECT_BYTES);
}

static void subject_none(void)
{
    subject = NULL;
}

static void subject_same_class(void)
{
    subject = bh_malloc(OBJECT_BYTES);
    BH_CHECK(subject, "stress: out of memory");
}

static void subject_larger(void)
{
    subject = bh_malloc(4 * OBJECT_BYTES);
    BH_CHECK(subject, "stress: out of memory");
}

enum operation_name { OP_MALLOC, OP_CALLOC, OP_FREE, OP_FREE_SIZED, OP_REALLOC, OP_COUNT };

static const struct operation {
    void (*prepare)(void);
    void (*run)(void *arg);
} operations[OP_COUNT] = {
    [OP_MALLOC] = {subject_none, run_malloc},
    [OP_CALLOC] = {subject_none, run_calloc},
    [OP_FREE] = {subject_same_class, run_free},
    [OP_FREE_SIZED] = {subject_same_class, run_free_sized},
    [OP_REALLOC] = {subject_larger, run_realloc},
};

/* ---- the state of the bin ---- */

static void bin_as_it_is(void)
{
}

static void bin_empty(void)
{
    cache_drain();
}

/* So many objects go back that the bin, however far it may grow, has been full. */
static void bin_full(void)
{
    static struct object *many[4 * TAKEN_MOST];
    for (unsigned i = 0; i < sizeof(many) / sizeof(many[0]); i++)
        many[i] = bh_malloc(OBJECT_BYTES);
    for (unsigned i = 0; i < sizeof(many) / sizeof(many[0]); i++)
        bh_free(many[i]);
}

static void (*const states[])(void) = {bin_as_it_is, bin_empty, bin_full};

/* ---- rounds ---- */

static enum board_interrupted run_round(const struct operation *operation, void (*state)(void),
                                        void (*handler)(void), uint64_t n)
{
    while (live_count < LIVE)
        live_take();
    operation->prepare();
    state();
    enum board_interrupted interrupted = board_interrupt_at(n, handler, operation->run, NULL);
    if (subject)
        live_add(subject);
    while (live_count > LIVE - SPARE)
        live_free();
    return interrupted;
}

/* All instructions of one operation, as far as this board can step. Returns how many it tried. */
static uint64_t run_all(const struct operation *operation, void (*state)(void),
                        void (*handler)(void), uint64_t dense_most)
{
    uint64_t tried = 0;
    for (uint64_t n = 1; n < INSTRUCTIONS_MOST; n += n < dense_most ? 1 : n / 4) {
        enum board_interrupted interrupted = run_round(operation, state, handler, n);
        if (interrupted == BOARD_RETURNED)
            break;
        if (interrupted == BOARD_MASKED && board_stepping() != BOARD_STEPS_ANYWHERE)
            break;
        tried += interrupted == BOARD_TAKEN;
    }
    return tried;
}

static uint64_t run_operation(enum operation_name name, uint64_t dense_most)
{
    uint64_t tried = 0;
    for (size_t s = 0; s < sizeof(states) / sizeof(states[0]); s++)
        for (size_t h = 0; h < sizeof(handlers) / sizeof(handlers[0]); h++)
            tried += run_all(&operations[name], states[s], handlers[h], dense_most);
    return tried;
}

TEST(interrupts_at_every_instruction)
{
    if (board_stepping() == BOARD_STEPS_NOWHERE) {
        harness_skip("this machine cannot step");
        return;
    }
    harness_heap();
    uint64_t restarts = interrupts_restarts(0);
    uint64_t tried = 0;
    for (enum operation_name name = 0; name < OP_COUNT; name++)
        tried += run_operation(name, DENSE_MOST);
    restarts = interrupts_restarts(0) - restarts;
    while (live_count > 0)
        live_free();
    bh_heap_verify();
    harness_note("%llu interrupts, %llu of them inside a restartable sequence",
                 (unsigned long long)tried, (unsigned long long)restarts);
    EXPECT(tried > 0);
    EXPECT((restarts > 0) == (BH_PROTECT == BH_PROTECT_RESTART));
}

static void run_without_fixup(enum operation_name name)
{
    if (board_stepping() == BOARD_STEPS_NOWHERE || BH_PROTECT != BH_PROTECT_RESTART) {
        harness_skip("no sequences, or no steps");
        return;
    }
    harness_heap();
    interrupts_leave_out_fixup();
    run_operation(name, BROKEN_DENSE_MOST);
    bh_heap_verify();
}

TEST_BREAKS(interrupts_in_malloc_without_the_fixup)
{
    run_without_fixup(OP_MALLOC);
}

TEST_BREAKS(interrupts_in_free_without_the_fixup)
{
    run_without_fixup(OP_FREE);
}
