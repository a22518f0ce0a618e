/* SPDX-License-Identifier: MIT */
/*
 * Caches without a thread: what a thread had cached is everybody's when it has ended, and in the
 * child of a fork, which has none of the other threads. mallinfo2().fsmblks says what caches hold;
 * malloc_trim() empties the caller's own and the shared ones, so the rest is other threads'.
 */
#define _GNU_SOURCE
#include "tests/preload/expect.h"
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>

#define THREADS 8
#define OBJECTS 400
#define SIZES   8
/* What a thread's cache holds of its objects at least; all without a thread may hold no more. */
#define CACHED_LO ((size_t)16 << 10)

static pthread_barrier_t filled;
static pthread_barrier_t looked;

static size_t cached_by_others(void)
{
    malloc_trim(0);
    return mallinfo2().fsmblks;
}

static void fill_cache(void)
{
    void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = malloc((size_t)100 << i % SIZES);
        EXPECT(objects[i] != NULL);
    }
    for (size_t i = 0; i < OBJECTS; i++)
        free(objects[i]);
}

static void *work(void *arg)
{
    (void)arg;
    fill_cache();
    pthread_barrier_wait(&filled);
    pthread_barrier_wait(&looked);
    return NULL;
}

static void begin_threads(pthread_t *threads)
{
    pthread_barrier_init(&filled, NULL, THREADS + 1);
    pthread_barrier_init(&looked, NULL, THREADS + 1);
    for (unsigned i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, work, NULL) == 0);
    pthread_barrier_wait(&filled);
}

static void end_threads(const pthread_t *threads)
{
    pthread_barrier_wait(&looked);
    for (unsigned i = 0; i < THREADS; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
}

static void look_in_child(void)
{
    pid_t child = fork();
    if (child == 0) {
        EXPECT(cached_by_others() < CACHED_LO);
        fill_cache();
        _exit(0);
    }
    int status = 0;
    EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    pthread_t threads[THREADS];
    begin_threads(threads);
    EXPECT(cached_by_others() >= THREADS * CACHED_LO); /* or there is nothing to be seen below */
    look_in_child();
    end_threads(threads);
    EXPECT(cached_by_others() < CACHED_LO);
    puts("ok");
    return 0;
}
