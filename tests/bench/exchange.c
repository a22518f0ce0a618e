/* SPDX-License-Identifier: MIT */
/*
 * Objects that one thread allocates and another frees:
 *
 *   ring      one producer and one consumer with a ring of pointers between them, object by object
 *   xmalloc   producers and consumers with a queue of batches between them, after Lever and Boreham
 * 2000 rptest    all threads allocate and free, and send each other batches, after rpmalloc's
 * benchmark
 *
 * Locks: xmalloc's queue has a mutex. The ring and the mailboxes are ordered by the atomic accesses
 * marked below.
 */
#include "tests/bench/bench.h"
#include <pthread.h>

/* ---- ring ---- */

#define RING_SLOTS 1024u /* a power of two */
#define RING_USUAL 45u
#define RING_STEPS 100000u

/* Producer and consumer each write in a line of their own. */
struct ring {
    void *slots[RING_SLOTS];
    size_t put __attribute__((aligned(CACHE_LINE_BYTES)));   /* objects ever put in */
    size_t taken __attribute__((aligned(CACHE_LINE_BYTES))); /* objects ever taken out */
    unsigned objects __attribute__((aligned(CACHE_LINE_BYTES)));
};

static uint64_t ring_produce(struct ring *ring, uint64_t seed)
{
    struct random random = random_seeded(seed);
    size_t taken = 0;

    for (size_t i = 0; i < ring->objects; i++) {
        unsigned turns = 0;
        void *object = object_new(random_between(&random, 16, 256), i);
        while (i - taken == RING_SLOTS) {
            taken = __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE); /* pairs with ring_consume */
            if (i - taken == RING_SLOTS)
                bench_wait_turn(&turns);
        }
        ring->slots[i % RING_SLOTS] = object;
        __atomic_store_n(&ring->put, i + 1, __ATOMIC_RELEASE); /* pairs with ring_consume */
    }
    return 0;
}

static uint64_t ring_consume(struct ring *ring)
{
    uint64_t sum = 0;
    size_t put = 0;

    for (size_t i = 0; i < ring->objects; i++) {
        unsigned turns = 0;
        while (put == i) {
            put = __atomic_load_n(&ring->put, __ATOMIC_ACQUIRE); /* pairs with ring_produce */
            if (put == i)
                bench_wait_turn(&turns);
        }
        sum += object_free(ring->slots[i % RING_SLOTS]);
        __atomic_store_n(&ring->taken, i + 1, __ATOMIC_RELEASE); /* pairs with ring_produce */
    }
    return sum;
}

static uint64_t ring_work(void *argument, unsigned index)
{
    struct ring *ring = (struct ring *)argument + index / 2;
    return index % 2 == 0 ? ring_produce(ring, index) : ring_consume(ring);
}

static uint64_t ring_run(const struct bench_options *options)
{
    unsigned pairs = options->threads / 2;
    struct ring *rings = bench_table(pairs * sizeof(*rings));

    for (unsigned i = 0; i < pairs; i++)
        rings[i].objects = bench_rounds(options, RING_USUAL) * RING_STEPS;
    bench_clock_start();
    return bench_parallel(pairs * 2, ring_work, rings);
}

const struct workload workload_ring = {
    .name = "ring",
    .about = "a producer and a consumer, object by object",
    .run = ring_run,
};

/* ---- xmalloc ---- */

#define BATCH_OBJECTS 256u
#define QUEUE_MOST    32u /* batches that wait at a time */
#define XMALLOC_USUAL 24000u

struct batch {
    struct batch *next;
    void *objects[BATCH_OBJECTS];
};

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct batch *first; /* under the mutex, as what follows */
    unsigned waiting;
    unsigned producers; /* that have not ended */
    unsigned batches;   /* for each producer to make; constant */
};

static void queue_put(struct queue *queue, struct batch *batch)
{
    pthread_mutex_lock(&queue->mutex);
    while (queue->waiting == QUEUE_MOST)
        pthread_cond_wait(&queue->changed, &queue->mutex);
    batch->next = queue->first;
    queue->first = batch;
    queue->waiting++;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->mutex);
}

/* NULL: all producers have ended and nothing is left. */
static struct batch *queue_take(struct queue *queue)
{
    struct batch *batch;

    pthread_mutex_lock(&queue->mutex);
    while (queue->first == NULL && queue->producers > 0)
        pthread_cond_wait(&queue->changed, &queue->mutex);
    batch = queue->first;
    if (batch != NULL) {
        queue->first = batch->next;
        queue->waiting--;
        pthread_cond_broadcast(&queue->changed);
    }
    pthread_mutex_unlock(&queue->mutex);
    return batch;
}

static void queue_leave(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->producers--;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->mutex);
}

static struct batch *batch_new(struct random *random)
{
    struct batch *batch = malloc(sizeof(*batch));

    if (batch == NULL)
        bench_fail("a batch of %zu bytes cannot be had", sizeof(*batch));
    for (unsigned i = 0; i < BATCH_OBJECTS; i++)
        batch->objects[i] = object_new(random_log(random, 4, 7), i);
    return batch;
}

static uint64_t batch_free(struct batch *batch)
{
    uint64_t sum = objects_free_all(batch->objects, BATCH_OBJECTS);

    free(batch);
    return sum;
}

static uint64_t xmalloc_work(void *argument, unsigned index)
{
    struct queue *queue = argument;
    struct random random = random_seeded(index);
    struct batch *batch;
    uint64_t sum = 0;

    if (index % 2 == 0) {
        for (unsigned i = 0; i < queue->batches; i++)
            queue_put(queue, batch_new(&random));
        queue_leave(queue);
        return 0;
    }
    while ((batch = queue_take(queue)) != NULL)
        sum += batch_free(batch);
    return sum;
}

