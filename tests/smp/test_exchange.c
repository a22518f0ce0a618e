/* SPDX-License-Identifier: MIT */
/*
 * Objects that are freed on another core than the one that allocated them: along a ring from each
 * core to the next, and through an array that all cores take from and put into.
 */
#include "kernel-lib/atomics.h"
#include "tests/unit/heap_test.h"

#define RING_SLOTS 64
#define SENT       3000
#define SHARED     128
#define SWAPS      4000

/* An object that says what must be in it. */
struct parcel {
    size_t bytes;
    uint64_t tag;
    char contents[];
};

static struct parcel *parcel_new(size_t most)
{
    size_t bytes = heap_test_size(most);
    struct parcel *parcel = bh_malloc(sizeof(*parcel) + bytes);
    if (!EXPECT(parcel))
        return NULL;
    *parcel = (struct parcel){.bytes = bytes, .tag = harness_random()};
    heap_test_fill(parcel->contents, bytes, parcel->tag);
    return parcel;
}

static void parcel_check_and_free(struct parcel *parcel)
{
    if (!parcel)
        return;
    EXPECT(heap_test_is_filled(parcel->contents, parcel->bytes, parcel->tag));
    bh_free(parcel);
}

/* ---- the ring: one writer and one reader per link ---- */

static struct parcel *links[BOARD_MAX_CORES][RING_SLOTS];

static unsigned next_core(void)
{
    return (bh_port_core() + 1) % board_cores();
}

static bool send(size_t number)
{
    struct parcel **slot = &links[next_core()][number % RING_SLOTS];
    if (atomic_load_acquire(slot)) /* pairs with the release in receive() */
        return false;
    struct parcel *parcel = parcel_new(2000);
    atomic_store_release(slot, parcel); /* pairs with the acquire in receive() */
    return true;
}

static bool receive(size_t number)
{
    struct parcel **slot = &links[bh_port_core()][number % RING_SLOTS];
    struct parcel *parcel = atomic_load_acquire(slot); /* pairs with the release in send() */
    if (!parcel)
        return false;
    atomic_store_release(slot, NULL); /* pairs with the acquire in send() */
    parcel_check_and_free(parcel);
    return true;
}

TEST_ALL_CORES(smp_each_frees_what_another_allocated)
{
    harness_heap();
    size_t sent = 0;
    size_t received = 0;
    while (sent < SENT || received < SENT) {
        bool moved = false;
        if (sent < SENT && send(sent)) {
            sent++;
            moved = true;
        }
        if (received < SENT && receive(received)) {
            received++;
            moved = true;
        }
        if (!moved)
            board_yield();
    }
    heap_test_verify_at_barrier();
}

/* All of one class, one way: core 0 allocates, all others free. The worst case for a cache. */
static struct parcel *one_way[SHARED];
static uint32_t allocated;
#define ONE_WAY_OBJECTS 6000

static void take_one(struct parcel **slot)
{
    /* Acquire-release: the object's contents come with it. */
    parcel_check_and_free(atomic_exchange_acq_rel(slot, NULL));
}

static void produce(void)
{
    for (unsigned i = 0; i < ONE_WAY_OBJECTS; i++) {
        struct parcel *old = atomic_exchange_acq_rel(&one_way[i % SHARED], parcel_new(100));
        parcel_check_and_free(old); /* the others are slow */
    }
    atomic_store_release(&allocated, 1); /* pairs with the acquire in consume() */
}

static void consume(void)
{
    while (!atomic_load_acquire(&allocated)) {
        take_one(&one_way[harness_random_below(SHARED)]);
        board_yield();
    }
    for (size_t i = 0; i < SHARED; i++)
        take_one(&one_way[i]);
}

TEST_ALL_CORES(smp_one_allocates_and_all_others_free)
{
    harness_heap();
    if (bh_port_core() == 0)
        produce();
    consume();
    heap_test_verify_at_barrier();
    if (bh_port_core() == 0)
        atomic_store_relaxed(&allocated, 0); /* for another run; the case is over */
}

/* ---- the shared array ---- */

static struct parcel *shared[SHARED];

TEST_ALL_CORES(smp_exchange_through_a_shared_array)
{
    harness_heap();
    for (unsigned i = 0; i < SWAPS; i++) {
        struct parcel *mine = harness_random_below(3) ? parcel_new(30000) : NULL;
        size_t at = harness_random_below(SHARED);
        /* Acquire-release: what is in an object goes with it. */
        parcel_check_and_free(atomic_exchange_acq_rel(&shared[at], mine));
    }
    heap_test_verify_at_barrier();
    for (size_t i = bh_port_core(); i < SHARED; i += board_cores())
        take_one(&shared[i]);
    heap_test_verify_at_barrier();
}

TEST(smp_exchange_leaves_nothing_behind)
{
    harness_heap();
    EXPECT_EQ(heap_test_stats().manual_objects, 0);
    EXPECT_EQ(heap_test_stats().cached_bytes, 0);
    bh_heap_verify();
}
