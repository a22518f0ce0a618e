/* SPDX-License-Identifier: MIT */
/*
 * The graph and the table: see oracle.h.
 *
 * Locks: an edge's word and its line in the table are written under edge_locks[] of its node; words
 * are read without, with acquire, as a node is written before an edge leads to it. All else
 * of an entry is written by the core that has the part of the table, while nobody knows the node,
 * or at a barrier.
 */
#include "tests/gc/oracle.h"
#include "alloc/walk.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/spinlock.h"
#include "tests/gc/gc_test.h"
#include <bareheap/port.h>

#define NODES      4096
#define EDGE_LOCKS 8
#define WALK_STEPS 12

/* What is between a node's first word and its end, besides edges and decoy. */
#define PATTERN 0xf5a3c71900000000u

enum shape { SHAPE_SCAN, SHAPE_NOSCAN, SHAPE_TYPED, SHAPE_ARRAY, SHAPE_TAIL, SHAPES };

struct entry {
    uintptr_t hidden; /* the node's address, complemented; 0: there is none */
    uintptr_t decoy;  /* its decoy word, complemented */
    uint32_t generation;
    uint32_t bytes;
    uint32_t edges_at; /* offset; 0: no edges */
    uint32_t decoy_at; /* likewise */
    uint32_t edges[ORACLE_EDGES];
    bool reached;
};

static const size_t slots_of[ORACLE_PLACES] = {ORACLE_SLOTS, ORACLE_SLOTS, ORACLE_ROW};

struct oracle_core oracle_cores[BOARD_MAX_CORES];
static struct entry entries[NODES];
static uint32_t next_place[BOARD_MAX_CORES]; /* where each core looks for a free entry */
static unsigned sharers;
static volatile uintptr_t globals[BOARD_MAX_CORES][ORACLE_SLOTS];

#define EDGE_LOCK SPINLOCK_INIT(LOCK_TEST_LOW, "test: edges")
static struct spinlock edge_locks[EDGE_LOCKS] = {EDGE_LOCK, EDGE_LOCK, EDGE_LOCK, EDGE_LOCK,
                                                 EDGE_LOCK, EDGE_LOCK, EDGE_LOCK, EDGE_LOCK};

static BH_GC_TYPE(node_type, struct oracle_node, (uint64_t)0x1e); /* the edges: words 1 to 4 */
BH_STATIC_ASSERT(offsetof(struct oracle_node, edges) == 8 && ORACLE_EDGES == 4,
                 "node_type says where the edges are");

/* ---- names ---- */

static uint64_t tag_of(uint32_t number, uint32_t generation)
{
    return ~((uint64_t)generation << 32 | number);
}

uint32_t oracle_name(const struct oracle_node *node)
{
    return node == NULL ? 0 : (uint32_t)~node->tag + 1;
}

static struct entry *entry_of(const struct oracle_node *node)
{
    return &entries[oracle_name(node) - 1];
}

static void *word_at(const struct oracle_node *node, uint32_t offset)
{
    return (char *)(uintptr_t)node + offset;
}

static uintptr_t *edges_of(const struct oracle_node *node)
{
    return word_at(node, entry_of(node)->edges_at);
}

/* An edge points to a node's first word or to one of the bytes behind; nodes are aligned to 8. */
static struct oracle_node *target_of(uintptr_t word)
{
    return (struct oracle_node *)(word & ~(uintptr_t)7); /* NOLINT: a word is a pointer again */
}

bool oracle_has_edges(const struct oracle_node *node)
{
    return entry_of(node)->edges_at != 0;
}

/* ---- new nodes ---- */

static uint32_t random_bytes(void)
{
    static const uint32_t most[] = {64, 64, 200, 200, 200, 200, 1000, 1000, 4000, 4000};
    uint64_t die = harness_random_below(100);
    uint32_t room = die < 95 ? most[die % 10] : die < 99 ? 40000 : 400000;
    return (uint32_t)sizeof(struct oracle_node) + (uint32_t)harness_random_below(room) / 8 * 8;
}

