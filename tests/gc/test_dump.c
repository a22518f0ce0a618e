/* SPDX-License-Identifier: MIT */
/*
 * bh_gc_dump(): its lines add up to what the statistics say, an object's line names what it points
 * to, it ends in bounds, and it is refused where a collection is.
 */
#include "alloc/types.h"
#include "gc/stop.h"
#include "kernel-lib/string.h"
#include "tests/gc/gc_test.h"
#include <bareheap/alloc.h>

#define LINE_BYTES 256
#define PAGE       ((uint64_t)PAGE_BYTES)

/* What a dump says, added up from its lines. Written in a stop: no allocation. */
struct seen {
    uint64_t lines;
    uint64_t span_pages, free_pages, unbacked_pages, own_pages;
    uint64_t manual_objs, manual_bytes, collected_objs, collected_bytes;
    uint64_t objs;         /* lines of the graph */
    uint64_t region_bytes; /* of its lines */
    uint64_t totals[8];
    uint64_t stats[7];
    uint64_t end; /* the last line's figure */
    uintptr_t last_object;
    uintptr_t object;    /* the one that a test asks about */
    uint64_t targets[4]; /* of `object`, the first */
    unsigned targets_used;
    uint64_t references; /* all of them */
    bool root_seen;      /* some root points to `object` */
    bool broken;         /* a line that is none */
};

