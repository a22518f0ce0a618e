/* SPDX-License-Identifier: MIT */
/*
 * What a sanitizer is told, byte for byte: after every operation exactly what was asked for is open
 * (alloc/poison.h).
 */
#include "alloc/page_heap.h"
#include "alloc/span.h"
#include "kernel-lib/memory.h"
#include "tests/sanitize/kasan.h"
#include "tests/unit/heap_test.h"
#include <bareheap/bareheap.h>

#define LARGE_BYTES ((size_t)100000)
#define SLOTS       48
#define STEPS       1500

static void begin(void)
{
    kasan_watch(heap_test_ram(KASAN_REGION_BYTES));
    heap_test_init(KASAN_REGION_BYTES);
}

/* Whether of [address, address + room) exactly the first `bytes` are open. */
static bool is_open_exactly(const void *address, size_t bytes, size_t room)
{
    uintptr_t base = (uintptr_t)address;
    for (size_t i = 0; i < room; i++)
        if (kasan_is_open(base + i) != (i < bytes)) {
            harness_note("%p: byte %zu of %zu, %zu asked for, is %s", address, i, room, bytes,
                         i < bytes ? "closed" : "open");
            return false;
        }
    return true;
}

static size_t room_of(const void *object)
{
    return span_object_bytes(pagemap_span((uintptr_t)object));
}

static bool is_open_for(const void *object, size_t bytes)
{
    return is_open_exactly(object, bytes, room_of(object));
}

TEST_ALONE(sanitize_a_region_is_closed_but_for_its_metadata)
{
    begin();
    const struct page_region *region = &page_heap.regions[0];
    EXPECT(is_open_exactly((void *)region->first_page, 0, region->pages << PAGE_SHIFT));
    size_t before = region->first_page - region->base;
    EXPECT(is_open_exactly((void *)region->base, before, before));
}

TEST_ALONE(sanitize_small_objects_are_open_to_the_byte)
{
    begin();
    for (size_t bytes = 0; bytes <= 600; bytes += bytes < 40 ? 1 : 7) {
        char *object = bh_malloc(bytes);
        REQUIRE(object);
        size_t room = room_of(object);
        EXPECT(is_open_exactly(object, bytes, room));
        bool is_first = (uintptr_t)object == page_heap.regions[0].first_page;
        EXPECT(is_first || !kasan_is_open((uintptr_t)object - 1));
        EXPECT_EQ(bh_usable_size(object), bytes);
        bh_free(object);
        EXPECT(is_open_exactly(object, 0, room));
    }
}

TEST_ALONE(sanitize_large_objects_are_open_to_the_byte)
{
    begin();
    char *object = bh_malloc(LARGE_BYTES);
    REQUIRE(object);
    size_t room = room_of(object);
    EXPECT(is_open_exactly(object, LARGE_BYTES, room));
    EXPECT_EQ(bh_usable_size(object), LARGE_BYTES);
    bh_free(object);
    EXPECT(is_open_exactly(object, 0, room));
}

/* In place both ways, then by a move. */
TEST_ALONE(sanitize_realloc_follows_the_size)
{
    static const size_t sizes[] = {100, 90, 97, 112, 104, 3000, 2999, 40, 0, 13};
    begin();
    char *object = bh_malloc(100);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *old = object;
        object = bh_realloc(object, sizes[i]);
        REQUIRE(object);
        EXPECT(is_open_for(object, sizes[i]));
        EXPECT(object == old || !kasan_is_open((uintptr_t)old));
    }
    bh_free(object);
}

TEST_ALONE(sanitize_large_realloc_follows_the_size)
{
    static const size_t sizes[] = {LARGE_BYTES, LARGE_BYTES + 1, 3 * LARGE_BYTES, LARGE_BYTES / 2};
    begin();
    char *object = bh_malloc(LARGE_BYTES);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        object = bh_realloc(object, sizes[i]);
        REQUIRE(object);
        EXPECT(is_open_for(object, sizes[i]));
        EXPECT(!kasan_is_open((uintptr_t)object + room_of(object)));
    }
    bh_free(object);
}

TEST_ALONE(sanitize_calloc_and_aligned_requests)
{
    begin();
    char *zeroed = bh_calloc(7, 19);
    REQUIRE(zeroed);
    EXPECT(is_open_for(zeroed, 7 * 19));
    for (size_t align = 1; align <= (size_t)64 << 10; align *= 2) {
        char *object = bh_aligned_alloc(align, 77);
        REQUIRE(object);
        EXPECT(is_open_for(object, 77));
        bh_free(object);
        EXPECT(!kasan_is_open((uintptr_t)object));
    }
    bh_free(zeroed);
}

