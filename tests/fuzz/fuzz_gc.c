/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the collector, against an oracle of what is reachable.
 *
 * 1. Nodes are collected objects. The roots are an array and pins; the machine has no stacks, so
 *    nothing else keeps a node alive, and what a collection must leave is known exactly.
 * 2. A node that holds pointers holds them anywhere: to a first byte, inside, one past the end. All
 *    its other words, and all bytes of the others, have a pattern or are zero.
 * 3. A node that cannot be reached is given up at once: the collector may come at any request.
 * 4. One thread plays all cores; those it is not playing are parked.
 */
#include "alloc/walk.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/objects.h"
#include <bareheap/bareheap.h>
#include <bareheap/port.h>
#include <string.h>

#define NODES      64
#define ROOTS      12
#define EDGES      6
#define NOBODY     0xff
#define TINY_ROOM  16
#define MOST_BYTES ((size_t)1 << 20)

struct node {
    unsigned char *address; /* NULL: there is none */
    size_t bytes;
    bool scan;
    uint8_t pins;
    uint8_t edges[EDGES]; /* the node that word i points to, or NOBODY */
    uintptr_t words[EDGES];
    bool reached;
};

static struct node nodes[NODES];
static uintptr_t root_words[ROOTS]; /* what the collector scans */
static uint8_t root_nodes[ROOTS];
static struct fuzz_script *script;
static unsigned cores;
static bool is_parked[MACHINE_CORES];

/* ---- reachability ---- */

/* Nodes reached whose edges have not been followed yet; each is here once at most. */
static struct {
    uint8_t nodes[NODES];
    size_t depth;
} todo;

static void reach(uint8_t i)
{
    if (i == NOBODY || nodes[i].reached)
        return;
    nodes[i].reached = true;
    todo.nodes[todo.depth++] = i;
}

static void follow_edges(void)
{
    while (todo.depth > 0) {
        const struct node *node = &nodes[todo.nodes[--todo.depth]];
        for (size_t i = 0; i < EDGES; i++)
            reach(node->edges[i]);
    }
}

/* Marks what can be reached, and gives up the rest. */
static void reach_all(void)
{
    for (size_t i = 0; i < NODES; i++)
        nodes[i].reached = false;
    for (size_t i = 0; i < ROOTS; i++)
        reach(root_nodes[i]);
    for (size_t i = 0; i < NODES; i++)
        if (nodes[i].pins)
            reach((uint8_t)i);
    follow_edges();
    for (size_t i = 0; i < NODES; i++)
        if (!nodes[i].reached)
            nodes[i].address = NULL;
}

/* ---- contents ---- */

static size_t words_of(const struct node *node)
{
    size_t words = node->scan ? node->bytes / sizeof(uintptr_t) : 0;
    return words < EDGES ? words : EDGES;
}

static unsigned char pattern(const struct node *node, size_t i)
{
    return (unsigned char)((node->bytes * 31 + i) * 167 % 251);
}

/* All bytes of small nodes have their pattern; of large ones the ends, and some between. */
static size_t next_filled(const struct node *node, size_t i)
{
    bool at_an_end = i < 1024 || i + 2048 > node->bytes;
    return at_an_end ? i + 1 : i + 997;
}

/* The bytes behind the edges: small numbers each, so that no word of them is an address. */
static void fill(const struct node *node)
{
    size_t first = words_of(node) * sizeof(uintptr_t);
    for (size_t i = first; i < node->bytes; i = next_filled(node, i))
        node->address[i] = node->scan ? 0 : pattern(node, i);
}

static void check_node(const struct node *node)
{
    size_t edges = words_of(node);
    for (size_t i = 0; i < edges; i++)
        FUZZ_CHECK(((uintptr_t *)(void *)node->address)[i] == node->words[i],
                   "node %p of %zu bytes: word %zu has changed", (void *)node->address, node->bytes,
                   i);
    for (size_t i = edges * sizeof(uintptr_t); i < node->bytes; i = next_filled(node, i))
        FUZZ_CHECK(node->address[i] == (node->scan ? 0 : pattern(node, i)),
                   "node %p of %zu bytes: byte %zu has changed", (void *)node->address, node->bytes,
                   i);
}

static void check_nodes(void)
{
    for (size_t i = 0; i < NODES; i++)
        if (nodes[i].address)
            check_node(&nodes[i]);
}

