/* SPDX-License-Identifier: MIT */
/*
 * False sharing: cores that ask for small objects of their own get none in a common cache line, be
 * it from fresh memory (active) or after they have freed neighbours of one line (passive).
 */
#include "arch/arch.h"
#include "tests/unit/heap_test.h"

static void *mine[BOARD_MAX_CORES];

static void ask_for_one(void *arg)
{
    (void)arg;
    mine[bh_port_core()] = bh_malloc(8);
}

static void free_and_ask(void *arg)
{
    bh_free(mine[bh_port_core()]);
    ask_for_one(arg);
}

static void expect_lines_of_their_own(void)
{
    for (unsigned a = 0; a < board_cores(); a++)
        for (unsigned b = 0; b < a; b++)
            EXPECT((uintptr_t)mine[a] / ARCH_CACHE_LINE != (uintptr_t)mine[b] / ARCH_CACHE_LINE);
}

TEST_ALONE(sharing_is_not_made_by_first_objects)
{
    heap_test_init((size_t)4 << 20);
    heap_test_on_all_cores(ask_for_one, NULL);
    expect_lines_of_their_own();
    bh_heap_verify();
}

/* Core 0 allocates all of them, next to each other, and each core frees one that is not its own. */
TEST_ALONE(sharing_is_not_inherited)
{
    heap_test_init((size_t)4 << 20);
    for (unsigned core = 0; core < board_cores(); core++)
        mine[core] = bh_malloc(8);
    heap_test_on_all_cores(free_and_ask, NULL);
    expect_lines_of_their_own();
    bh_heap_verify();
}
