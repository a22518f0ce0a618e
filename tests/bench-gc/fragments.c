/* SPDX-License-Identifier: MIT */
/*
 * fragments: the hours of a server in seconds. A clock ticks once per object; of the objects
 * most live for up to 256 ticks, some for up to 2^15, a few for up to 2^19, and sizes change from
 * phase to phase: what lives long from one phase lies between what the next one needs. Peak memory
 * is the figure.
 *
 * A wheel has a list of objects for each tick to come; when the tick comes, the list is read and
 * dropped.
 */
#include "tests/bench-gc/heap.h"

#define WHEEL       (1u << 19)
#define USUAL_TICKS 6000000u
#define PHASES      8u

static struct cell **wheel;

static uint32_t life_of(struct random *random)
{
    uint32_t dice = random_below(random, 100);

    if (dice < 80)
        return random_between(random, 1, 1u << 8);
    if (dice < 95)
        return random_between(random, 1, 1u << 15);
    return random_between(random, 1, WHEEL - 1);
}

/* Phases: small objects; medium ones; all up to 32 KiB; odd sizes just over a power of two. */
static size_t bytes_of(struct random *random, uint64_t phase)
{
    switch (phase % 4) {
    case 0:
        return random_log(random, 5, 7);
    case 1:
        return random_log(random, 8, 10);
    case 2:
        return random_log(random, 5, 14) & ~15u;
    default:
        return (1u << random_between(random, 5, 11)) + 16;
    }
}

static uint64_t fragments_run(const struct bench_options *options)
{
    struct random random = random_seeded(6);
    uint64_t ticks = bench_rounds(options, USUAL_TICKS), sum = 0;

    wheel = collector_scan(WHEEL * sizeof(*wheel));
    for (uint64_t i = 0; i < ticks; i++) {
        uint32_t now = (uint32_t)i % WHEEL, end = (now + life_of(&random)) % WHEEL;
        struct cell *cells = cells_new(bytes_of(&random, i * PHASES / ticks), i);
        for (const struct cell *old = wheel[now]; old != NULL; old = old->next)
            sum += old->tag;
        wheel[now] = NULL;
        cells->next = wheel[end];
        wheel[end] = cells;
    }
    return sum;
}

const struct workload workload_fragments = {
    .name = "fragments",
    .about = "lifetimes from ticks to hours, sizes that change",
    .run = fragments_run,
};
