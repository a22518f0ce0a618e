/* SPDX-License-Identifier: MIT */
/*
 * bh_init(), bh_add_region(), bh_add_region_with(): bad memory maps, odd ones, growing ones. Each
 * case has a boot of its own, since there is one heap per image.
 */
#include "alloc/page_heap.h"
#include "arch/arch.h"
#include "kernel-lib/memory.h"
#include "kernel-lib/string.h"
#include "tests/unit/heap_test.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* A port that hands over `wanted_base` when asked, once. */
static void *wanted_base;
static size_t wanted_bytes;
static unsigned wanted_calls;

bool bh_port_pages_wanted(size_t bytes)
{
    (void)bytes;
    if (!wanted_base || atomic_add_relaxed(&wanted_calls, 1) > 0) /* only the first one counts */
        return false;
    return bh_add_region(wanted_base, wanted_bytes) == BH_OK;
}

/* ---- what is refused ---- */

TEST(region_status_in_words)
{
    static const char *const texts[] = {
        [BH_OK] = "ok",
        [BH_NO_REGION] = "no region of memory was given",
        [BH_NULL_REGION] = "a region starts at address 0 or wraps around the address space",
        [BH_TOO_SMALL] = "a region has no room for its metadata and a page of 8 KiB",
        [BH_UNALIGNED] = "a region's start is not a multiple of 16",
        [BH_OVERLAP] = "two regions share memory",
        [BH_TOO_MANY_REGIONS] = "more regions than BH_MAX_REGIONS",
        [BH_TOO_MANY_CORES] = "bh_port_core_count() is 0 or more than BH_MAX_CORES",
        [BH_TOO_FAR] = "regions lie too far apart for one page map",
        [BH_TWICE] = "bh_init() was called before",
        [BH_NOT_INIT] = "bh_add_region() was called before bh_init()",
    };
    for (int i = BH_OK; i <= BH_NOT_INIT; i++)
        EXPECT(string_equal(bh_status_text((enum bh_status)i), texts[i]));
    EXPECT(string_equal(bh_status_text((enum bh_status)(BH_NOT_INIT + 1)), "unknown status"));
    EXPECT(string_equal(bh_status_text((enum bh_status) - 1), "unknown status"));
}

struct bad_map {
    enum bh_status status;
    size_t count;
    struct bh_region regions[3];
};

static void expect_refused(const struct bad_map *map)
{
    EXPECT_EQ(bh_init(map->regions, map->count), map->status);
    EXPECT_EQ(page_heap.regions_count, 0);
    EXPECT(!bh_malloc(8));
}

/* None of these is touched, so the addresses need not exist. */
TEST_ALONE(region_bad_maps_leave_no_trace)
{
    char *ram = heap_test_ram(4 * MIB);
    char *top = (char *)(UINTPTR_MAX - 64 * KIB + 1);
    const struct bad_map maps[] = {
        {BH_NO_REGION, 0, {{ram, MIB, false, false}}},
        {BH_NULL_REGION, 1, {{NULL, MIB, false, false}}},
        {BH_NULL_REGION, 1, {{top, 128 * KIB, false, false}}},
        {BH_NULL_REGION, 1, {{ram, SIZE_MAX, false, false}}},
        {BH_NULL_REGION, 2, {{ram, MIB, false, false}, {NULL, MIB, false, false}}},
        {BH_UNALIGNED, 1, {{ram + 8, MIB, false, false}}},
        {BH_UNALIGNED, 2, {{ram, MIB, false, false}, {ram + MIB + 1, MIB, false, false}}},
        {BH_TOO_SMALL, 1, {{ram, 0, false, false}}},
        {BH_TOO_SMALL, 1, {{ram, 4 * KIB, false, false}}},
        {BH_TOO_SMALL, 1, {{ram, 8 * KIB, false, false}}},
        {BH_TOO_SMALL, 1, {{ram + 16, 16 * KIB - 32, false, false}}},
        {BH_OVERLAP, 2, {{ram, MIB, false, false}, {ram, MIB, false, false}}},
        {BH_OVERLAP, 2, {{ram, MIB, false, false}, {ram + MIB - 16, MIB, false, false}}},
        {BH_OVERLAP, 2, {{ram + MIB, MIB, false, false}, {ram, MIB + 1, false, false}}},
        {BH_OVERLAP,
         3,
         {{ram, MIB, false, false},
          {ram + 2 * MIB, MIB, false, false},
          {ram, 64 * KIB, false, false}}},
        {BH_OVERLAP, 2, {{ram, 2 * MIB, false, false}, {ram + MIB, 64 * KIB, false, false}}},
        {BH_TOO_FAR, 2, {{ram, MIB, false, false}, {ram + ((size_t)1 << 40), MIB, false, false}}},
    };
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
        expect_refused(&maps[i]);
    EXPECT_EQ(bh_init(NULL, 1), BH_NO_REGION);
    EXPECT_EQ(bh_add_region(ram, MIB), BH_NOT_INIT);
    EXPECT_EQ(bh_add_region_with(&maps[0].regions[0]), BH_NOT_INIT);
    EXPECT_EQ(bh_add_region_with(NULL), BH_NOT_INIT);
    heap_test_init(4 * MIB);
    void *object = bh_malloc(100);
    EXPECT(object);
    bh_free(object);
    bh_heap_verify();
}

