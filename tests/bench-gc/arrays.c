/* SPDX-License-Identifier: MIT */
/*
 * arrays: large arrays without pointers, 16 KiB to 8 MiB each, of which 32 are alive; a random one
 * is replaced, again and again. Large requests, big free runs, and nothing to scan.
 */
#include "tests/bench-gc/heap.h"

#define SLOTS        32u
#define USUAL_ROUNDS 4000u

static void *arrays[SLOTS];

static uint64_t arrays_run(const struct bench_options *options)
{
    struct random random = random_seeded(2);
    uint64_t sum = 0;

    for (uint64_t i = bench_rounds(options, USUAL_ROUNDS); i > 0; i--) {
        void **slot = &arrays[random_below(&random, SLOTS)];
        size_t bytes = random_log(&random, 14, 22);
        sum += *slot == NULL ? 0 : object_tag(*slot);
        *slot = collector_noscan(bytes);
        object_touch(*slot, bytes, i);
    }
    return sum;
}

const struct workload workload_arrays = {
    .name = "arrays",
    .about = "large arrays without pointers, replaced at random",
    .run = arrays_run,
};
