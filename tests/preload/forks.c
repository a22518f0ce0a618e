/* SPDX-License-Identifier: MIT */
/*
 * fork() while other threads allocate: the child can use the heap at once, start threads of its
 * own, fork again; handlers of pthread_atfork() may allocate, and a signal handler may fork.
 */
#define _GNU_SOURCE
#include "tests/preload/expect.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#define THREADS 4
#define FORKS   150
#define HANG_S  60 /* a child that takes so long hangs */

static bool stop;

static void use_heap(uint32_t seed, unsigned rounds)
{
    void *objects[64] = {NULL};
    size_t bytes[64] = {0};
    for (unsigned i = 0; i < rounds; i++) {
        unsigned k = next_random(&seed) % 64;
        if (objects[k])
            EXPECT(is_filled(objects[k], bytes[k]));
        free(objects[k]);
        bytes[k] = next_random(&seed) % (i % 50 == 0 ? 200000 : 2000);
        objects[k] = malloc(bytes[k]);
        EXPECT(objects[k] != NULL);
        fill(objects[k], bytes[k]);
    }
    for (unsigned k = 0; k < 64; k++)
        free(objects[k]);
}

static void *allocate_until_stopped(void *arg)
{
    uint32_t seed = (uint32_t)(uintptr_t)arg;
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
        use_heap(seed++, 200);
    return NULL;
}

static void *allocate_once(void *arg)
{
    use_heap((uint32_t)(uintptr_t)arg, 300);
    return NULL;
}

static void use_threads(void)
{
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++)
        EXPECT(pthread_create(&threads[i], NULL, allocate_once, (void *)i) == 0);
    for (uintptr_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

static void wait_for(pid_t child)
{
    int status = 0;
    EXPECT(child > 0);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void fork_again(unsigned number)
{
    pid_t grandchild = fork();
    if (grandchild == 0) {
        use_heap(number, 300);
        _exit(0);
    }
    wait_for(grandchild);
}

static _Noreturn void be_child(unsigned number)
{
    alarm(HANG_S);
    use_heap(number, 300);
    if (number % 10 == 0)
        use_threads();
    if (number % 25 == 0)
        fork_again(number);
    _exit(0);
}

/* Handlers of others allocate; theirs run outside ours, being registered later. */
static void allocate_in_handler(void)
{
    use_heap(3, 20);
}

/* Two threads fork at the same time. */
static void *fork_as_well(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < FORKS / 3; i++) {
        pid_t child = fork();
        if (child == 0)
            be_child(i * 10 + 3);
        wait_for(child);
    }
    return NULL;
}

static void fork_in_handler(int signal_number)
{
    (void)signal_number;
    int error = errno;
    pid_t child = fork();
    if (child == 0)
        _exit(0); /* the signal may have come in the middle of malloc: no heap here */
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    errno = error;
}

/* With one thread the handler may interrupt malloc anywhere; fork waits for nobody then. */
static void test_signals(void)
{
    struct sigaction action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    pid_t parent = getpid();
    pid_t sender = fork();
    if (sender == 0) {
        for (int i = 0; i < 100; i++) {
            kill(parent, SIGUSR1);
            usleep(300);
        }
        _exit(0);
    }
    for (unsigned i = 0; i < 300; i++)
        use_heap(i, 200);
    wait_for(sender);
    signal(SIGUSR1, SIG_IGN);
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_t forker;
    alarm(4 * HANG_S);
    test_signals();
    pthread_atfork(allocate_in_handler, allocate_in_handler, allocate_in_handler);
    for (uintptr_t i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, allocate_until_stopped, (void *)i) == 0);
    EXPECT(pthread_create(&forker, NULL, fork_as_well, NULL) == 0);
    for (unsigned i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0)
            be_child(i);
        wait_for(child);
    }
    pthread_join(forker, NULL);
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    puts("ok");
    return 0;
}
