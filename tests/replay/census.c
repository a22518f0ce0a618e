/* SPDX-License-Identifier: MIT */
/*
 * The census: what the collected heap holds, compared with what the replay knows.
 *
 * Two bitmaps over the heap's addresses, a bit per 8 bytes:
 * 1. `expected` gets a bit for the first byte of everything that may be allocated: the graph's
 *    own objects, all live objects and their cells, and what was dropped so lately that fewer than
 *    two collections have begun and ended since. On the way every live object's contents are
 *    compared, and the chains must hold as many nodes as objects are live.
 * 2. A walk of the heap sets a bit in `allocated` for every object that it shows. One that is
 *    not expected is a leftover: dropped, passed over by two collections, and still there,
 *    because some word on a stack or in a register happened to point at it.
 * 3. A live object without its bit in `allocated` has been freed too early.
 * 4. Gone is not enough, memory must come back too: after whole collections the spans that hold an
 *    object account for the heap that is in use.
 *
 * Leftovers are not in proportion to what was dropped: each has a word of its own on a stack, in a
 * register or among the image's variables (a counter that looks like an address). So what is
 * tolerated is a number for the image and one per core. README.md has what was measured.
 *
 * Objects under 16 bytes that are not scanned share a block of 16, which the walk shows once: the
 * two bits of such a block stand for all of them.
 *
 * Locks: none; see census_take().
 */
#include "tests/replay/census.h"
#include "alloc/walk.h"
#include "kernel-lib/bitmap.h"
#include "tests/replay/graph.h"
#include <bareheap/gc.h>

#define GRAIN_BYTES        8
#define BLOCK_BYTES        16 /* shared by objects under 16 bytes that are not scanned */
#define LEFTOVERS_OF_IMAGE 16
#define LEFTOVERS_PER_CORE 8

/* What the collector may keep for itself after a collection: pages for pins, a span in a cache. */
#define KEPT_BYTES_MAX ((size_t)64 << 10)

static uint64_t *expected;
static uint64_t *allocated;
static size_t map_bits;
static size_t map_used;         /* no bit at or behind this one has ever been set */
static uint64_t leftovers;      /* at the census under way */
static uintptr_t leftover_base; /* one of them, to be named */

static size_t map_bytes(size_t bits)
{
    return bitmap_words(bits) * sizeof(uint64_t);
}

static size_t bit_of(uintptr_t address)
{
    return (address - memory_low()) / GRAIN_BYTES;
}

bool census_start(void)
{
    map_bits = (memory_high() - memory_low()) / GRAIN_BYTES + 2; /* map_has() looks at two */
    expected = memory_carve(map_bytes(map_bits), "map of expected objects");
    if (expected == NULL)
        return false;
    allocated = memory_carve(map_bytes(map_bits), "map of allocated objects");
    return allocated != NULL;
}

static void map_set(uint64_t *map, uintptr_t address)
{
    size_t bit = bit_of(address);
    bitmap_set(map, bit);
    map_used = bit < map_used ? map_used : bit + 1;
}

/* Whether the map has a bit for an object of `bytes` at `base`. */
static bool map_has(const uint64_t *map, uintptr_t base, size_t bytes)
{
    size_t bit = bit_of(base);
    return bitmap_test(map, bit) || (bytes <= BLOCK_BYTES && bitmap_test(map, bit + 1));
}

/* ---- 1. What is expected ---- */

static void expect(const void *object)
{
    map_set(expected, (uintptr_t)object);
}

static void expect_object(const struct replay_object *object)
{
    void *cell = graph_cell(object);

    expect(object->base);
    if (cell != NULL)
        expect(cell);
}

void census_check_object(const struct replay_object *object, const char *when)
{
    uint32_t id = object_id(object);
    size_t from, to;

    graph_links(object, &from, &to);
    size_t at = pattern_check(object->base, id, 0, from);
    if (at == from)
        at = pattern_check(object->base, id, to, object->bytes);
    if (at != object->bytes)
        report_byte(object, when, at, pattern_byte(id, at));
    atomic_add_relaxed(&replay.counts.checked, 1); /* relaxed: a sum, read when all is over */
}

