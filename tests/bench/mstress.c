/* SPDX-License-Identifier: MIT */
/*
 * mstress: after the stress test that Leijen, Zorn and de Moura 2019 describe for mimalloc: threads
 * that keep objects of many sizes, exchange some of them through slots that all share, end, and are
 * replaced by new ones while what they kept in the slots lives on.
 *
 * Which thread gets an object out of a slot depends on time; what is allocated does not, and all
 * that is allocated is freed, so the sum of tags stays the same.
 */
#include "tests/bench/bench.h"

#define KEPT   3000u
#define SHARED 1000u
#define STEPS  20000u /* of one thread */
#define USUAL  130u   /* threads in all */

struct stress {
    unsigned generation;
    void *shared[SHARED]; /* exchanged atomically */
};

static size_t stress_bytes(struct random *random)
{
    uint32_t kind = random_below(random, 200);

    if (kind == 0)
        return random_log(random, 13, 16);
    return kind < 20 ? random_log(random, 9, 12) : random_log(random, 3, 8);
}

/* Every fourth from calloc, which must have cleared it. */
static void *stress_new(struct random *random, uint64_t tag)
{
    size_t bytes = stress_bytes(random);
    void *object;

    if (random_below(random, 4) != 0)
        return object_new(bytes, tag);
    object = calloc(1, bytes);
    if (object == NULL || object_tag(object) != 0 || ((char *)object)[bytes - 1] != 0)
        bench_fail("calloc(1, %zu) gave memory that is not cleared, or none", bytes);
    object_touch(object, bytes, tag);
    return object;
}

static void exchange(struct stress *stress, void **slot, uint32_t with)
{
    /* Both ways: the objects' contents go along in either direction. */
    *slot = __atomic_exchange_n(&stress->shared[with], *slot, __ATOMIC_ACQ_REL);
}

static uint64_t stress_work(void *argument, unsigned index)
{
    struct stress *stress = argument;
    struct random random = random_seeded(stress->generation * 256 + index);
    void **kept = malloc(KEPT * sizeof(*kept));
    uint64_t sum = 0;

    for (unsigned i = 0; kept != NULL && i < KEPT; i++)
        kept[i] = NULL;
    for (unsigned i = 0; kept != NULL && i < STEPS; i++) {
        void **slot = &kept[random_below(&random, KEPT)];
        if (random_below(&random, 4) == 0)
            exchange(stress, slot, random_below(&random, SHARED));
        sum += *slot == NULL ? 0 : object_free(*slot);
        *slot = random_below(&random, 8) == 0 ? NULL : stress_new(&random, i);
    }
    if (kept == NULL)
        bench_fail("a table of %u pointers cannot be had", KEPT);
    sum += objects_free_all(kept, KEPT);
    free(kept);
    return sum;
}

static uint64_t mstress_run(const struct bench_options *options)
{
    struct stress *stress = bench_table(sizeof(*stress));
    unsigned threads = options->threads * 2;
    uint64_t sum = 0;

    bench_clock_start();
    for (unsigned i = bench_rounds(options, USUAL) / threads + 1; i > 0; i--) {
        stress->generation = i;
        sum += bench_parallel(threads, stress_work, stress);
    }
    return sum + objects_free_all(stress->shared, SHARED);
}

const struct workload workload_mstress = {
    .name = "mstress",
    .about = "many sizes, kept and exchanged by threads that end and are replaced",
    .run = mstress_run,
};
