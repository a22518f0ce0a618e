/* SPDX-License-Identifier: MIT */
/*
 * finalizers: a million objects, each with one; a ring keeps the last 50,000. Finalizers run from
 * time to time, as from a kernel's idle loop.
 *
 * The count of those that ran is not part of the checksum: a conservative collector may keep a few.
 * Less than 95 of 100 is an error.
 */
#include "tests/bench-gc/heap.h"

#define RING         50000u
#define USUAL_ROUNDS 1000000u
#define RUN_EVERY    4096u
#define LAST_ROUNDS  3u

struct resource {
    struct resource *unused;
    uint64_t handle, state, more;
};
COLLECTOR_TYPE(resource_type, struct resource, COLLECTOR_POINTER(struct resource, unused));

static struct resource *ring[RING];
static uint64_t finalized;

static void finalize(void *object, void *unused)
{
    struct resource *resource = object;

    (void)unused;
    if (resource->state != ~resource->handle)
        bench_fail("a finalizer was given an object that is none");
    resource->state = 0;
    finalized++;
}

/* Drops the rest and lets the finalizers run. */
static void finish(void)
{
    for (unsigned i = 0; i < RING; i++)
        ring[i] = NULL;
    for (unsigned i = 0; i < LAST_ROUNDS; i++) {
        (void)collector_collect();
        collector_run_finalizers();
    }
}

static uint64_t finalizers_run(const struct bench_options *options)
{
    uint64_t rounds = bench_rounds(options, USUAL_ROUNDS), sum = 0;

    for (uint64_t i = 0; i < rounds; i++) {
        struct resource *resource = COLLECTOR_NEW(resource_type, struct resource);
        resource->handle = i;
        resource->state = ~i;
        collector_set_finalizer(resource, finalize);
        sum += ring[i % RING] == NULL ? 0 : ring[i % RING]->handle;
        ring[i % RING] = resource;
        if (i % RUN_EVERY == 0)
            collector_run_finalizers();
    }
    finish();
    if (finalized > rounds || finalized < rounds - rounds / 20 - 1)
        bench_fail("%llu finalizers ran for %llu objects", (unsigned long long)finalized,
                   (unsigned long long)rounds);
    return sum;
}

const struct workload workload_finalizers = {
    .name = "finalizers",
    .about = "a million objects with finalizers",
    .run = finalizers_run,
};