/* Returns how many objects are live. */
static uint64_t expect_all(uint64_t cycles)
{
    uint64_t live = 0;
    uint64_t settled = 0;
    uint64_t settled_cells = 0;

    for (uint32_t id = 0; id < replay.trace.births; id++) {
        const struct replay_object *object = &replay.objects[id];
        if (object->state == OBJECT_LIVE) {
            live++;
            expect_object(object);
            census_check_object(object, "after a collection");
        } else if (object->state == OBJECT_DEAD && object->drop_cycle + 2 > cycles) {
            expect_object(object);
        } else if (object->state == OBJECT_DEAD) {
            settled++;
            settled_cells += graph_cell(object) != NULL;
        }
    }
    graph_each_own(expect);
    replay.counts.settled = settled;
    replay.counts.settled_cells = settled_cells;
    return live;
}

/* ---- 2. What is allocated ---- */

static void see_object(const struct walk_object *object, void *arg)
{
    (void)arg;
    map_set(allocated, object->base);
    if (map_has(expected, object->base, span_object_bytes(object->span)))
        return;
    leftovers++;
    leftover_base = object->base;
}

static void judge_leftovers(void)
{
    unsigned most = LEFTOVERS_OF_IMAGE + replay.cores * LEFTOVERS_PER_CORE;
    uintptr_t base = leftover_base;
    char where[200];

    leftover_base = 0; /* or this variable would be the next one's root */
    if (leftovers > replay.counts.leftovers)
        replay.counts.leftovers = leftovers;
    if (leftovers <= most)
        return;
    walk_describe(base, where, sizeof(where));
    report_error("%llu objects are still allocated, but two collections have passed since they "
                 "were dropped; stray words may account for %u of %llu. One of them: %s",
                 (unsigned long long)leftovers, most,
                 (unsigned long long)replay.counts.settled + replay.counts.settled_cells, where);
}

/* ---- 3. What is missing ---- */

static void check_allocated(const struct replay_object *object)
{
    uintptr_t block = bits_round_down((uintptr_t)object->base, BLOCK_BYTES);
    bool small = object->bytes < BLOCK_BYTES;

    if (!map_has(allocated, small ? block : (uintptr_t)object->base, object->bytes))
        report_object(object, "is referenced, but the collector has freed it");
}

static void check_all_allocated(void)
{
    for (uint32_t id = 0; id < replay.trace.births; id++)
        if (replay.objects[id].state == OBJECT_LIVE)
            check_allocated(&replay.objects[id]);
}

/* ---- 4. What has been given back ---- */

struct occupied {
    const struct bh_span *last; /* of which an object was seen */
    size_t bytes;               /* of all such spans */
};

/* Objects come span by span. */
static void see_span(const struct walk_object *object, void *arg)
{
    struct occupied *occupied = arg;

    if (object->span == occupied->last)
        return;
    occupied->last = object->span;
    occupied->bytes += (size_t)object->span->pages * PAGE_BYTES;
}

void census_check_given_back(void)
{
    struct occupied occupied = {NULL, 0};
    struct bh_stats heap;

    walk_each_object(see_span, &occupied);
    bh_get_stats(&heap);
    if (heap.heap_bytes > occupied.bytes + KEPT_BYTES_MAX)
        report_error("memory of dead objects is not given back: the heap has %zu KiB in use, but "
                     "all spans that hold an object take only %zu KiB",
                     heap.heap_bytes / 1024, occupied.bytes / 1024);
}

/* ---- All together ---- */

void census_take(void)
{
    struct bh_gc_stats stats;

    bh_gc_get_stats(&stats);
    __builtin_memset(expected, 0, map_bytes(map_used));
    __builtin_memset(allocated, 0, map_bytes(map_used));
    leftovers = 0;

    uint64_t live = expect_all(stats.cycles);
    uint64_t nodes = graph_count();
    if (nodes < live || (nodes > live && replay.options.leak == 0))
        report_error("the graph has %llu nodes, but %llu objects are live",
                     (unsigned long long)nodes, (unsigned long long)live);
    walk_each_object(see_object, NULL);
    check_all_allocated();
    judge_leftovers();
}
