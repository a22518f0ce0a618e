/* SPDX-License-Identifier: MIT */
/*
 * A program with threads of its own on libbareheap.a: more threads than cores come and go, allocate
 * in both heaps and check what they wrote, while the first thread collects.
 *
 * Not on the harness: that is for board images, and here main() and the threads are the program's.
 */
#include "boards/host/host.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CORES           4u
#define THREADS         10u
#define VISITS          40u /* attached stretches of each thread */
#define OBJECTS         200u
#define COLLECTIONS_MIN 20u

/* A collected object that refers to the next; `check` tells whether it is still itself. */
struct link {
    struct link *next;
    uint64_t check;
    uint64_t payload[6];
};

static unsigned failures; /* atomic */
static unsigned running;  /* atomic: threads that have not ended */

static void expect(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "failed: %s\n", what);
    __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
}

/* A chain that only this thread's stack refers to. */
static void use_collected(uint64_t seed)
{
    struct link *first = NULL;
    for (uint64_t i = 0; i < OBJECTS; i++) {
        struct link *link = bh_gc_alloc(sizeof(*link));
        if (link == NULL) {
            expect(false, "a collected object of 64 bytes");
            return;
        }
        *link = (struct link){.next = first, .check = seed ^ i};
        first = link;
    }
    uint64_t i = OBJECTS;
    for (struct link *link = first; link != NULL; link = link->next)
        expect(link->check == (seed ^ --i), "a reachable object keeps its contents");
    expect(i == 0, "the chain is whole");
}

static void use_manual(uint64_t seed)
{
    uint64_t *objects[OBJECTS];
    for (uint64_t i = 0; i < OBJECTS; i++) {
        objects[i] = bh_malloc(16 + (seed + i * 37) % 500);
        expect(objects[i] != NULL, "a manual object of at most 515 bytes");
        if (objects[i] == NULL)
            return;
        objects[i][0] = seed ^ i;
        objects[i][1] = ~(seed ^ i);
    }
    for (uint64_t i = 0; i < OBJECTS; i++) {
        expect(objects[i][0] == (seed ^ i) && objects[i][1] == ~(seed ^ i),
               "a manual object keeps its contents");
        bh_free(objects[i]);
    }
}

/* Every second visit ends without detaching at the last: the thread's end must do it. */
static void *visit_cores(void *arg)
{
    uint64_t number = (uintptr_t)arg;
    for (uint64_t visit = 0; visit < VISITS; visit++) {
        while (!bh_host_attach_thread())
            usleep(100);
        expect(bh_host_attach_thread(), "attaching twice changes nothing");
        use_manual(number << 32 | visit);
        use_collected(number << 32 | visit);
        if (visit + 1 < VISITS || number % 2 == 0)
            bh_host_detach_thread();
    }
    __atomic_fetch_sub(&running, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* In a child: what it does is to end it. */
static void expect_abort(void (*fn)(void), const char *what)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        (void)freopen("/dev/null", "w", stderr);
        fn();
        _exit(EXIT_SUCCESS);
    }
    (void)waitpid(child, &status, 0);
    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, what);
}

static void *shared;

static void malloc_here(void)
{
    shared = bh_malloc(64);
}

static void free_here(void)
{
    bh_free(shared);
}

static void check_refusals(void)
{
    expect_abort(malloc_here, "a thread that is no core yet does not allocate");
    expect(bh_host_init(1 << 20, 0) == BH_TOO_MANY_CORES, "no cores are refused");
    expect(bh_host_init(1 << 20, BH_MAX_CORES + 1) == BH_TOO_MANY_CORES, "65 cores are refused");
    expect(!bh_host_attach_thread(), "nobody attaches before bh_host_init()");
    bh_host_detach_thread();
}

int main(void)
{
    pthread_t threads[THREADS];
    unsigned collections = 0;
    check_refusals();
    expect(bh_host_init((size_t)64 << 20, CORES) == BH_OK, "bh_host_init()");
    expect(bh_host_init((size_t)64 << 20, CORES) == BH_TWICE, "twice is refused");
    running = THREADS;
    for (uintptr_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, visit_cores, (void *)i) != 0)
            abort();
    }
    while (collections < COLLECTIONS_MIN || __atomic_load_n(&running, __ATOMIC_ACQUIRE) != 0) {
        expect(bh_gc_collect(), "a collection stops all cores, lent or not");
        collections++;
        usleep(1000);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    bh_heap_verify();
    malloc_here();
    bh_host_detach_thread();
    expect_abort(malloc_here, "a thread that is no core any more does not allocate");
    expect_abort(free_here, "nor does it free");
    printf("# %u collections\n", collections);
    printf("%u passed, %u failed\n", failures == 0 ? 1u : 0u, failures);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