/* A word that keeps the node alive. */
static uintptr_t pointer_to(const struct node *node, unsigned where)
{
    size_t offset = where % 4 == 0 ? node->bytes : where % 4 == 1 ? where * 37 % node->bytes : 0;
    return (uintptr_t)node->address + offset;
}

/* ---- operations: graph ---- */

static void set_root(size_t i, uint8_t to, unsigned where)
{
    root_nodes[i] = to;
    root_words[i] = to == NOBODY ? where : pointer_to(&nodes[to], where);
}

static void set_edge(struct node *from, size_t i, uint8_t to, unsigned where)
{
    if (i >= words_of(from))
        return;
    from->edges[i] = to;
    from->words[i] = to == NOBODY ? where : pointer_to(&nodes[to], where);
    ((uintptr_t *)(void *)from->address)[i] = from->words[i];
}

static uint8_t some_node(void)
{
    uint8_t i = (uint8_t)fuzz_below(script, NODES);
    return nodes[i].address ? i : NOBODY;
}

static void node_born(struct node *node, void *address, size_t bytes, bool scan)
{
    *node = (struct node){.address = address, .bytes = bytes, .scan = scan};
    memset(node->edges, NOBODY, sizeof(node->edges));
    FUZZ_CHECK(!scan || (uintptr_t)address % (bytes + 1 > 8 ? 16 : 8) == 0, "%p is not aligned",
               address);
    FUZZ_CHECK(fuzz_is_zero(address, bytes), "a new object of %zu bytes is not zero", bytes);
    for (const struct node *other = nodes; other < nodes + NODES; other++)
        FUZZ_CHECK(other == node || !other->address ||
                       other->address + other->bytes <= node->address ||
                       node->address + bytes <= other->address,
                   "%p of %zu bytes overlaps %p of %zu", address, bytes, (void *)other->address,
                   other->bytes);
    fill(node);
}

/* A new node, known from a root. */
static void do_alloc(void)
{
    uint8_t i = (uint8_t)fuzz_below(script, NODES);
    size_t root = fuzz_below(script, ROOTS);
    bool scan = fuzz_byte(script) % 3 > 0;
    size_t bytes = 1 + fuzz_size(script) % MOST_BYTES;
    if (nodes[i].address)
        return;
    void *address = scan ? bh_gc_alloc(bytes) : bh_gc_alloc_noscan(bytes);
    if (!address)
        return;
    node_born(&nodes[i], address, bytes, scan);
    set_root(root, i, fuzz_byte(script));
    reach_all();
}

static void do_link(void)
{
    uint8_t from = some_node();
    uint8_t to = some_node();
    if (from != NOBODY)
        set_edge(&nodes[from], fuzz_below(script, EDGES), to, fuzz_byte(script));
    reach_all();
}

static void do_root(void)
{
    size_t root = fuzz_below(script, ROOTS);
    set_root(root, some_node(), fuzz_byte(script));
    reach_all();
}

static void do_pin(void)
{
    uint8_t i = some_node();
    if (i == NOBODY)
        return;
    if (nodes[i].pins && fuzz_byte(script) % 2) {
        bh_gc_unpin(nodes[i].address);
        nodes[i].pins--;
    } else if (nodes[i].pins < 3 && bh_gc_pin(nodes[i].address)) {
        nodes[i].pins++;
    }
    reach_all();
}

/* By hand: every reference goes first. Tiny ones share a block and stay. */
static void do_gc_free(void)
{
    uint8_t i = some_node();
    if (i == NOBODY || nodes[i].pins)
        return;
    for (size_t n = 0; n < NODES; n++)
        for (size_t e = 0; nodes[n].address && e < EDGES; e++)
            if (nodes[n].edges[e] == i)
                set_edge(&nodes[n], e, NOBODY, 0);
    for (size_t r = 0; r < ROOTS; r++)
        if (root_nodes[r] == i)
            set_root(r, NOBODY, 0);
    check_node(&nodes[i]);
    bh_gc_free(nodes[i].address);
    nodes[i].address = NULL;
    reach_all();
}

/* ---- operations: cycles ---- */

static bool is_tiny(const struct node *node)
{
    return !node->scan && node->bytes < TINY_ROOM;
}