TEST_ALONE(region_too_many_are_refused)
{
    struct bh_region regions[BH_MAX_REGIONS + 1];
    char *ram = heap_test_ram(8 * MIB);
    for (size_t i = 0; i <= BH_MAX_REGIONS; i++)
        regions[i] = (struct bh_region){.base = ram + i * 68 * KIB, .bytes = 64 * KIB};
    EXPECT_EQ(bh_init(regions, BH_MAX_REGIONS + 1), BH_TOO_MANY_REGIONS);
    EXPECT_EQ(bh_init(regions, BH_MAX_REGIONS), BH_OK);
    EXPECT_EQ(page_heap.regions_count, BH_MAX_REGIONS);
    EXPECT_EQ(bh_add_region(regions[BH_MAX_REGIONS].base, 64 * KIB), BH_TOO_MANY_REGIONS);
    EXPECT_EQ(bh_add_region_with(&regions[BH_MAX_REGIONS]), BH_TOO_MANY_REGIONS);
    bh_heap_verify();
}

TEST_ALONE(region_bad_additions_leave_no_trace)
{
    char *ram = heap_test_ram(8 * MIB);
    struct bh_region region = {.base = ram + 4 * MIB, .bytes = MIB};
    REQUIRE(bh_init(&region, 1) == BH_OK);
    EXPECT_EQ(bh_init(&region, 1), BH_TWICE);
    EXPECT_EQ(bh_init(NULL, 0), BH_TWICE);
    EXPECT_EQ(bh_add_region(NULL, MIB), BH_NULL_REGION);
    EXPECT_EQ(bh_add_region(ram, SIZE_MAX), BH_NULL_REGION);
    EXPECT_EQ(bh_add_region(ram + 1, MIB), BH_UNALIGNED);
    EXPECT_EQ(bh_add_region(ram, 4 * KIB), BH_TOO_SMALL);
    EXPECT_EQ(bh_add_region(ram + 4 * MIB, MIB), BH_OVERLAP);
    EXPECT_EQ(bh_add_region(ram + 4 * MIB - 16, 64 * KIB), BH_OVERLAP);
    EXPECT_EQ(bh_add_region(ram + 5 * MIB - 16, 64 * KIB), BH_OVERLAP);
    EXPECT_EQ(bh_add_region(ram + 4 * MIB + 64 * KIB, 64 * KIB), BH_OVERLAP);
    EXPECT_EQ(bh_add_region(ram, 8 * MIB), BH_OVERLAP);
    EXPECT_EQ(bh_add_region(ram + ((size_t)1 << 40), MIB), BH_TOO_FAR);
    EXPECT_EQ(page_heap.regions_count, 1);
    EXPECT_EQ(page_heap.region_bytes, MIB);
    bh_heap_verify();
}

