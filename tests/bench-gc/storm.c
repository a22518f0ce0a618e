/* SPDX-License-Identifier: MIT */
/*
 * storm, storm-mixed: nothing but allocation. All objects die young: a ring keeps the last 1,024.
 * Of one size (64 bytes), and of 16 to 2,047 bytes, half of them without pointers.
 */
#include "tests/bench-gc/heap.h"

#define RING        1024u
#define ONE_BYTES   64u
#define USUAL_ONE   40000000u
#define USUAL_MIXED 8000000u

static void *ring[RING];

static uint64_t storm_run(const struct bench_options *options)
{
    uint64_t sum = 0;

    for (uint64_t i = bench_rounds(options, USUAL_ONE); i > 0; i--) {
        struct cell **slot = (struct cell **)&ring[i % RING];
        sum += *slot == NULL ? 0 : (*slot)->tag;
        *slot = collector_scan(ONE_BYTES);
        (*slot)->tag = i;
    }
    return sum;
}

/* The tag is in the second word with pointers, in the first without. */
static uint64_t mixed_run(const struct bench_options *options)
{
    struct random random = random_seeded(5);
    uint64_t sum = 0;

    for (uint64_t i = bench_rounds(options, USUAL_MIXED); i > 0; i--) {
        void **slot = &ring[i % RING];
        size_t bytes = random_log(&random, 4, 10);
        if (*slot != NULL)
            sum += i % 2 == 0 ? ((struct cell *)*slot)->tag : object_tag(*slot);
        *slot = i % 2 == 0 ? (void *)cells_new(bytes, i) : collector_noscan(bytes);
        if (i % 2 != 0)
            object_touch(*slot, bytes, i);
    }
    return sum;
}

const struct workload workload_storm = {
    .name = "storm",
    .about = "objects of 64 bytes that die young",
    .run = storm_run,
};

const struct workload workload_storm_mixed = {
    .name = "storm-mixed",
    .about = "objects of 16 to 2,047 bytes that die young, half without pointers",
    .run = mixed_run,
};
