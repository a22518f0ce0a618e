/* SPDX-License-Identifier: MIT */
/*
 * The run's seed and the random numbers made from it.
 *
 * Each core has a stream of its own, started anew for every case from seed, case name and core, so
 * one case run by itself with the same seed sees the numbers it saw among the others. The
 * generator is splitmix64 (Steele, Lea, Flood 2014): a counter and a mixing function, good
 * enough for tests and without any state that could be bad.
 */
#include "arch/arch.h"
#include "tests/harness/internal.h"

#define GOLDEN 0x9e3779b97f4a7c15u

struct stream {
    uint64_t state;
} __attribute__((aligned(ARCH_CACHE_LINE)));

static struct stream streams[BOARD_MAX_CORES];

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* "seed=N" of the command line, else one from the clocks; the same during the whole run. */
uint64_t harness_seed(void)
{
    static uint64_t seed;
    if (seed == 0)
        seed = harness_option("seed", mix(bh_port_now_ns() ^ arch_cycles()) % 1000000000u + 1);
    return seed;
}

void harness_random_start(const char *case_name)
{
    uint64_t name_hash = 0;
    for (const char *c = case_name; *c != '\0'; c++)
        name_hash = mix(name_hash + GOLDEN + (unsigned char)*c);
    for (unsigned core = 0; core < BOARD_MAX_CORES; core++)
        streams[core].state = mix(harness_seed() ^ mix(name_hash + core * GOLDEN));
}

uint64_t harness_random(void)
{
    return mix(streams[bh_port_core()].state += GOLDEN);
}

uint64_t harness_random_below(uint64_t n)
{
    return harness_random() % n;
}
