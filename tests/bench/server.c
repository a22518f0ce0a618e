/* SPDX-License-Identifier: MIT */
/*
 * Threads that come and go, and objects that outlive them:
 *
 *   server   Larson and Krishnan 1998: each thread replaces random objects of its table, then a new
 *            thread inherits the table, so most objects are freed by another thread than allocated
 * them churn    threads that live for a few hundred objects and leave half of them to the main
 * thread
 */
#include "tests/bench/bench.h"

/* ---- server ---- */

#define SERVER_OBJECTS 1000u
#define SERVER_STEPS   10000u /* of one thread */
#define SERVER_USUAL   500u   /* threads that follow one another */

struct session {
    void *objects[SERVER_OBJECTS];
    struct random random;
};

static uint64_t serve(void *argument, unsigned index)
{
    struct session *session = (struct session *)argument + index;
    struct random random = session->random; /* not beside another thread's */
    uint64_t sum = 0;

    for (unsigned i = 0; i < SERVER_STEPS; i++) {
        void **slot = &session->objects[random_below(&random, SERVER_OBJECTS)];
        sum += object_replace(slot, random_between(&random, 10, 500), i);
    }
    session->random = random;
    return sum;
}

static uint64_t server_run(const struct bench_options *options)
{
    unsigned threads = options->threads * 2; /* a server has more threads than processors */
    unsigned generations = bench_rounds(options, SERVER_USUAL) / options->threads + 1;
    struct session *sessions = bench_table(threads * sizeof(*sessions));
    uint64_t sum = 0;

    bench_clock_start();
    for (unsigned i = 0; i < threads; i++)
        sessions[i].random = random_seeded(i);
    for (unsigned i = 0; i < generations; i++)
        sum += bench_parallel(threads, serve, sessions);
    for (unsigned i = 0; i < threads; i++)
        sum += objects_free_all(sessions[i].objects, SERVER_OBJECTS);
    return sum;
}

const struct workload workload_server = {
    .name = "server",
    .about = "tables of objects that one thread inherits from another (larson)",
    .run = server_run,
};

/* ---- churn ---- */

#define CHURN_OBJECTS 400u
#define CHURN_USUAL   5000u /* threads in all */

static uint64_t live_briefly(void *argument, unsigned index)
{
    void **objects = (void **)argument + index * CHURN_OBJECTS;
    struct random random = random_seeded(index);
    uint64_t sum = 0;

    for (unsigned i = 0; i < CHURN_OBJECTS; i++)
        objects[i] = object_new(random_log(&random, 4, 9), i);
    for (unsigned i = 0; i < CHURN_OBJECTS; i += 2) {
        sum += object_free(objects[i]);
        objects[i] = NULL;
    }
    return sum;
}

static uint64_t churn_run(const struct bench_options *options)
{
    unsigned threads = options->threads;
    unsigned generations = bench_rounds(options, CHURN_USUAL) / threads + 1;
    size_t count = (size_t)threads * CHURN_OBJECTS;
    void **objects = bench_table(count * sizeof(*objects));
    uint64_t sum = 0;

    bench_clock_start();
    for (unsigned i = 0; i < generations; i++) {
        sum += bench_parallel(threads, live_briefly, objects);
        sum += objects_free_all(objects, count);
    }
    return sum;
}

const struct workload workload_churn = {
    .name = "churn",
    .about = "short-lived threads that leave half of their objects to the main thread",
    .run = churn_run,
};