/* ---- the whole region against the list of live objects ---- */

static struct heap_test_object slots[SLOTS];

static uint8_t live[KASAN_REGION_BYTES]; /* 1: a byte of a live object */

static void mark_live(void)
{
    const char *base = heap_test_ram(KASAN_REGION_BYTES);
    memset(live, 0, sizeof(live));
    for (size_t i = 0; i < SLOTS; i++)
        if (slots[i].address)
            memset(live + (slots[i].address - base), 1, slots[i].bytes);
}

/* A page of metadata cells is open whole; one of objects only where one is live. */
static bool page_is_right(const struct bh_span *run, uintptr_t page)
{
    bool ours = run->state == SPAN_PRIVATE;
    const uint8_t *is_live = live + (page - (uintptr_t)heap_test_ram(KASAN_REGION_BYTES));
    for (size_t i = 0; i < PAGE_BYTES; i++)
        if (kasan_is_open(page + i) != (ours || is_live[i])) {
            harness_note("0x%zx is %s", (size_t)page + i, is_live[i] ? "closed" : "open");
            return false;
        }
    return true;
}

static void expect_region_is_right(void)
{
    const struct page_region *region = &page_heap.regions[0];
    const struct bh_span *end = region->records + region->pages;
    mark_live();
    for (const struct bh_span *run = region->records; run < end; run += run->pages)
        for (size_t i = 0; i < run->pages; i += run->state == SPAN_FREE ? 16 : 1)
            REQUIRE(page_is_right(run, run->base + (i << PAGE_SHIFT)));
}

TEST_ALONE(sanitize_random_operations)
{
    begin();
    for (unsigned i = 0; i < STEPS; i++) {
        heap_test_step(slots, SLOTS, 40000);
        if (i % (STEPS / 3) == STEPS / 3 - 1)
            expect_region_is_right();
    }
    heap_test_free_all(slots, SLOTS);
    bh_release_pages();
    expect_region_is_right();
    bh_heap_verify();
}

/* ---- collected objects ---- */

TEST_ALONE(sanitize_collected_objects_are_open_to_the_byte)
{
    begin();
    for (size_t bytes = 1; bytes <= 400; bytes += 9) {
        char *object = bh_gc_alloc(bytes);
        REQUIRE(object);
        EXPECT(is_open_for(object, bytes));
        bh_gc_free(object);
        EXPECT(!kasan_is_open((uintptr_t)object));
    }
    char *large = bh_gc_alloc_noscan(LARGE_BYTES);
    REQUIRE(large);
    EXPECT(is_open_for(large, LARGE_BYTES));
    bh_gc_free(large);
    EXPECT(!kasan_is_open((uintptr_t)large));
}

/* Several share a block; each is open, and what none has is not. */
TEST_ALONE(sanitize_tiny_objects_share_a_block)
{
    begin();
    for (size_t bytes = 1; bytes < 16; bytes++) {
        const char *object = bh_gc_alloc_noscan(bytes);
        REQUIRE(object);
        EXPECT(is_open_exactly(object, bytes, bytes));
        EXPECT(!kasan_is_open((uintptr_t)object + 16));
    }
}

#define GARBAGE 500

static uintptr_t hidden[GARBAGE]; /* addresses that the collector does not recognise */

static __attribute__((noinline)) void make_garbage(void)
{
    for (size_t i = 0; i < GARBAGE; i++)
        hidden[i] = ~(uintptr_t)bh_gc_alloc(200);
}

/* What a collection did not reach is closed when it has been swept; what it reached is open. */
TEST_ALONE(sanitize_garbage_is_closed_by_the_sweep)
{
    begin();
    char *kept = bh_gc_alloc(200);
    REQUIRE(kept);
    make_garbage();
    EXPECT(bh_gc_collect());
    while (bh_gc_work(1000)) {
    }
    size_t closed = 0;
    for (size_t i = 0; i < GARBAGE; i++)
        closed += !kasan_is_open(~hidden[i]);
    EXPECT(closed >= GARBAGE - 10); /* a few addresses may lie about on the stack */
    EXPECT(is_open_for(kept, 200));
    bh_gc_keep_alive(kept);
}
