/* SPDX-License-Identifier: MIT */
/*
 * False sharing (Berger, McKinley, Blumofe and Wilson 2000): threads that write to
 * small objects of their own run slowly when the allocator puts two of these into one cache line.
 *
 *   thrash    active: does the allocator give parts of one line to several threads that ask for 8
 * bytes? scratch   passive: each thread first frees an object that the main thread allocated next
 * to the others'; does it get that one, in a line that others write to, again?
 */
#include "tests/bench/bench.h"

#define OBJECT_BYTES 8u
#define WRITES       1000u /* to each object */
#define USUAL        250000u

struct scratch {
    void **first; /* by thread; NULL: there is none to free */
    unsigned rounds;
};

/* Volatile, for the compiler would make one write of a thousand. */
static uint64_t write_often(volatile uint64_t *object)
{
    *object = 0;
    for (unsigned i = 0; i < WRITES; i++)
        *object = *object + i;
    return *object;
}

static uint64_t write_in_turns(void *argument, unsigned index)
{
    const struct scratch *scratch = argument;
    uint64_t sum = scratch->first == NULL ? 0 : object_free(scratch->first[index]);

    for (unsigned i = 0; i < scratch->rounds; i++) {
        void *object = object_new(OBJECT_BYTES, 0);
        sum += write_often(object);
        free(object);
    }
    return sum;
}

static uint64_t thrash_run(const struct bench_options *options)
{
    struct scratch scratch = {.rounds = bench_rounds(options, USUAL)};

    bench_clock_start();
    return bench_parallel(options->threads, write_in_turns, &scratch);
}

const struct workload workload_thrash = {
    .name = "thrash",
    .about = "active false sharing: threads write to small objects of their own",
    .run = thrash_run,
};

static uint64_t scratch_run(const struct bench_options *options)
{
    struct scratch scratch = {.rounds = bench_rounds(options, USUAL)};

    scratch.first = bench_table(options->threads * sizeof(*scratch.first));
    bench_clock_start();
    for (unsigned i = 0; i < options->threads; i++)
        scratch.first[i] = object_new(OBJECT_BYTES, i);
    return bench_parallel(options->threads, write_in_turns, &scratch);
}

const struct workload workload_scratch = {
    .name = "scratch",
    .about = "passive false sharing: the same after freeing neighbours of one line",
    .run = scratch_run,
};
