/* SPDX-License-Identifier: MIT */
/*
 * A program for the recorder's tests: it allocates in ways that tests/traces/selftest.py knows.
 *
 *     recorded calls          every function of the family once, sizes from 7001 up
 *     recorded threads        two threads, one after the other, that free each other's objects
 *     recorded fork           a child that allocates as well
 *     recorded exec PROGRAM   replaces itself by PROGRAM
 *     recorded kill           dies of SIGKILL
 *     recorded storm N        threads that pass objects around, N operations each
 *
 * Sizes from 7000 to 7999 are ours: the test looks at these only, since the C library allocates as
 * well. Every mode but exec and kill ends with _exit(), which runs no handlers. Linux only.
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STORM_THREADS 4
#define STORM_SLOTS   64

static void *object[2];
static void *slot[STORM_SLOTS];
static volatile size_t huge = SIZE_MAX / 2; /* volatile: the compiler would warn of the size */

/* Keeps the compiler from removing calls in pairs. */
static void *keep(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

static void call_reallocs(void)
{
    void *a = keep(realloc(NULL, 7010));

    a = keep(realloc(a, 7011));
    if (keep(realloc(a, huge)) != NULL) /* fails: a stays */
        abort();
    a = keep(reallocarray(a, 3, 2504));
    if (keep(reallocarray(a, huge, 4)) != NULL)
        abort();
    free(keep(realloc(a, 0)));
}

static void call_aligned(void)
{
    void *a = NULL;

    if (posix_memalign(&a, 64, 7020) != 0 || posix_memalign(&a, 3, 7777) == 0)
        abort();
    free(keep(a));
    free(keep(aligned_alloc(256, 7021)));
    free(keep(memalign(1024, 7022)));
    free(keep(valloc(7023)));
}

static void run_calls(void)
{
    void *a = keep(malloc(7001));
    void *b = keep(calloc(10, 710));

    if (keep(calloc(huge, 4)) != NULL)
        abort();
    free(NULL);
    free(a);
    call_reallocs();
    call_aligned();
    free(b);
    keep(malloc(7999)); /* stays alive */
}

/* Frees the main thread's object and leaves one to it. */
static void *first_thread(void *unused)
{
    (void)unused;
    free(object[0]);
    object[1] = keep(malloc(7031));
    return NULL;
}

static void *second_thread(void *unused)
{
    (void)unused;
    object[0] = keep(realloc(object[1], 7032));
    return NULL;
}

static void run_thread(void *(*function)(void *))
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, function, NULL) != 0)
        abort();
    pthread_join(thread, NULL);
}

static void run_threads(void)
{
    object[0] = keep(malloc(7030));
    run_thread(first_thread);
    run_thread(second_thread);
    free(object[0]);
}

static void run_fork(void)
{
    void *a = keep(malloc(7040));
    pid_t child = fork();

    if (child == 0) {
        free(keep(malloc(7041)));
        free(a);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    free(keep(malloc(7042)));
    free(a);
}

/*
 * Swaps objects with the slots: most are freed or grown by a thread that did not allocate them. The
 * sizes are those that glibc gives back to the arena at once, for another thread to take.
 */
static void *storm_thread(void *argument)
{
    uint32_t random = (uint32_t)(uintptr_t)argument | 1;
    uint32_t operations = (uint32_t)((uintptr_t)argument >> 8);
    void *mine = NULL;

    while (operations-- > 0) {
        random = random * 1664525 + 1013904223;
        mine = __atomic_exchange_n(&slot[random >> 26], mine, __ATOMIC_ACQ_REL);
        if (mine == NULL || (random >> 8 & 3) == 0)
            mine = keep(realloc(mine, 1500 + (random >> 10 & 1023)));
        else if ((random >> 8 & 3) == 1) {
            free(mine);
            mine = NULL;
        }
    }
    free(mine);
    return NULL;
}

static void run_storm(const char *operations)
{
    pthread_t threads[STORM_THREADS];

    for (uintptr_t t = 0; t < STORM_THREADS; t++)
        if (pthread_create(&threads[t], NULL, storm_thread,
                           (void *)((uintptr_t)atol(operations) << 8 | (2 * t + 1))) != 0)
            abort();
    for (int t = 0; t < STORM_THREADS; t++)
        pthread_join(threads[t], NULL);
    for (int i = 0; i < STORM_SLOTS; i++)
        free(slot[i]);
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "";

    if (strcmp(mode, "calls") == 0)
        run_calls();
    else if (strcmp(mode, "threads") == 0)
        run_threads();
    else if (strcmp(mode, "fork") == 0)
        run_fork();
    else if (strcmp(mode, "exec") == 0 && count > 2)
        return execv(arguments[2], &arguments[2]);
    else if (strcmp(mode, "kill") == 0 && keep(malloc(7050)) != NULL)
        kill(getpid(), SIGKILL);
    else if (strcmp(mode, "storm") == 0 && count > 2)
        run_storm(arguments[2]);
    _exit(0);
}