/* What is known of the memory does not change what is refused. */
TEST_ALONE(region_bad_additions_with_all_that_is_known)
{
    char *ram = heap_test_ram(8 * MIB);
    struct bh_region region = {.base = ram + 4 * MIB, .bytes = MIB};
    REQUIRE(bh_init(&region, 1) == BH_OK);
    const struct bad_map additions[] = {
        {BH_NULL_REGION, 1, {{NULL, MIB, true, true}}},
        {BH_NULL_REGION, 1, {{ram, SIZE_MAX, true, true}}},
        {BH_UNALIGNED, 1, {{ram + 8, MIB, true, true}}},
        {BH_TOO_SMALL, 1, {{ram, 4 * KIB, true, true}}},
        {BH_OVERLAP, 1, {{ram + 5 * MIB - 16, 64 * KIB, true, true}}},
        {BH_OVERLAP, 1, {{ram, 8 * MIB, true, false}}},
        {BH_TOO_FAR, 1, {{ram + ((size_t)1 << 40), MIB, true, true}}},
    };
    EXPECT_EQ(bh_add_region_with(NULL), BH_NULL_REGION);
    for (size_t i = 0; i < sizeof(additions) / sizeof(additions[0]); i++)
        EXPECT_EQ(bh_add_region_with(additions[i].regions), additions[i].status);
    EXPECT_EQ(page_heap.regions_count, 1);
    EXPECT_EQ(page_heap.region_bytes, MIB);
    bh_heap_verify();
}

/* ---- odd ones ---- */

/* The pages that a region has room for behind its records; a search from above. */
static size_t pages_expected(uintptr_t base, size_t bytes)
{
    uintptr_t records = bits_round_up(base, 64);
    for (size_t pages = bytes >> PAGE_SHIFT; pages > 0; pages--) {
        uintptr_t first = bits_round_up(records + pages * sizeof(struct bh_span), PAGE_BYTES);
        if (first + (pages << PAGE_SHIFT) <= base + bytes)
            return pages;
    }
    return 0;
}

static void add_odd_region(char *base, size_t bytes)
{
    size_t expected = pages_expected((uintptr_t)base, bytes);
    size_t count = page_heap.regions_count;
    enum bh_status status = bh_add_region(base, bytes);
    if (!EXPECT_EQ(status, expected ? BH_OK : BH_TOO_SMALL))
        harness_note("region %p, %zu bytes: %s", (void *)base, bytes, bh_status_text(status));
    if (status == BH_OK)
        EXPECT_EQ(page_heap.regions[count].pages, expected);
    bh_heap_verify();
}

TEST_ALONE(region_of_odd_start_and_length)
{
    char *ram = heap_test_ram(8 * MIB);
    struct bh_region hull[2] = {{.base = ram, .bytes = MIB}, {.base = ram + 7 * MIB, .bytes = MIB}};
    REQUIRE(bh_init(hull, 2) == BH_OK);
    char *base = ram + MIB;
    while (page_heap.regions_count < BH_MAX_REGIONS) {
        base += harness_random_below(600) * 16;
        size_t bytes = PAGE_BYTES + harness_random_below(40 * KIB);
        add_odd_region(base, bytes);
        base = (char *)bits_round_up((uintptr_t)base + bytes, 16);
    }
    EXPECT(base <= ram + 7 * MIB);
    struct bh_stats stats;
    bh_get_stats(&stats);
    EXPECT_EQ(stats.region_bytes, stats.metadata_bytes + stats.free_page_bytes);
}

/* Every start and every length around the smallest that do: right answers, no page too many. */
TEST_ALONE(region_at_the_edge_of_too_small)
{
    heap_test_init(MIB);
    char *ram = heap_test_ram(2 * MIB) + MIB;
    for (size_t offset = 0; offset < PAGE_BYTES; offset += 16 * 37)
        for (size_t bytes = PAGE_BYTES; bytes <= 3 * PAGE_BYTES; bytes += 61)
            if (pages_expected((uintptr_t)ram + offset, bytes) == 0)
                EXPECT(bh_add_region(ram + offset, bytes) != BH_OK);
    EXPECT_EQ(page_heap.regions_count, 1);
}