static struct oracle_node *alloc_shape(enum shape shape, struct entry *entry)
{
    uint32_t last = entry->bytes - 8;
    entry->edges_at = entry->decoy_at = 0;
    switch (shape) {
    case SHAPE_SCAN: /* its edges at its end */
        entry->edges_at = entry->bytes - ORACLE_EDGES * 8;
        return bh_gc_alloc(entry->bytes);
    case SHAPE_NOSCAN:
        entry->decoy_at = last;
        return bh_gc_alloc_noscan(entry->bytes);
    case SHAPE_ARRAY: /* in the last element */
        entry->bytes -= entry->bytes % (uint32_t)sizeof(struct oracle_node);
        entry->decoy_at = entry->bytes - 8;
        entry->edges_at = entry->decoy_at - ORACLE_EDGES * 8;
        return bh_gc_alloc_typed_array(&node_type, entry->bytes / sizeof(struct oracle_node));
    case SHAPE_TAIL:
        entry->edges_at = offsetof(struct oracle_node, edges);
        entry->decoy_at = last;
        return bh_gc_alloc_typed_tail(&node_type, entry->bytes - sizeof(struct oracle_node));
    default:
        entry->bytes = sizeof(struct oracle_node);
        entry->edges_at = offsetof(struct oracle_node, edges);
        entry->decoy_at = offsetof(struct oracle_node, decoy);
        return bh_gc_alloc_typed(&node_type);
    }
}

/* What the word at `offset` of a node is, if it is no edge. */
static uintptr_t expected_word(const struct entry *entry, uint32_t offset)
{
    if (offset == 0)
        return tag_of((uint32_t)(entry - entries), entry->generation);
    if (offset == entry->decoy_at)
        return ~entry->decoy;
    return PATTERN | (offset ^ entry->generation << 20);
}

static bool is_edge(const struct entry *entry, uint32_t offset)
{
    return entry->edges_at != 0 && offset - entry->edges_at < ORACLE_EDGES * 8;
}

static bool fill_and_check(const struct entry *entry, struct oracle_node *node)
{
    bool zero = true;
    for (uint32_t offset = 0; offset < entry->bytes; offset += 8) {
        uintptr_t *word = word_at(node, offset);
        zero &= *word == 0;
        if (!is_edge(entry, offset))
            *word = expected_word(entry, offset);
    }
    return zero;
}

/* A free entry of this core's part: every sharers-th belongs to it. */
static struct entry *free_entry(void)
{
    unsigned core = bh_port_core();
    uint32_t places = NODES / sharers;
    for (uint32_t i = 0; i < places; i++) {
        uint32_t place = next_place[core] = (next_place[core] + 1) % places;
        struct entry *entry = &entries[place * sharers + core];
        if (entry->hidden == 0)
            return entry;
    }
    return NULL;
}

struct oracle_node *oracle_new(void)
{
    struct entry *entry = free_entry();
    if (entry == NULL)
        return NULL;
    const struct entry *other =
        &entries[harness_random_below(NODES / sharers) * sharers + bh_port_core()];
    entry->decoy = other->hidden != 0 ? other->hidden : (uintptr_t)PATTERN;
    entry->generation++;
    entry->bytes = random_bytes();
    struct oracle_node *node = alloc_shape((enum shape)harness_random_below(SHAPES), entry);
    if (!EXPECT(node != NULL))
        return NULL;
    EXPECT(fill_and_check(entry, node));
    for (size_t i = 0; i < ORACLE_EDGES; i++)
        entry->edges[i] = 0;
    entry->hidden = test_hide(node);
    return node;
}

void oracle_forget(const struct oracle_node *node)
{
    entry_of(node)->hidden = 0;
}

/* ---- edges and roots ---- */

