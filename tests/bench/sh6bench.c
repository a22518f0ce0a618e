/* SPDX-License-Identifier: MIT */
/*
 * sh6bench: after MicroQuill's test of that name for their SmartHeap (2006), from its description:
 * objects of 8 to 1,000 bytes, the small ones more often, allocated in batches; of each batch a
 * part is freed in the opposite order, a part in the same order, and the rest a few batches later.
 */
#include "tests/bench/bench.h"

#define MIN_BYTES 8u
#define MAX_BYTES 1000u
#define BATCH     600u
#define KEPT                                                                             \
    (BATCH / 4) /* of each batch, freed when the batch's place in the ring is used again \
                 */
#define RING    40u
#define USUAL   800u
#define BATCHES 45u /* a round */

/* From 8 to 1,000 bytes; the inverse of a random number, so half of all are under 24. */
static size_t batch_bytes(struct random *random)
{
    return MIN_BYTES + (MAX_BYTES - MIN_BYTES) / random_between(random, 1, 124);
}

/* One batch: the kept ones go to `kept`, whose old objects are freed first. Returns the sum of
 * tags. */
static uint64_t run_batch(void **batch, void **kept, struct random *random)
{
    uint64_t sum = objects_free_all(kept, KEPT);
    unsigned i;

    for (i = 0; i < BATCH; i++)
        batch[i] = object_new(batch_bytes(random), i);
    for (i = BATCH; i > BATCH / 2; i--)
        sum += object_free(batch[i - 1]);
    for (i = 0; i < KEPT; i++)
        sum += object_free(batch[i]);
    for (i = 0; i < KEPT; i++)
        kept[i] = batch[KEPT + i];
    return sum;
}

static uint64_t sh6bench_run(const struct bench_options *options)
{
    void **batch = bench_table(BATCH * sizeof(*batch));
    void **ring = bench_table(RING * KEPT * sizeof(*ring));
    unsigned batches = bench_rounds(options, USUAL) * BATCHES;
    struct random random = random_seeded(4);
    uint64_t sum = 0;

    bench_clock_start();
    for (unsigned i = 0; i < batches; i++)
        sum += run_batch(batch, ring + i % RING * KEPT, &random);
    return sum + objects_free_all(ring, RING * KEPT);
}

const struct workload workload_sh6bench = {
    .name = "sh6bench",
    .about = "batches of small objects, freed backwards, forwards, and late",
    .run = sh6bench_run,
};