static size_t fill_with(size_t bytes, void **first)
{
    size_t count = 0;
    *first = NULL;
    for (void **object; (object = bh_malloc(bytes)) != NULL; count++) {
        *object = *first;
        *first = object;
    }
    return count;
}

static void free_chain(void *first)
{
    while (first) {
        void *next = *(void **)first;
        bh_free(first);
        first = next;
    }
}

TEST_ALONE(region_many_small_ones_are_all_used)
{
    struct bh_region regions[BH_MAX_REGIONS];
    char *ram = heap_test_ram(8 * MIB);
    for (size_t i = 0; i < BH_MAX_REGIONS; i++) {
        size_t at = (i * 7 + 3) % BH_MAX_REGIONS; /* in no order */
        regions[i] = (struct bh_region){.base = ram + at * 68 * KIB, .bytes = 64 * KIB};
    }
    REQUIRE(bh_init(regions, BH_MAX_REGIONS) == BH_OK);
    struct bh_stats before = heap_test_stats();
    EXPECT(before.free_page_bytes >= BH_MAX_REGIONS * 7 * PAGE_BYTES - PAGE_BYTES);
    void *first;
    size_t count = fill_with(2000, &first);
    EXPECT(count * 2000 >= BH_MAX_REGIONS * 48 * KIB);
    bh_heap_verify();
    free_chain(first);
    EXPECT_EQ(heap_test_stats().heap_bytes, 0);
    bh_heap_verify();
}

/* "Every byte is known to be zero" saves clearing it, until it has been used. */
TEST_ALONE(region_known_to_be_zero)
{
    char *ram = heap_test_ram(2 * MIB);
    memset(ram, 0, 2 * MIB);
    struct bh_region region = {.base = ram, .bytes = 2 * MIB, .zeroed = true};
    REQUIRE(bh_init(&region, 1) == BH_OK);
    for (unsigned round = 0; round < 3; round++) {
        char *large = bh_calloc(1, 300 * KIB);
        char *small = bh_calloc(1, 3000);
        REQUIRE(large && small);
        EXPECT(memory_is_filled(large, 0, 300 * KIB));
        EXPECT(memory_is_filled(small, 0, 3000));
        memset(large, 0xcc, 300 * KIB);
        memset(small, 0xcc, 3000);
        large = bh_realloc(large, 600 * KIB); /* grows into pages that are still zero */
        REQUIRE(large);
        memset(large, 0xcc, 600 * KIB);
        bh_free(large);
        bh_free(small);
    }
    bh_heap_verify();
}

/* A byte of the record of a page in the middle of a region of `bytes` bytes inside the hull. */
static char *middle_record(char *base, size_t bytes)
{
    return base + pages_expected((uintptr_t)base, bytes) / 2 * sizeof(struct bh_span);
}

/* Nothing is written where nothing needs to be: a byte that is not zero, where zero was promised,
 * is still there. Where nothing is promised, it is cleared. */
TEST_ALONE(region_added_as_zero_is_not_cleared)
{
    char *ram = heap_test_ram(8 * MIB);
    struct bh_region hull[2] = {{.base = ram, .bytes = MIB}, {.base = ram + 7 * MIB, .bytes = MIB}};
    struct bh_region zeroed = {.base = ram + MIB, .bytes = 3 * MIB, .zeroed = true};
    char *unknown = ram + 4 * MIB;
    REQUIRE(bh_init(hull, 2) == BH_OK);
    memset(zeroed.base, 0, zeroed.bytes);
    char *in_zeroed = middle_record(zeroed.base, zeroed.bytes);
    char *in_unknown = middle_record(unknown, 3 * MIB);
    *in_zeroed = 1;
    *in_unknown = 1;
    EXPECT_EQ(bh_add_region_with(&zeroed), BH_OK);
    EXPECT_EQ(bh_add_region(unknown, 3 * MIB), BH_OK);
    EXPECT_EQ(*in_zeroed, 1);
    EXPECT_EQ(*in_unknown, 0);
    *in_zeroed = 0;
    char *object = bh_calloc(1, 2 * MIB);
    REQUIRE(object);
    EXPECT(object >= ram + MIB && object < ram + 4 * MIB); /* the lower of two that are alike */
    EXPECT(memory_is_filled(object, 0, 2 * MIB));
    bh_free(object);
    bh_heap_verify();
}

