/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out: a process with a limit on its address space gets NULL and ENOMEM, keeps
 * what it has, and can allocate again after freeing. And memory that comes back: the resident size
 * falls after malloc_trim(), and the heap works on.
 */
#define _GNU_SOURCE
#include "tests/preload/expect.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define LIMIT_BYTES ((rlim_t)1 << 30)
#define BLOCK_BYTES ((size_t)3 << 20)
#define BLOCKS_MOST 1000

static size_t resident_bytes(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    EXPECT(file && fscanf(file, "%*u %zu", &pages) == 1);
    if (file)
        fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static unsigned allocate_all(void **blocks, size_t bytes)
{
    unsigned n = 0;
    while (n < BLOCKS_MOST && (blocks[n] = malloc(bytes)) != NULL)
        n++;
    return n;
}

/* In a process of its own: the heap of this one has its memory already. */
static int be_limited(void)
{
    static void *blocks[BLOCKS_MOST];
    errno = 0;
    unsigned n = allocate_all(blocks, BLOCK_BYTES);
    EXPECT(n > 100 && n < BLOCKS_MOST && errno == ENOMEM); /* a third of the limit at least */
    for (unsigned i = 0; i < n; i++)
        fill(blocks[i], 1000);
    for (unsigned i = 0; i < n; i++) {
        EXPECT(is_filled(blocks[i], 1000));
        free(blocks[i]);
    }
    EXPECT(allocate_all(blocks, BLOCK_BYTES) >= n);
    puts("ok");
    return 0;
}

static void test_limit(const char *self)
{
    struct rlimit limit = {LIMIT_BYTES, LIMIT_BYTES};
    pid_t child = fork();
    if (child == 0) {
        if (setrlimit(RLIMIT_AS, &limit) != 0)
            _exit(2);
        execl(self, self, "limited", (char *)NULL);
        _exit(3);
    }
    int status = 0;
    EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_release(void)
{
    static void *objects[40000];
    for (size_t i = 0; i < 40000; i++) {
        objects[i] = malloc(2000);
        fill(objects[i], 2000);
    }
    size_t full = resident_bytes();
    for (size_t i = 0; i < 40000; i++)
        free(objects[i]);
    malloc_trim(0);
    size_t trimmed = resident_bytes();
    EXPECT(trimmed + (60u << 20) < full);
    for (size_t i = 0; i < 40000; i++) {
        objects[i] = malloc(2000);
        fill(objects[i], 2000);
    }
    for (size_t i = 0; i < 40000; i++) {
        EXPECT(is_filled(objects[i], 2000));
        free(objects[i]);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "limited") == 0)
        return be_limited();
    test_limit(argv[0]);
    test_release();
    puts("ok");
    return 0;
}
