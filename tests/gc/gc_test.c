/* SPDX-License-Identifier: MIT */
/*
 * Helpers of the collector's tests: see gc_test.h.
 *
 * How a test sees that an object is gone: its address is kept complemented, and asked for in the
 * allocator's bitmap after the sweep. How many are gone: by a random first word.
 */
#include "tests/gc/gc_test.h"
#include "alloc/walk.h"
#include "gc/mark.h"
#include "gc/pace.h"
#include "gc/stop.h"
#include "kernel-lib/check.h"
#include "kernel-lib/string.h"

#define WIPE_BYTES   6144
#define HOARD_BLOCKS 512

/* Runs shorter than this are left; a debug build needs a little more than what is asked for. */
#define HOARD_LEAST_BYTES ((size_t)128 << 10)
#define HOARD_SLACK_BYTES ((size_t)16 << 10)

static void *hoard[HOARD_BLOCKS];
static size_t hoard_used;

void test_begin(void)
{
    harness_heap();
    bh_gc_set_percent(100);
    bh_gc_set_limit(SIZE_MAX);
    pace_set_period_ns(PACE_PERIOD_NS);
    mark_set_queue_pages(SIZE_MAX);
    stop_set_timeout_ns(BH_STOP_TIMEOUT_NS * 8); /* a machine under load is no reason to fail */
}

uint64_t test_magic(void)
{
    return harness_random() | 1u << 31; /* never 0 */
}

struct node *test_node(uint64_t magic, uint64_t value)
{
    struct node *node = bh_gc_alloc(sizeof(*node));
    BH_CHECK(node != NULL, "test: no memory for a node");
    EXPECT(node->magic == 0 && node->left == NULL && node->right == NULL && node->value == 0);
    node->value = value;
    node->magic = magic;
    return node;
}

__attribute__((noinline)) void **test_wide_graph(uint64_t magic, size_t width)
{
    void **arrays = bh_gc_alloc(width * sizeof(*arrays));
    BH_CHECK(arrays != NULL, "test: no memory for a graph");
    for (size_t i = 0; i < width; i++) {
        void **nodes = arrays[i] = bh_gc_alloc(width * sizeof(*nodes));
        BH_CHECK(nodes != NULL, "test: no memory for a graph");
        for (size_t j = 0; j < width; j++)
            nodes[j] = test_node(magic, i * width + j);
    }
    return arrays;
}

struct count {
    uint64_t magic;
    size_t objects;
};

/* Blind: of an object of another test less than a word may have been asked for. */
static POISON_BLIND void count_one(const struct walk_object *object, void *arg)
{
    struct count *count = arg;
    count->objects += *(const uint64_t *)object->base == count->magic; /* NOLINT */
}

size_t test_count(uint64_t magic)
{
    struct count count = {magic, 0};
    walk_each_object(count_one, &count);
    return count.objects;
}

bool test_is_alive(uintptr_t hidden)
{
    struct walk_object object;
    return walk_find(~hidden, &object);
}

__attribute__((noinline)) void test_wipe_stack(void)
{
    volatile uint64_t words[WIPE_BYTES / sizeof(uint64_t)];
    for (size_t i = 0; i < WIPE_BYTES / sizeof(uint64_t); i++)
        words[i] = 0;
    (void)words[0];
}

/* Out of line: leaves none of what it sees in the caller's frame. */
__attribute__((noinline)) void test_drop_list(void *first, size_t next_at)
{
    for (char *object = first; object != NULL;) {
        char **next = (char **)(void *)(object + next_at);
        object = *next;
        *next = NULL;
    }
}

void test_collect(void)
{
    test_wipe_stack();
    EXPECT(bh_gc_collect());
}

uint64_t test_cycles(void)
{
    struct bh_gc_stats stats;
    bh_gc_get_stats(&stats);
    return stats.cycles;
}

uint64_t test_abandoned(void)
{
    struct bh_gc_stats stats;
    bh_gc_get_stats(&stats);
    return stats.abandoned_cycles;
}

bool test_is_emulated(void)
{
    return !string_equal(board_name(), "host");
}

unsigned test_rounds(unsigned rounds)
{
    return test_is_emulated() ? (rounds + 7) / 8 : rounds;
}

/* What is to be left is taken first and given back last, so that it is in one piece. */
void test_take_memory(size_t bytes)
{
    struct bh_stats stats;
    void *left = bh_malloc(bytes);
    EXPECT(left != NULL);
    while (hoard_used < HOARD_BLOCKS) {
        bh_get_stats(&stats);
        if (stats.largest_run_bytes < HOARD_LEAST_BYTES)
            break;
        hoard[hoard_used] = bh_malloc(stats.largest_run_bytes - HOARD_SLACK_BYTES);
        if (!EXPECT(hoard[hoard_used++] != NULL))
            break;
    }
    bh_free(left);
}

void test_give_memory(void)
{
    while (hoard_used > 0) {
        bh_free(hoard[--hoard_used]);
        hoard[hoard_used] = NULL; /* or it keeps alive what is there next */
    }
}
