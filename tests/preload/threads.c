/* SPDX-License-Identifier: MIT */
/*
 * Threads that come and go: their caches are handed back, destructors that run after that still
 * free, objects are freed by others than their makers, and there are more threads than slots.
 */
#define _GNU_SOURCE
#include "tests/preload/expect.h"
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#define GENERATIONS 60
#define AT_ONCE     8
#define OBJECTS     500
#define CROWD       1100 /* more than BH_MAX_CORES of the library */

static pthread_key_t
    keys[40]; /* made before and after the library's own; the last few need memory */
#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* Destructors allocate, free, and set other keys, so that they run again. */
static void late(void *object)
{
    EXPECT(is_filled(object, 200));
    free(object);
    void *other = malloc(300);
    fill(other, 300);
    EXPECT(is_filled(other, 300));
    free(other);
}

static void set_keys(void)
{
    for (size_t i = 0; i < KEYS; i++) {
        void *object = malloc(200);
        fill(object, 200);
        EXPECT(pthread_setspecific(keys[i], object) == 0);
    }
}

/* A box that threads throw objects into and take others out of: who frees is not who made. */
static void *box[1024];

static void exchange(uint32_t *seed)
{
    size_t bytes = 8 + next_random(seed) % 3000;
    size_t *object = malloc(bytes);
    *object = bytes;
    size_t i = next_random(seed) % (sizeof(box) / sizeof(box[0]));
    size_t *other = __atomic_exchange_n(&box[i], object, __ATOMIC_ACQ_REL);
    if (other)
        EXPECT(malloc_usable_size(other) >= *other);
    free(other);
}

static void *work(void *arg)
{
    uint32_t seed = (uint32_t)(uintptr_t)arg;
    void *own[OBJECTS];
    set_keys();
    for (size_t i = 0; i < OBJECTS; i++) {
        size_t bytes = i * 7 % 900;
        own[i] = malloc(bytes);
        fill(own[i], bytes);
        exchange(&seed);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        EXPECT(is_filled(own[i], i * 7 % 900));
        free(own[i]);
    }
    return strdup("made by a thread that is gone");
}

static void run_generation(unsigned generation)
{
    pthread_t threads[AT_ONCE];
    for (unsigned i = 0; i < AT_ONCE; i++)
        EXPECT(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(generation * 97 + i)) ==
               0);
    for (unsigned i = 0; i < AT_ONCE; i++) {
        void *text = NULL;
        EXPECT(pthread_join(threads[i], &text) == 0);
        EXPECT(strcmp(text, "made by a thread that is gone") == 0);
        free(text);
    }
}

static void empty_box(void)
{
    for (size_t i = 0; i < sizeof(box) / sizeof(box[0]); i++) {
        free(box[i]);
        box[i] = NULL;
    }
}

/* What generations of threads leave behind must not grow with their number. */
static void test_generations(void)
{
    size_t early = 0;
    for (unsigned g = 0; g < GENERATIONS; g++) {
        run_generation(g);
        empty_box();
        if (g == GENERATIONS / 4)
            early = mallinfo2().arena;
    }
    EXPECT(mallinfo2().arena <= early + (4u << 20));
}

static pthread_barrier_t all_there;

static void *stand_in_the_crowd(void *arg)
{
    uint32_t seed = (uint32_t)(uintptr_t)arg;
    void *object = malloc(64);
    fill(object, 64);
    pthread_barrier_wait(&all_there); /* all hold a slot now, or share one */
    for (int i = 0; i < 50; i++)
        exchange(&seed);
    pthread_barrier_wait(&all_there);
    EXPECT(is_filled(object, 64));
    free(object);
    return NULL;
}

static void test_crowd(void)
{
    static pthread_t threads[CROWD];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 10);
    pthread_barrier_init(&all_there, NULL, CROWD);
    for (unsigned i = 0; i < CROWD; i++) {
        int error =
            pthread_create(&threads[i], &attributes, stand_in_the_crowd, (void *)(uintptr_t)i);
        if (error != 0) { /* a machine that allows so few is no fault of ours */
            printf("skip: more threads than slots: thread %u: %s\nok\n", i, strerror(error));
            exit(0); /* the crowd waits for ever: this test is the last */
        }
    }
    for (unsigned i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    empty_box();
    run_generation(1);
    empty_box();
}

int main(void)
{
    for (size_t i = 0; i < KEYS; i++)
        EXPECT(pthread_key_create(&keys[i], late) == 0);
    test_generations();
    test_crowd();
    puts("ok");
    return 0;
}
