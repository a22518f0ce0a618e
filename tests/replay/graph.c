/* SPDX-License-Identifier: MIT */
/* The graph of graph.h. What it is made of, its invariants and locks are described there. */
#include "tests/replay/graph.h"
#include "kernel-lib/bits.h"
#include "kernel-lib/spinlock.h"
#include <bareheap/gc.h>

#define GRAPH_BUCKETS 16
#define GRAPH_CHAINS  64 /* per bucket */
#define LINK_BYTES    sizeof(struct list)

struct graph_bucket {
    struct list chains[GRAPH_CHAINS];
};

struct graph_anchor {
    struct graph_bucket *buckets[GRAPH_BUCKETS];
};

struct graph_cell {
    struct list node;
    uintptr_t object; /* an address in the object, or the one behind it */
};

static struct graph_anchor *graph_root;
static struct spinlock chain_locks[GRAPH_BUCKETS][GRAPH_CHAINS];

bool graph_start(void)
{
    graph_root = bh_gc_alloc(sizeof(*graph_root));
    if (graph_root == NULL)
        return false;
    for (size_t b = 0; b < GRAPH_BUCKETS; b++) {
        struct graph_bucket *bucket = bh_gc_alloc(sizeof(*bucket));
        if (bucket == NULL)
            return false;
        graph_root->buckets[b] = bucket;
        for (size_t c = 0; c < GRAPH_CHAINS; c++) {
            list_init(&bucket->chains[c]);
            /* The lowest rank: whoever holds it takes no lock of the allocator's. */
            spinlock_init(&chain_locks[b][c], LOCK_TEST_LOW, "replay chain");
        }
    }
    return true;
}

bool graph_is_noscan(uint32_t id, uint64_t bytes)
{
    return id % (bytes < LINK_BYTES ? 2 : 4) == 0;
}

static bool has_own_links(const struct replay_object *object)
{
    return object->bytes >= LINK_BYTES && !graph_is_noscan(object_id(object), object->bytes);
}

void graph_links(const struct replay_object *object, size_t *from, size_t *to)
{
    bool at_end = object_id(object) / 4 % 2 != 0;

    *from = at_end && has_own_links(object) ? bits_round_down(object->bytes - LINK_BYTES, 8) : 0;
    *to = has_own_links(object) ? *from + LINK_BYTES : 0;
}

/* The address by which a cell refers to an object. */
static uintptr_t cell_reference(const struct replay_object *object)
{
    uintptr_t base = (uintptr_t)object->base;
    uint32_t variant = object_id(object) / 4 % 3;

    /* Objects under 16 bytes share a block: the byte behind one may be another one's. */
    if (variant == 2 && object->bytes >= 16)
        return base + object->bytes;
    return variant == 1 ? base + object->bytes / 2 : base;
}

static struct list *make_cell(const struct replay_object *object)
{
    struct graph_cell *cell = bh_gc_alloc(sizeof(*cell));
    if (cell == NULL)
        return NULL;
    cell->object = cell_reference(object);
    return &cell->node;
}

/* Spreads ids over the chains, so that neighbours in a chain are of different ages. */
static void chain_of(uint32_t id, size_t *bucket, size_t *chain)
{
    uint32_t mixed = (id + 1) * 0x9e3779b1u;
    *bucket = mixed >> 28;
    *chain = (mixed >> 20) % GRAPH_CHAINS;
}

bool graph_insert(struct replay_object *object)
{
    size_t from, to, bucket, chain;

    graph_links(object, &from, &to);
    struct list *node = to != 0 ? (struct list *)((char *)object->base + from) : make_cell(object);
    if (node == NULL)
        return false;
    object->node = node;
    chain_of(object_id(object), &bucket, &chain);
    uintptr_t irq = spinlock_acquire(&chain_locks[bucket][chain]);
    list_push(&graph_root->buckets[bucket]->chains[chain], node);
    spinlock_release(&chain_locks[bucket][chain], irq);
    /* The copy in the table is no reference; until here a cell has no other but this. */
    bh_gc_keep_alive(node);
    return true;
}

void graph_remove(struct replay_object *object)
{
    struct list *node = object->node;
    size_t bucket, chain;

    chain_of(object_id(object), &bucket, &chain);
    uintptr_t irq = spinlock_acquire(&chain_locks[bucket][chain]);
    /* In this order: once the node is out of its ring another core's collection may free it. */
    if (!has_own_links(object))
        container_of(node, struct graph_cell, node)->object = 0;
    list_remove(node);
    spinlock_release(&chain_locks[bucket][chain], irq);
}

void *graph_cell(const struct replay_object *object)
{
    return has_own_links(object) ? NULL : container_of(object->node, struct graph_cell, node);
}

void graph_each_own(void (*visit)(const void *object))
{
    visit(graph_root);
    for (size_t b = 0; b < GRAPH_BUCKETS; b++)
        visit(graph_root->buckets[b]);
}

uint64_t graph_count(void)
{
    uint64_t nodes = 0;
    for (size_t b = 0; b < GRAPH_BUCKETS; b++)
        for (size_t c = 0; c < GRAPH_CHAINS; c++)
            list_for_each (node, &graph_root->buckets[b]->chains[c])
                nodes++;
    return nodes;
}