/* An object that the collector left must be a node's, but for blocks of tiny ones. */
static void expect_reached(const struct walk_object *object, void *arg)
{
    size_t *found = arg;
    if (object->span->kind == KIND_NOSCAN && object->span->object_bytes == TINY_ROOM)
        return;
    for (size_t i = 0; i < NODES; i++)
        if ((uintptr_t)nodes[i].address == object->base) {
            (*found)++;
            return;
        }
    FUZZ_CHECK(false, "0x%zx of %zu bytes is garbage and was left", (size_t)object->base,
               span_object_bytes(object->span));
}

static void do_collect(void)
{
    size_t expected = 0;
    size_t found = 0;
    reach_all();
    if (!bh_gc_collect())
        FUZZ_CHECK(!bh_port_irq_enabled(), "a collection was abandoned");
    while (bh_gc_work(1 + fuzz_below(script, 64)))
        ;
    check_nodes();
    for (size_t i = 0; i < NODES; i++)
        expected += nodes[i].address && !is_tiny(&nodes[i]);
    walk_each_object(expect_reached, &found);
    FUZZ_CHECK(found == expected, "%zu objects are left of %zu", found, expected);
}

static void do_sweep_some(void)
{
    bh_gc_work(fuzz_below(script, 8));
}

static void do_pace(void)
{
    bh_gc_set_percent((int)fuzz_below(script, 200) - 20);
}

static void do_look(void)
{
    struct bh_gc_stats stats;
    check_nodes();
    objects_check_all();
    bh_heap_verify();
    bh_gc_get_stats(&stats);
    FUZZ_CHECK(stats.abandoned_cycles == 0, "a cycle was abandoned");
}

/* ---- operations: the machine, and manual objects beside ---- */

static void leave_core(void)
{
    is_parked[bh_port_core()] = true;
    bh_gc_park();
}

static void enter_core(void)
{
    if (is_parked[bh_port_core()])
        bh_gc_unpark();
    is_parked[bh_port_core()] = false;
}

static void do_switch(void)
{
    machine_switch((unsigned)fuzz_below(script, cores));
}

static void do_manual(void)
{
    struct object *object = &objects[fuzz_below(script, OBJECTS_SLOTS)];
    size_t bytes = fuzz_size(script);
    if (object->address) {
        bh_free(objects_gone(object));
        return;
    }
    void *address = bh_malloc(bytes);
    if (address)
        objects_born(object, address, bytes, 1);
}

static void do_release(void)
{
    bh_release_pages();
}

static void do_faults(void)
{
    unsigned after = (unsigned)fuzz_below(script, 8);
    machine_arm_faults(after, 1 + (unsigned)fuzz_below(script, 8));
}

/* ---- a script ---- */

static void make_heap(void)
{
    struct bh_region region = {.base = machine_ram,
                               .bytes = ((size_t)256 << 10) + fuzz_byte(script) * 24000u};
    cores = 1 + (unsigned)fuzz_below(script, MACHINE_CORES);
    machine_set_cores(cores);
    enum bh_status status = bh_init(&region, 1);
    FUZZ_CHECK(status == BH_OK, "bh_init: %s", bh_status_text(status));
    FUZZ_CHECK(bh_gc_add_root(root_words, root_words + ROOTS), "no room for a root");
    machine_on_leave = leave_core;
    machine_on_enter = enter_core;
    for (unsigned core = cores; core-- > 0;)
        machine_switch(core); /* all but core 0 are left parked */
}

static void (*const operations[32])(void) = {
    do_alloc,  do_alloc,   do_alloc,  do_alloc,  do_alloc,      do_alloc, do_alloc,   do_alloc,
    do_alloc,  do_alloc,   do_alloc,  do_link,   do_link,       do_link,  do_link,    do_link,
    do_link,   do_root,    do_root,   do_root,   do_pin,        do_pin,   do_gc_free, do_gc_free,
    do_manual, do_collect, do_switch, do_switch, do_sweep_some, do_look,  do_faults,  do_pace,
};

void fuzz_run(struct fuzz_script *the_script)
{
    script = the_script;
    memset(nodes, 0, sizeof(nodes));
    memset(root_words, 0, sizeof(root_words));
    memset(root_nodes, NOBODY, sizeof(root_nodes));
    memset(is_parked, 0, sizeof(is_parked));
    objects_reset();
    make_heap();
    while (fuzz_more(script)) {
        unsigned choice = fuzz_byte(script);
        if (choice == 255)
            do_release();
        else
            operations[choice % 32]();
    }
    machine_arm_faults(0, 0);
    do_collect();
    do_look();
}