static uint64_t xmalloc_run(const struct bench_options *options)
{
    unsigned pairs = options->threads / 2;
    struct queue queue = {
        .mutex = PTHREAD_MUTEX_INITIALIZER,
        .changed = PTHREAD_COND_INITIALIZER,
        .producers = pairs,
        .batches = bench_rounds(options, XMALLOC_USUAL),
    };

    bench_clock_start();
    return bench_parallel(pairs * 2, xmalloc_work, &queue);
}

const struct workload workload_xmalloc = {
    .name = "xmalloc",
    .about = "producers and consumers with a queue of batches",
    .run = xmalloc_run,
};

/* ---- rptest ---- */

#define POOL_OBJECTS 4000u
#define STEP_OBJECTS 60u
#define MAIL_MOST    16u /* batches on their way to one thread */
#define SEND_EVERY   8u  /* steps */
#define RPTEST_USUAL 60000u

/* One per thread, in lines of its own: others put batches in, it takes all at once. */
struct mailbox {
    struct batch *first __attribute__((aligned(CACHE_LINE_BYTES)));
    unsigned waiting;
    bool closed; /* its thread has ended and takes no more; what is in it is freed at the end */
};

struct office {
    unsigned threads, steps;
    struct mailbox boxes[];
};

static uint64_t mail_empty(struct mailbox *box)
{
    struct batch *batch =
        __atomic_exchange_n(&box->first, NULL, __ATOMIC_ACQUIRE); /* pairs with mail_send */
    uint64_t sum = 0;

    while (batch != NULL) {
        struct batch *next = batch->next;
        sum += batch_free(batch);
        __atomic_fetch_sub(&box->waiting, 1, __ATOMIC_RELAXED); /* a bound; orders nothing */
        batch = next;
    }
    return sum;
}

/* Full: somebody is going to make room. Both fields only bound what is under way and order nothing.
 */
static bool mail_is_full(const struct mailbox *box)
{
    return __atomic_load_n(&box->waiting, __ATOMIC_RELAXED) >= MAIL_MOST &&
           !__atomic_load_n(&box->closed, __ATOMIC_RELAXED);
}

/* Waits while the box is full, and empties `own` meanwhile: two threads may be sending to each
 * other. */
static uint64_t mail_send(struct mailbox *box, struct mailbox *own, struct batch *batch)
{
    uint64_t sum = 0;
    unsigned turns = 0;

    while (mail_is_full(box)) {
        sum += mail_empty(own);
        bench_wait_turn(&turns);
    }
    __atomic_fetch_add(&box->waiting, 1, __ATOMIC_RELAXED);
    batch->next = __atomic_load_n(&box->first, __ATOMIC_RELAXED); /* checked by the exchange */
    while (!__atomic_compare_exchange_n(&box->first, &batch->next, batch, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED)) /* release: pairs with mail_empty */
        ;
    return sum;
}

/* Mostly small, some up to 16 KiB; every eighth is aligned to its line. */
static void *rptest_new(struct random *random, uint64_t tag)
{
    uint32_t kind = random_below(random, 32);
    size_t bytes = kind == 0 ? random_log(random, 10, 13) : random_log(random, 4, 9);
    void *object;

    if (kind >= 4)
        return object_new(bytes, tag);
    if (posix_memalign(&object, CACHE_LINE_BYTES, bytes) != 0)
        bench_fail("%zu bytes aligned to %u cannot be had", bytes, CACHE_LINE_BYTES);
    object_touch(object, bytes, tag);
    return object;
}

static uint64_t pool_step(void **pool, struct random *random, unsigned step)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < STEP_OBJECTS; i++) {
        void **slot = &pool[random_below(random, POOL_OBJECTS)];
        if (*slot != NULL)
            sum += object_free(*slot);
        *slot = rptest_new(random, step + i);
    }
    return sum;
}

static uint64_t rptest_work(void *argument, unsigned index)
{
    struct office *office = argument;
    struct mailbox *own = &office->boxes[index];
    struct mailbox *next = &office->boxes[(index + 1) % office->threads];
    void **pool = bench_table(POOL_OBJECTS * sizeof(*pool));
    struct random random = random_seeded(index);
    uint64_t sum = 0;

    for (unsigned step = 0; step < office->steps; step++) {
        sum += pool_step(pool, &random, step);
        if (step % SEND_EVERY == 0)
            sum += mail_send(next, own, batch_new(&random)) + mail_empty(own);
    }
    __atomic_store_n(&own->closed, true, __ATOMIC_RELAXED); /* as in mail_is_full */
    return sum + objects_free_all(pool, POOL_OBJECTS);
}

static uint64_t rptest_run(const struct bench_options *options)
{
    struct office *office =
        bench_table(sizeof(*office) + options->threads * sizeof(office->boxes[0]));
    uint64_t sum;

    office->threads = options->threads;
    office->steps = bench_rounds(options, RPTEST_USUAL) / options->threads + 1;
    bench_clock_start();
    sum = bench_parallel(options->threads, rptest_work, office);
    for (unsigned i = 0; i < options->threads; i++)
        sum += mail_empty(&office->boxes[i]);
    return sum;
}

const struct workload workload_rptest = {
    .name = "rptest",
    .about = "pools of objects, and batches sent to the next thread",
    .run = rptest_run,
};
