/* SPDX-License-Identifier: MIT */
/*
 * The heap before main() and after it: constructors, exit handlers, destructors, a thread that is
 * still running while the process ends.
 */
#define _GNU_SOURCE
#include "tests/preload/expect.h"
#include <pthread.h>
#include <stdlib.h>

static char *early;

static __attribute__((constructor(101))) void before_main(void)
{
    early = strdup("before main");
}

static void *allocate_for_ever(void *arg)
{
    (void)arg;
    for (uint32_t seed = 1;;) {
        size_t bytes = next_random(&seed) % 5000;
        void *object = malloc(bytes);
        fill(object, bytes);
        free(object);
    }
    return NULL;
}

static void at_exit(void)
{
    char *late = NULL;
    EXPECT(asprintf(&late, "%s, %d", early, 42) > 0);
    EXPECT(late && strcmp(late, "before main, 42") == 0);
    free(late);
}

static __attribute__((destructor)) void after_main(void)
{
    void *object = malloc(1000);
    fill(object, 1000);
    EXPECT(is_filled(object, 1000));
    free(object);
    free(early);
}

int main(void)
{
    pthread_t thread;
    EXPECT(strcmp(early, "before main") == 0);
    atexit(at_exit);
    EXPECT(pthread_create(&thread, NULL, allocate_for_ever, NULL) == 0);
    pthread_detach(thread);
    usleep(20000);
    puts("ok");
    return 0;
}
