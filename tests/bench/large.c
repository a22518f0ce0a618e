/* SPDX-License-Identifier: MIT */
/*
 * Sizes up to megabytes, in one thread:
 *
 *   large     buffers of 1 KiB to 4 MiB, replaced in random order
 *   realloc   vectors that grow by half, texts that grow line by line, and both cut to what they
 * need
 */
#include "tests/bench/bench.h"

/* ---- large ---- */

#define LARGE_SLOTS 64u
#define LARGE_USUAL 240000u

/* Smaller ones more often: the larger of two steps is taken back to the smaller. */
static uint32_t large_bytes(struct random *random)
{
    uint32_t one = random_log(random, 10, 21);
    uint32_t other = random_log(random, 10, 21);
    return one < other ? one : other;
}

static uint64_t large_run(const struct bench_options *options)
{
    void **slots = bench_table(LARGE_SLOTS * sizeof(*slots));
    unsigned steps = bench_rounds(options, LARGE_USUAL);
    struct random random = random_seeded(6);
    uint64_t sum = 0;

    bench_clock_start();
    for (unsigned i = 0; i < steps; i++)
        sum += object_replace(&slots[random_below(&random, LARGE_SLOTS)], large_bytes(&random), i);
    return sum + objects_free_all(slots, LARGE_SLOTS);
}

const struct workload workload_large = {
    .name = "large",
    .about = "buffers of 1 KiB to 4 MiB, replaced in random order",
    .run = large_run,
};

/* ---- realloc ---- */

#define VECTORS       64u
#define REALLOC_USUAL 15000u
#define VECTOR_MOST   200000u /* words */
#define TEXT_MOST     6000u   /* bytes */
#define LINE_BYTES    40u

struct vector {
    uint64_t *words;
    size_t count, room;
};

static void *resized(void *object, size_t bytes)
{
    object = realloc(object, bytes);
    if (object == NULL)
        bench_fail("realloc to %zu bytes gave NULL", bytes);
    return object;
}

static void vector_append(struct vector *vector, uint64_t word)
{
    if (vector->count == vector->room) {
        vector->room = vector->room + vector->room / 2 + 8;
        vector->words = resized(vector->words, vector->room * sizeof(*vector->words));
    }
    vector->words[vector->count++] = word;
}

/* Cuts the vector to what it holds, reads it and frees it. */
static uint64_t vector_end(struct vector *vector)
{
    uint64_t sum = 0;

    vector->words = resized(vector->words, (vector->count + 1) * sizeof(*vector->words));
    for (size_t i = 0; i < vector->count; i += 64)
        sum += vector->words[i];
    free(vector->words);
    *vector = (struct vector){0};
    return sum;
}

/* A text that grows by a line at a time and is then cut in half until it is short. */
static uint64_t write_text(struct random *random)
{
    size_t most = random_below(random, TEXT_MOST) + LINE_BYTES, bytes = 0;
    char *text = NULL;
    uint64_t sum = 0;

    for (; bytes < most; bytes += LINE_BYTES) {
        text = resized(text, bytes + LINE_BYTES);
        object_touch(text + bytes, LINE_BYTES, bytes);
    }
    for (; bytes > 100; bytes /= 2) {
        sum += object_tag(text);
        text = resized(text, bytes / 2);
    }
    free(text);
    return sum;
}

static uint64_t realloc_run(const struct bench_options *options)
{
    struct vector *vectors = bench_table(VECTORS * sizeof(*vectors));
    unsigned rounds = bench_rounds(options, REALLOC_USUAL);
    struct random random = random_seeded(7);
    uint64_t sum = 0;

    bench_clock_start();
    for (unsigned round = 0; round < rounds; round++) {
        struct vector *vector = &vectors[random_below(&random, VECTORS)];
        for (unsigned words = random_log(&random, 6, 14); words > 0; words--)
            vector_append(vector, words);
        if (vector->count > VECTOR_MOST || random_below(&random, 8) == 0)
            sum += vector_end(vector);
        sum += write_text(&random);
    }
    for (unsigned i = 0; i < VECTORS; i++)
        sum += vector_end(&vectors[i]);
    return sum;
}

const struct workload workload_realloc = {
    .name = "realloc",
    .about = "vectors and texts that grow by realloc and are cut again",
    .run = realloc_run,
};