/* What was never touched has no memory behind it: there is nothing to release. */
TEST_ALONE(region_added_as_virgin_is_as_good_as_released)
{
    char *ram = heap_test_ram(8 * MIB);
    struct bh_region first = {.base = ram, .bytes = 2 * MIB};
    struct bh_region virgin = {ram + 2 * MIB, 6 * MIB, .zeroed = true, .virgin = true};
    REQUIRE(bh_init(&first, 1) == BH_OK);
    bh_release_pages();
    memset(virgin.base, 0, virgin.bytes);
    EXPECT_EQ(bh_add_region_with(&virgin), BH_OK);
    struct bh_stats stats = heap_test_stats();
    EXPECT(stats.free_page_bytes > 7 * MIB);
    EXPECT_EQ(stats.released_bytes, stats.free_page_bytes);
    EXPECT_EQ(bh_release_pages(), 0);
    void *object = bh_malloc(3 * MIB);
    REQUIRE(object);
    bh_free(object);
    EXPECT(bh_release_pages() >= 3 * MIB);
    bh_heap_verify();
}

TEST_ALONE(region_metadata_is_little)
{
    static const size_t sizes[] = {16 * MIB, 32 * MIB, 64 * MIB + 12345};
    heap_test_init(16 * MIB);
    for (size_t i = 1; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *next = heap_test_ram(128 * MIB) + page_heap.region_bytes;
        next = (char *)bits_round_up((uintptr_t)next, 16);
        EXPECT_EQ(bh_add_region(next, sizes[i]), BH_OK);
        struct bh_stats stats;
        bh_get_stats(&stats);
        EXPECT(stats.metadata_bytes * 1000 <= stats.region_bytes * 16); /* 1.6 % */
    }
    bh_heap_verify();
}

/* ---- small heaps ---- */

static void churn_at_will(void *arg)
{
    struct heap_test_object slots[16] = {{0}};
    const size_t *most = arg;
    for (unsigned i = 0; i < 1500; i++)
        heap_test_step(slots, 16, *most);
    heap_test_free_all(slots, 16);
}

static void expect_small_heap_works(size_t bytes, size_t most)
{
    heap_test_init(bytes);
    struct bh_stats before = heap_test_stats();
    heap_test_on_all_cores(churn_at_will, &most);
    bh_heap_verify();
    struct bh_stats after = heap_test_stats();
    EXPECT_EQ(after.manual_objects, 0);
    EXPECT_EQ(after.heap_bytes, 0);
    /* In a crowded heap a page for metadata lies wherever one was free. */
    EXPECT_EQ(after.free_page_bytes + after.metadata_bytes,
              before.free_page_bytes + before.metadata_bytes);
    bh_heap_verify();
}

TEST_ALONE(region_of_64_kib_serves_all_cores)
{
    expect_small_heap_works(64 * KIB, 3000);
}

TEST_ALONE(region_of_32_kib_is_enough)
{
    expect_small_heap_works(32 * KIB, 200);
}

TEST_ALONE(region_of_1_mib_serves_all_cores)
{
    expect_small_heap_works(MIB, 20000);
    /* Nobody's cache may starve the others: each core gets a fair object after all that. */
    void *object = bh_malloc(512 * KIB);
    EXPECT(object);
    bh_free(object);
}

/* ---- growing heaps ---- */

static uint32_t adding; /* cores churn as long as it is set */

