/* SPDX-License-Identifier: MIT */
/*
 * graph: 4 million objects of 32 bytes that refer to one another at random; how long does marking
 * them take?
 *
 * 1. The objects are made in a row, then put in a random order, in which each refers to its two
 *    children in a binary heap, so that all are reached from the first and there is always work for
 *    several markers, and to one more at random.
 * 2. The table is dropped: one static variable holds everything.
 * 3. The heap is collected several times; the time of this workload is the median of the marks.
 */
#include "tests/bench-gc/heap.h"

#define USUAL_OBJECTS 4000000u
#define COLLECTIONS   7u

struct vertex {
    struct vertex *children[2], *other;
    uint64_t id;
};
COLLECTOR_TYPE(vertex_type, struct vertex,
               COLLECTOR_POINTER(struct vertex, children[0]) |
                   COLLECTOR_POINTER(struct vertex, children[1]) |
                   COLLECTOR_POINTER(struct vertex, other));

static struct vertex *root;
static struct vertex **table; /* while the graph is made */

static void shuffle(struct vertex **vertices, uint32_t count, struct random *random)
{
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t other = random_below(random, i + 1);
        struct vertex *vertex = vertices[i];
        vertices[i] = vertices[other];
        vertices[other] = vertex;
    }
}

static void connect(struct vertex **vertices, uint32_t count, struct random *random)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t side = 0; side < 2; side++)
            if (2 * i + 1 + side < count)
                vertices[i]->children[side] = vertices[2 * i + 1 + side];
        vertices[i]->other = vertices[random_below(random, count)];
    }
}

static __attribute__((noinline)) void build(uint32_t count)
{
    struct random random = random_seeded(1);

    table = collector_scan(count * sizeof(*table));
    for (uint32_t i = 0; i < count; i++) {
        table[i] = COLLECTOR_NEW(vertex_type, struct vertex);
        table[i]->id = i;
    }
    shuffle(table, count, &random);
    connect(table, count, &random);
    root = table[0];
    table = NULL;
}

static uint64_t sum_of(const struct vertex *vertex)
{
    return vertex == NULL ? 0
                          : vertex->id + vertex->other->id + sum_of(vertex->children[0]) +
                                sum_of(vertex->children[1]);
}

static int by_time(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static uint64_t graph_run(const struct bench_options *options)
{
    uint64_t marks_ns[COLLECTIONS];

    build(bench_rounds(options, USUAL_OBJECTS));
    for (unsigned i = 0; i < COLLECTIONS; i++)
        marks_ns[i] = collector_collect();
    qsort(marks_ns, COLLECTIONS, sizeof(*marks_ns), by_time);
    heap_time_ns = marks_ns[COLLECTIONS / 2];
    return sum_of(root);
}

const struct workload workload_graph = {
    .name = "graph",
    .about = "marks 4 million small objects that refer to one another at random",
    .run = graph_run,
};
