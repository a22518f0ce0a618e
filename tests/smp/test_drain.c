/* SPDX-License-Identifier: MIT */
/*
 * alloc/drain.h: caches that go home, of themselves, by interrupt, and when memory is out.
 *
 * Other cores run jobs that wait with interrupts on or off, so that it is known what they do when
 * they are asked.
 */
#include "alloc/cache.h"
#include "alloc/drain.h"
#include "alloc/redzone.h"
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "tests/unit/heap_test.h"
#include <bareheap/gc.h>

#define OBJECTS 40

/* Far above what an interrupt takes, under emulation too: only a hang is that long. */
#define PATIENCE_NS 20000000000ULL

static void *held[BOARD_MAX_CORES][OBJECTS];

/* Leaves objects of several classes in this core's bins. */
static void fill_cache(void *arg)
{
    (void)arg;
    void **objects = held[bh_port_core()];
    for (size_t bytes = 16; bytes <= 1000; bytes *= 2) {
        for (size_t i = 0; i < OBJECTS; i++)
            objects[i] = bh_malloc(bytes);
        for (size_t i = 0; i < OBJECTS; i++)
            bh_free(objects[i]);
    }
}

static bool becomes_empty(unsigned core)
{
    uint64_t start_ns = bh_port_now_ns();
    while (cache_look(core).objs > 0) {
        if (bh_port_now_ns() - start_ns > PATIENCE_NS)
            return false;
        arch_pause();
    }
    return true;
}

TEST(drain_empties_the_own_cache)
{
    harness_heap();
    fill_cache(NULL);
    EXPECT(cache_look(bh_port_core()).objs > 0);
    bh_drain();
    EXPECT_EQ(cache_look(bh_port_core()).objs, 0);
    bh_heap_verify();
    fill_cache(NULL); /* and it works as before */
    bh_heap_verify();
}

TEST(drain_empties_the_cache_of_any_core)
{
    harness_heap();
    heap_test_on_all_cores(fill_cache, NULL);
    for (unsigned core = 0; core < board_cores(); core++) {
        EXPECT(cache_look(core).objs > 0);
        bh_drain_core(core);
        EXPECT(becomes_empty(core));
    }
    bh_drain_core(board_cores()); /* there is none of that number */
    heap_test_on_all_cores(fill_cache,
                           NULL); /* all caches work as before, and all cores are done */
    bh_heap_verify();
}

/* ---- while the other cores work ---- */

#define STEPS 4000
#define SLOTS 60

/* Core 0 has the others' caches emptied all the time, and they go on with what they do. */
TEST_ALL_CORES(drain_does_no_harm_to_cores_at_work)
{
    static struct heap_test_object slots[BOARD_MAX_CORES][SLOTS];
    harness_heap();
    struct heap_test_object *mine = slots[bh_port_core()];
    for (unsigned i = 0; i < STEPS; i++) {
        heap_test_step(mine, SLOTS, 3000);
        if (bh_port_core() == 0 && i % 64 == 0)
            bh_drain_core((i / 64) % board_cores());
        if (bh_port_core() == 0 && i % 512 == 0)
            drain_others();
    }
    heap_test_free_all(mine, SLOTS);
    heap_test_verify_at_barrier();
}

/* All ask all: each waits for cores that wait for it. */
TEST_ALL_CORES(drain_others_by_all_cores_at_once_ends)
{
    harness_heap();
    for (unsigned i = 0; i < 20; i++) {
        fill_cache(NULL);
        drain_others();
    }
    heap_test_verify_at_barrier();
}

/* ---- idle cores ---- */

/* Two looks, between which this core takes an object. Whether this core's cache was left alone. */
static bool look_twice(uint64_t now_ns)
{
    drain_idle(now_ns);
    drain_idle(now_ns + DRAIN_IDLE_NS / 2); /* too early to be a look */
    void *object = bh_malloc(40);
    size_t mine = cache_look(bh_port_core()).objs;
    drain_idle(now_ns + DRAIN_IDLE_NS);
    bool left_alone = cache_look(bh_port_core()).objs == mine;
    bh_free(object);
    return left_alone;
}

TEST(drain_idle_asks_only_who_is_idle)
{
    harness_heap();
    heap_test_on_all_cores(fill_cache, NULL);
    uint64_t now_ns = bh_port_now_ns() + 10 * DRAIN_IDLE_NS;
    /* Twice: a request of an earlier case may reach this core only now. */
    EXPECT(look_twice(now_ns) || look_twice(now_ns + 3 * DRAIN_IDLE_NS));
    for (unsigned core = 1; core < board_cores(); core++)
        EXPECT(becomes_empty(core));
    heap_test_on_all_cores(fill_cache, NULL);
    bh_heap_verify();
}

TEST(drain_comes_with_a_park)
{
    harness_heap();
    fill_cache(NULL);
    bh_gc_park();
    EXPECT_EQ(cache_look(bh_port_core()).objs, 0);
    bh_gc_unpark();
}

/* ---- memory is out ---- */

static size_t fill_heap(void **last)
{
    size_t count = 0;
    *last = NULL;
    for (void **object; (object = bh_malloc(64)) != NULL; count++) {
        *object = *last;
        *last = object;
    }
    return count;
}

static void free_chain(void *last)
{
    while (last) {
        void *next = *(void **)last;
        bh_free(last);
        last = next;
    }
}

/* What other cores have in their caches is there for the one that has none left. */
TEST_ALONE(drain_happens_when_memory_is_out)
{
    void *last;
    heap_test_init((size_t)1 << 20);
    bh_drain_core(bh_port_core()); /* says that cores can be interrupted */
    heap_test_on_all_cores(fill_cache, NULL);
    fill_heap(&last);
    for (unsigned core = 0; core < board_cores(); core++)
        EXPECT(becomes_empty(core)); /* at once, unless a core was slow to answer */
    free_chain(last);
    heap_test_on_all_cores(fill_cache, NULL);
    bh_heap_verify();
}

static uint32_t deaf_may_end;
static uint32_t deaf_have_begun;

/* Everyone but core 0 keeps interrupts off until told. */
static void be_deaf(void *arg)
{
    fill_cache(arg);
    uintptr_t irq = arch_irq_save();
    atomic_add_acq_rel(&deaf_have_begun, 1);
    while (!atomic_load_acquire(&deaf_may_end)) /* pairs with the release below */
        arch_pause();
    arch_irq_restore(irq);
}

/* A core that does not answer is not waited for for ever; it gives when it can. */
TEST_ALONE(drain_leaves_a_core_that_does_not_answer)
{
    void *last;
    heap_test_init((size_t)1 << 20);
    for (unsigned core = 1; core < board_cores(); core++)
        board_start(core, be_deaf, NULL);
    bh_drain_core(bh_port_core()); /* as above */
    while (atomic_load_acquire(&deaf_have_begun) + 1 < board_cores())
        arch_pause();
    fill_heap(&last);
    for (unsigned core = 1; core < board_cores(); core++)
        EXPECT(cache_look(core).objs > 0);
    atomic_store_release(&deaf_may_end, 1); /* pairs with be_deaf() */
    for (unsigned core = 1; core < board_cores(); core++) {
        board_wait(core);
        EXPECT(becomes_empty(core));
    }
    free_chain(last);
    bh_heap_verify();
}