/* One that leads nowhere, if the second try finds it. A racy look: any will do. */
static size_t free_edge(const struct oracle_node *from)
{
    size_t i = harness_random_below(ORACLE_EDGES);
    bool is_free = atomic_load_relaxed(&edges_of(from)[i]) == 0;
    return is_free ? i : harness_random_below(ORACLE_EDGES);
}

void oracle_link(struct oracle_node *from, struct oracle_node *to)
{
    struct entry *entry = entry_of(from);
    size_t i = free_edge(from);
    uintptr_t word = to == NULL ? 0 : (uintptr_t)to + harness_random_below(8);
    struct spinlock *lock = &edge_locks[oracle_name(from) % EDGE_LOCKS];
    uintptr_t irq = spinlock_acquire(lock);
    entry->edges[i] = oracle_name(to);
    atomic_store_release(&edges_of(from)[i], word); /* pairs with oracle_walk() */
    spinlock_release(lock, irq);
}

static struct oracle_core *here(void)
{
    return &oracle_cores[bh_port_core()];
}

static void set_slot(enum oracle_place place, size_t slot, const struct oracle_node *node)
{
    here()->nodes[place][slot] = oracle_name(node);
    here()->words[place][slot] = (uintptr_t)node;
}

void oracle_set_root(struct oracle_node *node)
{
    enum oracle_place place = (enum oracle_place)harness_random_below(ORACLE_PLACES);
    set_slot(place, harness_random_below(slots_of[place]), node);
}

/* The address of a node that is reachable, from the table. */
static struct oracle_node *shown(uint32_t name)
{
    return test_show(entries[name - 1].hidden);
}

void oracle_set_pin(struct oracle_node *node)
{
    uint32_t *pinned = &here()->pinned[harness_random_below(ORACLE_PINS)];
    EXPECT(bh_gc_pin(node));
    if (*pinned != 0)
        bh_gc_unpin(shown(*pinned));
    *pinned = oracle_name(node);
}

/* ---- walking ---- */

/* Its tag, and the words at both ends. */
static bool is_intact(const struct oracle_node *node)
{
    uint32_t name = oracle_name(node);
    if (name == 0 || name > NODES)
        return false;
    const struct entry *entry = &entries[name - 1];
    uint32_t last = entry->bytes - 8;
    return entry->hidden == test_hide(node) && node->tag == expected_word(entry, 0) &&
           (is_edge(entry, last) ||
            *(const uintptr_t *)word_at(node, last) == expected_word(entry, last));
}

static struct oracle_node *random_root(void)
{
    enum oracle_place place = (enum oracle_place)harness_random_below(ORACLE_PLACES);
    return target_of(here()->words[place][harness_random_below(slots_of[place])]);
}

struct oracle_node *oracle_walk(void)
{
    struct oracle_node *at = random_root();
    struct oracle_node *next = at;
    for (uint64_t steps = harness_random_below(WALK_STEPS); next != NULL; steps--) {
        at = next;
        if (!EXPECT(is_intact(at)) || steps == 0 || !oracle_has_edges(at))
            break;
        /* Acquire: pairs with oracle_link(). */
        next = target_of(atomic_load_acquire(&edges_of(at)[harness_random_below(ORACLE_EDGES)]));
    }
    return at;
}

/* ---- what is reachable ---- */

/* Entries reached whose edges have not been followed; each is here once at most. */
static struct {
    uint32_t names[NODES];
    size_t depth;
} todo;

static void reach(uint32_t name)
{
    if (name == 0 || entries[name - 1].reached)
        return;
    entries[name - 1].reached = true;
    todo.names[todo.depth++] = name;
}

static void reach_from(const struct oracle_core *core)
{
    for (size_t place = 0; place < ORACLE_PLACES; place++)
        for (size_t slot = 0; slot < slots_of[place]; slot++)
            reach(core->nodes[place][slot]);
    for (size_t i = 0; i < ORACLE_PINS; i++)
        reach(core->pinned[i]);
    reach(core->in_register);
}

