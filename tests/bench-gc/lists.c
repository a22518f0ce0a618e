/* SPDX-License-Identifier: MIT */
/*
 * lists: 16,384 linked lists. One at random gets some new nodes in front, or is turned round in
 * place, or is summed up and dropped: many stores of pointers into old objects, and garbage that
 * lies among what lives.
 */
#include "tests/bench-gc/heap.h"

#define LISTS        16384u
#define USUAL_ROUNDS 2000000u

struct link {
    struct link *next;
    uint64_t value;
};
COLLECTOR_TYPE(link_type, struct link, COLLECTOR_POINTER(struct link, next));

static struct link *lists[LISTS];

static void push(struct link **list, unsigned count, uint64_t value)
{
    for (unsigned i = 0; i < count; i++) {
        struct link *link = COLLECTOR_NEW(link_type, struct link);
        link->next = *list;
        link->value = value + i;
        *list = link;
    }
}

static void turn_round(struct link **list)
{
    struct link *turned = NULL;

    for (struct link *link = *list, *next; link != NULL; link = next) {
        next = link->next;
        link->next = turned;
        turned = link;
    }
    *list = turned;
}

static uint64_t drop(struct link **list)
{
    uint64_t sum = 0, place = 0;

    for (const struct link *link = *list; link != NULL; link = link->next)
        sum += link->value * ++place;
    *list = NULL;
    return sum;
}

static uint64_t lists_run(const struct bench_options *options)
{
    struct random random = random_seeded(3);
    uint64_t sum = 0;

    for (uint64_t i = bench_rounds(options, USUAL_ROUNDS); i > 0; i--) {
        struct link **list = &lists[random_below(&random, LISTS)];
        uint32_t what = random_below(&random, 8);
        if (what == 0)
            sum += drop(list);
        else if (what == 1)
            turn_round(list);
        else
            push(list, random_between(&random, 1, 16), i);
    }
    for (unsigned i = 0; i < LISTS; i++)
        sum += drop(&lists[i]);
    return sum;
}

const struct workload workload_lists = {
    .name = "lists",
    .about = "linked lists that grow, are turned round and dropped",
    .run = lists_run,
};