/* The next blank-separated number of *text, which moves on. */
static uint64_t next_number(const char **text, unsigned base)
{
    uint64_t value = 0;
    while (**text == ' ')
        ++*text;
    for (; **text != ' ' && **text != '\n' && **text != '\0'; ++*text) {
        char c = **text;
        value = value * base + (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return value;
}

static void next_numbers(const char **text, uint64_t *numbers, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        numbers[i] = next_number(text, 10);
}

static bool at_end(const char *text)
{
    return *text == '\n' || *text == '\0';
}

static void see_span(struct seen *seen, const char *text)
{
    next_number(&text, 16);
    seen->span_pages += next_number(&text, 10);
    bool manual = string_after(text, " manual") != NULL;
    for (text++; *text != ' ';)
        text++;
    uint64_t fields[4]; /* class, bytes, room, used */
    next_numbers(&text, fields, 4);
    *(manual ? &seen->manual_objs : &seen->collected_objs) += fields[3];
    *(manual ? &seen->manual_bytes : &seen->collected_bytes) += fields[3] * fields[1];
    seen->broken |= fields[3] > fields[2] || !at_end(text);
}

static void see_free(struct seen *seen, const char *text)
{
    next_number(&text, 16);
    seen->free_pages += next_number(&text, 10);
    seen->unbacked_pages += next_number(&text, 10);
}

static void see_own(struct seen *seen, const char *text)
{
    next_number(&text, 16);
    seen->own_pages += next_number(&text, 10);
}

static void see_region(struct seen *seen, const char *text)
{
    next_number(&text, 16);
    seen->region_bytes += next_number(&text, 10);
}

static void see_object(struct seen *seen, const char *text)
{
    uintptr_t base = next_number(&text, 16);
    seen->objs += base != seen->last_object; /* a long list has several lines */
    seen->last_object = base;
    for (; base == seen->object && !at_end(text); seen->references++) {
        uint64_t target = next_number(&text, 16);
        if (seen->targets_used < 4)
            seen->targets[seen->targets_used++] = target;
    }
}

static void see_roots(struct seen *seen, const char *text)
{
    for (text++; *text != ' ';)
        text++;
    while (!at_end(text))
        seen->root_seen |= next_number(&text, 16) == seen->object;
}

static void see_totals(struct seen *seen, const char *text)
{
    next_numbers(&text, seen->totals, 8);
}

static void see_stats(struct seen *seen, const char *text)
{
    next_numbers(&text, seen->stats, 7);
}

static void see_end(struct seen *seen, const char *text)
{
    seen->end = next_number(&text, 10);
}

static void see_nothing(struct seen *seen, const char *text)
{
    (void)seen;
    (void)text;
}

static const struct {
    const char *word;
    void (*see)(struct seen *seen, const char *text);
} words[] = {
    {"hd span", see_span},     {"hd free", see_free},     {"hd own", see_own},
    {"hd region", see_region}, {"hd obj", see_object},    {"hd roots", see_roots},
    {"hd totals", see_totals}, {"hd stats", see_stats},   {"hd end", see_end},
    {"hd gc", see_nothing},    {"hd cut 0", see_nothing}, {"hd bareheap 1 8192", see_nothing},
};

/* bh_gc_dump() writes whole lines. */
static void see(const char *text, size_t bytes, void *arg)
{
    struct seen *seen = arg;
    char line[LINE_BYTES] = "";
    bool known = false;
    for (size_t i = 0; i < bytes && i < sizeof(line) - 1; i++)
        line[i] = text[i];
    seen->lines++;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && !known; i++) {
        const char *rest = string_after(line, words[i].word);
        known = rest != NULL;
        if (known)
            words[i].see(seen, rest);
    }
    seen->broken |= !known || bytes == 0 || bytes >= LINE_BYTES || text[bytes - 1] != '\n';
}

static void expect_sums(const struct seen *seen)
{
    const uint64_t sums[8] = {seen->span_pages,     seen->free_pages,     seen->unbacked_pages,
                              seen->own_pages,      seen->manual_objs,    seen->manual_bytes,
                              seen->collected_objs, seen->collected_bytes};
    for (unsigned i = 0; i < 8; i++)
        EXPECT_EQ(seen->totals[i], sums[i]);
    EXPECT_EQ(seen->end, seen->lines);
    EXPECT(!seen->broken);
}

/* heap_bytes counts spans and our own pages but not those with metadata cells; what of a region is
 * no page is metadata. */
static void expect_stats(const struct seen *seen, const struct bh_stats *stats)
{
    uint64_t pages = seen->span_pages + seen->free_pages + seen->own_pages;
    EXPECT_EQ(seen->region_bytes, stats->region_bytes);
    EXPECT_EQ(seen->free_pages * PAGE, stats->free_page_bytes);
    EXPECT_EQ(seen->unbacked_pages * PAGE, stats->released_bytes);
    uint64_t reserved = stats->region_bytes - pages * PAGE;
    uint64_t cells = stats->metadata_bytes - reserved;
    EXPECT_EQ((seen->span_pages + seen->own_pages) * PAGE - cells, stats->heap_bytes);
    EXPECT_EQ(seen->manual_bytes, stats->manual_bytes + stats->cached_bytes);
    EXPECT(seen->collected_bytes <= stats->collected_bytes);
    EXPECT_EQ(seen->stats[0], stats->region_bytes);
    EXPECT_EQ(seen->stats[2], stats->heap_bytes);
}

TEST(dump_totals_are_the_statistics)
{
    struct seen seen = {0};
    struct bh_stats stats;
    void *manual[3];
    test_begin();
    uint64_t magic = test_magic();
    struct node *kept = NULL;
    for (unsigned i = 0; i < 1000; i++) {
        struct node *node = test_node(magic, i);
        node->left = kept;
        kept = i % 3 ? node : kept;
    }
    for (unsigned i = 0; i < 3; i++)
        manual[i] = bh_malloc((size_t)100 << 5 * i);
    void *large = bh_gc_alloc_noscan(200000);
    test_collect();
    bh_drain();
    REQUIRE(bh_gc_dump(see, &seen));
    bh_get_stats(&stats);
    expect_sums(&seen);
    expect_stats(&seen, &stats);
    EXPECT_EQ(seen.objs, seen.collected_objs); /* none was left out */
    for (unsigned i = 0; i < 3; i++)
        bh_free(manual[i]);
    bh_gc_keep_alive(large);
    bh_gc_keep_alive(kept);
}

TEST(dump_names_what_an_object_points_to)
{
    static struct node *root;
    struct seen seen = {0};
    test_begin();
    root = test_node(test_magic(), 0);
    root->left = test_node(test_magic(), 1);
    root->right = (struct node *)((char *)test_node(test_magic(), 2) + 5); /* inside it */
    EXPECT(bh_gc_add_root(&root, &root + 1));
    seen.object = (uintptr_t)root;
    test_collect(); /* what other tests left would use the items up */
    EXPECT(bh_gc_dump(see, &seen));
    EXPECT(seen.root_seen);
    EXPECT_EQ(seen.targets_used, 2);
    EXPECT_EQ(seen.targets[0], (uintptr_t)root->left);
    EXPECT_EQ(seen.targets[1], (uintptr_t)root->right - 5);
    EXPECT(bh_gc_remove_root(&root));
    root = NULL;
}

struct pair {
    uintptr_t number;
    struct node *node;
};
static BH_GC_TYPE(pair_type, struct pair, BH_GC_POINTER(struct pair, node));

TEST(dump_shows_only_the_pointers_of_a_type)
{
    static struct pair *root;
    struct seen seen = {0};
    test_begin();
    root = bh_gc_alloc_typed_array(&pair_type, 2);
    REQUIRE(root != NULL);
    root[1].node = test_node(test_magic(), 1);
    root[1].number = root[0].number = (uintptr_t)test_node(test_magic(), 2);
    seen.object = (uintptr_t)root;
    test_collect(); /* what other tests left would use the items up */
    EXPECT(bh_gc_dump(see, &seen));
    EXPECT_EQ(seen.targets_used, 1);
    EXPECT_EQ(seen.targets[0], (uintptr_t)root[1].node);
    expect_sums(&seen);
    root = NULL;
}

/* Thousands of references in one object: its line is wrapped and loses nothing. */
TEST(dump_wraps_long_lists)
{
    enum { COUNT = 3000 };
    static struct node **table;
    struct seen seen = {0};
    test_begin();
    uint64_t magic = test_magic();
    table = bh_gc_alloc(COUNT * sizeof(*table));
    REQUIRE(table != NULL);
    for (size_t i = 0; i < COUNT; i++)
        table[i] = test_node(magic, i);
    seen.object = (uintptr_t)table;
    test_collect();
    EXPECT(bh_gc_dump(see, &seen));
    EXPECT_EQ(seen.references, COUNT);
    expect_sums(&seen);
    table = NULL;
}

TEST(dump_goes_to_the_log)
{
    test_begin();
    struct node *node = test_node(test_magic(), 0);
    test_collect();
    EXPECT(bh_gc_dump(NULL, NULL));
    bh_gc_keep_alive(node);
}

TEST(dump_is_refused_with_interrupts_off)
{
    struct seen seen = {0};
    test_begin();
    EXPECT(bh_gc_alloc(32) != NULL);
    uintptr_t irq = arch_irq_save();
    EXPECT(!bh_gc_dump(see, &seen));
    arch_irq_restore(irq);
    EXPECT_EQ(seen.lines, 0);
}
