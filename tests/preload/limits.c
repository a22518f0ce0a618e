/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out: a process with a limit on its address space gets NULL and ENOMEM, keeps
 * what it has, and can allocate again after freeing. More than the machine has is refused, and
 * nothing is touched for it; nor is what a heap grows by. And memory that comes back: the resident
 * size falls after malloc_trim(), and the heap works on.
 */
#define _GNU_SOURCE
#include "tests/preload/expect.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#define LIMIT_BYTES ((rlim_t)1 << 30)
#define BLOCK_BYTES ((size_t)3 << 20)
#define BLOCKS_MOST 1000
#define TOUCHED_HI  ((size_t)64 << 20) /* of what a request that is refused may make resident */

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

static void wait_for(pid_t child)
{
    int status = 0;
    EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
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
    wait_for(child);
}

static size_t machine_bytes(void)
{
    struct sysinfo info;
    EXPECT(sysinfo(&info) == 0);
    return ((size_t)info.totalram + info.totalswap) * info.mem_unit;
}

/* A heap of 64 MiB that has to grow for one large object. What it grows by has its metadata, a part
 * in 120, and is twice as much. */
static int be_small(void)
{
    free(malloc(100)); /* makes the heap */
    size_t before = resident_bytes();
    size_t bytes = machine_bytes() / 4;
    volatile char *object = malloc(bytes);
    if (!object) {
        puts("skip: the system refuses a quarter of its memory");
        return 0;
    }
    object[0] = 1;
    object[bytes - 1] = 1;
    EXPECT(resident_bytes() - before < bytes / 400 + (2u << 20));
    EXPECT(mallinfo2().arena < bytes + bytes / 4 + (64u << 20)); /* the rest was never touched */
    free((void *)object);
    puts("ok");
    return 0;
}

static void test_growth(const char *self)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("BAREHEAP_RESERVE", "64M", 1);
        execl(self, self, "small", (char *)NULL);
        _exit(3);
    }
    wait_for(child);
}

/* NULL with a word why, or memory that can be used; cheap in either case. */
static void expect_honest(char *object, size_t bytes, size_t resident_before)
{
    EXPECT(object || errno == ENOMEM);
    if (object) {
        object[0] = 1;
        object[bytes - 1] = 1;
    }
    free(object);
    EXPECT(resident_bytes() < resident_before + TOUCHED_HI);
    errno = 0;
}

/* What the compiler must not know to be absurd. */
static volatile size_t far_apart = (size_t)1 << 40;

static void test_more_than_there_is(void)
{
    free(malloc(100));
    size_t before = resident_bytes();
    errno = 0;
    for (unsigned shift = 37; shift <= 45; shift++) {
        size_t bytes = (size_t)1 << shift;
        expect_honest(malloc(bytes), bytes, before);
        expect_honest(calloc(1, bytes), bytes, before);
    }
    expect_honest(aligned_alloc(far_apart, 100), 100, before);
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
    if (argc > 1 && strcmp(argv[1], "small") == 0)
        return be_small();
    test_limit(argv[0]);
    test_growth(argv[0]);
    test_more_than_there_is();
    test_release();
    puts("ok");
    return 0;
}