static void reach_all(void)
{
    for (size_t i = 0; i < NODES; i++)
        entries[i].reached = false;
    for (unsigned core = 0; core < sharers; core++)
        reach_from(&oracle_cores[core]);
    while (todo.depth > 0) {
        const struct entry *entry = &entries[todo.names[--todo.depth] - 1];
        for (size_t i = 0; i < ORACLE_EDGES; i++)
            reach(entry->edges[i]);
    }
}

/* ---- comparing ---- */

static bool edge_is_right(const struct entry *entry, uintptr_t word, size_t i)
{
    uint32_t name = entry->edges[i];
    return name == 0 ? word == 0 : target_of(word) == shown(name);
}

static bool words_are_right(const struct entry *entry, const struct oracle_node *node)
{
    for (uint32_t offset = 0; offset < entry->bytes; offset += 8) {
        uintptr_t word = *(const uintptr_t *)word_at(node, offset);
        bool right = is_edge(entry, offset)
                         ? edge_is_right(entry, word, (offset - entry->edges_at) / 8)
                         : word == expected_word(entry, offset);
        if (!right)
            return false;
    }
    return true;
}

/* Not a word of it is read unless the collector says that it is there. */
static void check_reached(const struct entry *entry)
{
    if (EXPECT(test_is_alive(entry->hidden)))
        EXPECT(words_are_right(entry, test_show(entry->hidden)));
}

/* Its place may have been given to another node since it was collected. */
static bool is_retained(const struct entry *entry)
{
    const struct oracle_node *node = test_show(entry->hidden);
    struct walk_object object;
    return walk_find((uintptr_t)node, &object) && object.base == (uintptr_t)node &&
           node->tag == expected_word(entry, 0);
}

void oracle_check(struct oracle_tally *tally)
{
    reach_all();
    for (size_t i = 0; i < NODES; i++) {
        struct entry *entry = &entries[i];
        if (entry->hidden == 0)
            continue;
        if (entry->reached) {
            tally->reachable++;
            check_reached(entry);
            continue;
        }
        tally->dead++;
        tally->retained += is_retained(entry);
        entry->hidden = 0;
    }
}

/* ---- begin and end ---- */

void oracle_begin(unsigned cores)
{
    sharers = cores;
    for (size_t i = 0; i < NODES; i++)
        entries[i].hidden = 0;
    for (unsigned core = 0; core < cores; core++)
        oracle_cores[core] = (struct oracle_core){0};
}

void oracle_enter(volatile uintptr_t stack[ORACLE_SLOTS])
{
    struct oracle_core *core = here();
    uintptr_t *range = bh_calloc(ORACLE_ROW, sizeof(*range));
    REQUIRE(range != NULL);
    EXPECT(bh_gc_add_root(range, range + ORACLE_ROW));
    core->words[ORACLE_GLOBAL] = globals[bh_port_core()];
    core->words[ORACLE_STACK] = stack;
    core->words[ORACLE_RANGE] = range;
    for (size_t i = 0; i < ORACLE_SLOTS; i++)
        globals[bh_port_core()][i] = stack[i] = 0;
    for (size_t i = 0; i < ORACLE_ROW; i++)
        set_slot(ORACLE_RANGE, i, oracle_new());
}

void oracle_leave(void)
{
    struct oracle_core *core = here();
    uintptr_t *range = (uintptr_t *)core->words[ORACLE_RANGE];
    for (size_t i = 0; i < ORACLE_SLOTS; i++)
        globals[bh_port_core()][i] = 0;
    for (size_t i = 0; i < ORACLE_PINS; i++)
        if (core->pinned[i] != 0)
            bh_gc_unpin(shown(core->pinned[i]));
    EXPECT(bh_gc_remove_root(range));
    bh_free(range);
    *core = (struct oracle_core){0};
}
