/* SPDX-License-Identifier: MIT */
/*
 * One thread and objects of one size or small ones, in the orders in which programs free:
 *
 *   loop     many of a size, then freed in the order of their births; size after size
 *   lifo     a stack: what was allocated last goes first
 *   random   a heap full of objects from which a random half goes again and again
 *   slots    a large table in which slots, some of them far more often than others, are filled and
 * emptied
 */
#include "tests/bench/bench.h"

/* ---- loop ---- */

#define LOOP_SIZES 32u
#define LOOP_MOST  1600u
#define LOOP_USUAL 80u

/* 8, 16, 24 to 64 bytes, then five sizes for each doubling. */
static size_t loop_bytes(unsigned i)
{
    if (i < 8)
        return 8 * (i + 1);
    return ((size_t)64 << (i - 8) / 5) * (5 + (i - 8) % 5) / 5;
}

/* `count` objects of a size, freed in order. */
static uint64_t loop_once(void **objects, unsigned count, size_t bytes)
{
    for (unsigned i = 0; i < count; i++)
        objects[i] = object_new(bytes, i);
    return objects_free_all(objects, count);
}

static uint64_t loop_run(const struct bench_options *options)
{
    void **objects = bench_table(LOOP_MOST * sizeof(*objects));
    unsigned rounds = bench_rounds(options, LOOP_USUAL);
    uint64_t sum = 0;

    bench_clock_start();
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < LOOP_SIZES; i++)
            for (unsigned count = LOOP_MOST / 64; count <= LOOP_MOST; count *= 4)
                sum += loop_once(objects, count, loop_bytes(i));
    return sum;
}

const struct workload workload_loop = {
    .name = "loop",
    .about = "many of one size, freed in order, size after size",
    .run = loop_run,
};

/* ---- lifo ---- */

#define LIFO_DEPTH 20000u
#define LIFO_USUAL 1000u
#define LIFO_STEPS 16000u

struct stack {
    void **objects;
    size_t depth;
    uint64_t sum;
    struct random random;
};

static void stack_push(struct stack *stack, unsigned count)
{
    for (; count > 0 && stack->depth < LIFO_DEPTH; count--) {
        stack->objects[stack->depth] = object_new(random_log(&stack->random, 4, 7), stack->depth);
        stack->depth++;
    }
}

static void stack_pop(struct stack *stack, unsigned count)
{
    for (; count > 0 && stack->depth > 0; count--)
        stack->sum += object_free(stack->objects[--stack->depth]);
}

/* Calls of functions that allocate: mostly few deep, sometimes many. */
static uint64_t lifo_run(const struct bench_options *options)
{
    unsigned steps = bench_rounds(options, LIFO_USUAL) * LIFO_STEPS / 64;
    struct stack stack = {.random = random_seeded(1)};

    stack.objects = bench_table(LIFO_DEPTH * sizeof(*stack.objects));
    bench_clock_start();
    for (unsigned i = 0; i < steps; i++) {
        stack_push(&stack, random_log(&stack.random, 0, 7));
        stack_pop(&stack, random_log(&stack.random, 0, 7));
    }
    stack_pop(&stack, LIFO_DEPTH);
    return stack.sum;
}

const struct workload workload_lifo = {
    .name = "lifo",
    .about = "a stack: what was allocated last is freed first",
    .run = lifo_run,
};

/* ---- random ---- */

#define RANDOM_OBJECTS 100000u
#define RANDOM_USUAL   100u

static void shuffle(void **objects, unsigned count, struct random *random)
{
    for (unsigned i = count - 1; i > 0; i--) {
        unsigned j = random_below(random, i + 1);
        void *object = objects[i];
        objects[i] = objects[j];
        objects[j] = object;
    }
}

/* After each shuffle the first half of the table is a random half of the objects. */
static uint64_t random_run(const struct bench_options *options)
{
    void **objects = bench_table(RANDOM_OBJECTS * sizeof(*objects));
    unsigned rounds = bench_rounds(options, RANDOM_USUAL);
    struct random random = random_seeded(2);
    uint64_t sum = 0;

    bench_clock_start();
    for (unsigned i = 0; i < RANDOM_OBJECTS; i++)
        objects[i] = object_new(random_log(&random, 4, 7), i);
    for (unsigned round = 0; round < rounds; round++) {
        shuffle(objects, RANDOM_OBJECTS, &random);
        sum += objects_free_all(objects, RANDOM_OBJECTS / 2);
        for (unsigned i = 0; i < RANDOM_OBJECTS / 2; i++)
            objects[i] = object_new(random_log(&random, 4, 7), i);
    }
    return sum + objects_free_all(objects, RANDOM_OBJECTS);
}

const struct workload workload_random = {
    .name = "random",
    .about = "a full heap from which a random half is freed again and again",
    .run = random_run,
};

/* ---- slots ---- */

#define SLOTS       (1u << 16)
#define SLOTS_USUAL 10u
#define SLOTS_STEPS 1000000u

/* Half of the visits go to all slots, a quarter to one in 16, the rest to one in 256. No branch:
 * one that is mispredicted takes as long as malloc. */
static uint32_t pick_slot(struct random *random)
{
    uint32_t coins = random_next(random);
    uint32_t range = SLOTS >> ((coins & 1) * 4 + (coins & coins >> 1 & 1) * 4);

    return random_below(random, range) * 40503u % SLOTS; /* an odd factor: all over the table */
}

static uint64_t slots_run(const struct bench_options *options)
{
    void **slots = bench_table(SLOTS * sizeof(*slots));
    unsigned steps = bench_rounds(options, SLOTS_USUAL * 100) * (SLOTS_STEPS / 100);
    struct random random = random_seeded(3);
    uint64_t sum = 0;

    bench_clock_start();
    for (unsigned i = 0; i < steps; i++) {
        void **slot = &slots[pick_slot(&random)];
        if (*slot == NULL) {
            *slot = object_new(random_log(&random, 3, 8), i);
        } else {
            sum += object_free(*slot);
            *slot = NULL;
        }
    }
    return sum + objects_free_all(slots, SLOTS);
}

const struct workload workload_slots = {
    .name = "slots",
    .about = "slots of a table, some far more often than others, filled and emptied",
    .run = slots_run,
};