static void churn_while_adding(void *arg)
{
    struct heap_test_object slots[64] = {{0}};
    (void)arg;
    /* Relaxed: when it ends does not matter. */
    while (atomic_load_relaxed(&adding)) {
        for (unsigned i = 0; i < 50; i++)
            heap_test_step(slots, 64, 60000);
        board_yield();
    }
    heap_test_free_all(slots, 64);
}

/* Inside the hull, next to it on both sides, far from it: each while the others use the heap. */
TEST_ALONE(region_added_while_others_allocate)
{
    char *ram = heap_test_ram(32 * MIB);
    struct bh_region first[2] = {{.base = ram + 12 * MIB, .bytes = 2 * MIB},
                                 {.base = ram + 16 * MIB, .bytes = 2 * MIB}};
    static const struct {
        size_t mib, kib;
    } added[] = {{15, 500}, {14, 1024}, {18, 1024}, {10, 2048}, {24, 4096}, {0, 4096}, {19, 3072}};
    REQUIRE(bh_init(first, 2) == BH_OK);
    adding = 1;
    for (unsigned core = 1; core < board_cores(); core++)
        board_start(core, churn_while_adding, NULL);
    static struct heap_test_object mine[100];
    for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++) {
        for (unsigned j = 0; j < 300; j++)
            heap_test_step(mine, 100, 60000);
        EXPECT_EQ(bh_add_region(ram + added[i].mib * MIB, added[i].kib * KIB), BH_OK);
    }
    atomic_store_relaxed(&adding, 0); /* as above */
    for (unsigned core = 1; core < board_cores(); core++)
        board_wait(core);
    bh_heap_verify();
    heap_test_free_all(mine, 100);
    EXPECT_EQ(heap_test_stats().heap_bytes, 0);
    EXPECT_EQ(page_heap.regions_count, 9);
    bh_heap_verify();
}

static void add_my_region(void *arg)
{
    char *ram = arg;
    for (size_t i = 0; i < 4 && bh_port_core() < 4; i++)
        EXPECT_EQ(bh_add_region(ram + (bh_port_core() * 4 + i) * 256 * KIB, 256 * KIB), BH_OK);
}

TEST_ALONE(region_added_by_several_cores_at_once)
{
    char *ram = heap_test_ram(8 * MIB);
    struct bh_region first = {.base = ram + 4 * MIB, .bytes = 4 * MIB};
    REQUIRE(bh_init(&first, 1) == BH_OK);
    heap_test_on_all_cores(add_my_region, ram);
    size_t adders = board_cores() < 4 ? board_cores() : 4;
    EXPECT_EQ(page_heap.regions_count, 1 + 4 * adders);
    bh_heap_verify();
}

/* A kernel that hands over memory bit by bit, each bit next to the last. */
TEST_ALONE(region_grows_in_small_steps)
{
    char *ram = heap_test_ram(32 * MIB);
    struct bh_region first = {.base = ram, .bytes = 16 * MIB};
    REQUIRE(bh_init(&first, 1) == BH_OK);
    for (size_t i = 0; i < 16; i++)
        EXPECT_EQ(bh_add_region(ram + (16 + i) * MIB, MIB), BH_OK);
    bh_heap_verify();
}

TEST_ALONE(region_handed_over_when_wanted)
{
    heap_test_init(MIB);
    wanted_base = heap_test_ram(4 * MIB) + 2 * MIB;
    wanted_bytes = 2 * MIB;
    void *object = bh_malloc(1500 * KIB);
    REQUIRE(object);
    EXPECT_EQ(wanted_calls, 1);
    EXPECT_EQ(page_heap.regions_count, 2);
    EXPECT(!bh_malloc(1500 * KIB));
    bh_free(object);
    bh_heap_verify();
}

TEST_ALONE(region_is_not_wanted_with_interrupts_off)
{
    heap_test_init(MIB);
    wanted_base = heap_test_ram(4 * MIB) + 2 * MIB;
    wanted_bytes = 2 * MIB;
    uintptr_t irq = arch_irq_save();
    EXPECT(!bh_malloc(1500 * KIB));
    arch_irq_restore(irq);
    EXPECT_EQ(wanted_calls, 0);
}
