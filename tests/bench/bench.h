/* SPDX-License-Identifier: MIT */
/*
 * Workloads that compare allocators: programs for Linux that call malloc, calloc, realloc,
 * posix_memalign and free, whosever they are. LD_PRELOAD decides. This header has what they share.
 *
 * 1. A workload does a fixed amount of work, which follows from its options alone, never from time.
 * 2. It begins with bench_clock_start() when its preparations are done, and returns its checksum.
 * 3. Every object is filled in with a tag as a program would fill it (object_touch) and its tag is
 *    read again before it ends. The checksum is the sum of what was read, so it is the same for
 * every allocator and every order of threads, unless one object's memory was given to another.
 * 4. Tables of pointers come from the kernel (bench_table), so that heaps hold objects only.
 *
 * Not here: starting processes, medians, the table and the chart (tools/bench), where each workload
 * comes from in the literature (README.md).
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define CACHE_LINE_BYTES 64u

struct bench_options {
    unsigned threads; /* at least 2: how many work at once where the workload is for threads */
    unsigned effort;  /* percent of the usual amount of work */
    unsigned markers; /* processors that a collector may use; of no matter to allocators */
    const char *file; /* the trace to replay, or NULL */
};

struct workload {
    const char *name;
    const char *about; /* one line for --list */
    uint64_t (*run)(const struct bench_options *options);
};

/* The workloads, by file. */
extern const struct workload workload_loop, workload_lifo, workload_random, workload_slots;
extern const struct workload workload_sh6bench, workload_tree, workload_large, workload_realloc;
extern const struct workload workload_server, workload_churn;
extern const struct workload workload_ring, workload_xmalloc, workload_rptest, workload_mstress;
extern const struct workload workload_thrash, workload_scratch;
extern const struct workload workload_trace;

/* ---- common.c ---- */

/* Preparations are over: what follows, to the end of run(), is measured. */
void bench_clock_start(void);

/* Nanoseconds since bench_clock_start(). */
uint64_t bench_clock_ns(void);

/* Ends the process after saying why, with status 2. */
void bench_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Zeroed memory from the kernel, for tables; kept to the end of the process. */
void *bench_table(size_t bytes);

/* `usual` times the effort, at least 1. */
unsigned bench_rounds(const struct bench_options *options, unsigned usual);

/* Runs `work(argument, index)` in `threads` threads, index 0 to threads - 1, and waits for all.
 * Returns the sum of what they return. */
uint64_t bench_parallel(unsigned threads, uint64_t (*work)(void *, unsigned), void *argument);

/* Waits a moment for another thread; `turns` counts the calls in one wait. */
void bench_wait_turn(unsigned *turns);

/* ---- random numbers: the same on every machine ---- */

/* A generator with 64 bits of state (xorshift64*, Vigna 2016). */
struct random {
    uint64_t state;
};

static inline struct random random_seeded(uint64_t seed)
{
    /* Any odd factor spreads small seeds over the state; the state must not be 0. */
    return (struct random){(seed + 1) * 0x9e3779b97f4a7c15u | 1};
}

static inline uint32_t random_next(struct random *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return (uint32_t)(random->state * 0x2545f4914f6cdd1du >> 32);
}

/* Less than `bound`, which is not 0. */
static inline uint32_t random_below(struct random *random, uint32_t bound)
{
    return (uint32_t)((uint64_t)random_next(random) * bound >> 32);
}

/* From `low` to `high`, both included. */
static inline uint32_t random_between(struct random *random, uint32_t low, uint32_t high)
{
    return low + random_below(random, high - low + 1);
}

/* From 2^low to 2^(high + 1) - 1, each power of two as often as the others: sizes of programs are
 * nearer to this than to an even distribution. */
static inline uint32_t random_log(struct random *random, unsigned low, unsigned high)
{
    uint32_t base = 1u << random_between(random, low, high);
    return base + random_below(random, base);
}

/* ---- objects: at least 8 bytes, with a tag in the first word ---- */

/* Fills an object in: a word in each cache line of the first KiB, then one in each page of 4 KiB.
 */
static inline void object_touch(void *object, size_t bytes, uint64_t tag)
{
    uint8_t *at = object;
    size_t offset = 0;

    for (; offset + sizeof(tag) <= bytes && offset < 1024; offset += CACHE_LINE_BYTES)
        __builtin_memcpy(at + offset, &tag, sizeof(tag));
    for (; offset + sizeof(tag) <= bytes; offset += 4096)
        __builtin_memcpy(at + offset, &tag, sizeof(tag));
}

static inline uint64_t object_tag(const void *object)
{
    uint64_t tag;
    __builtin_memcpy(&tag, object, sizeof(tag));
    return tag;
}

/* An object that is filled in; `bytes` is at least 8. */
static inline void *object_new(size_t bytes, uint64_t tag)
{
    void *object = malloc(bytes);

    if (object == NULL)
        bench_fail("malloc(%zu) gave NULL", bytes);
    object_touch(object, bytes, tag);
    return object;
}

/* Frees an object and returns its tag. */
static inline uint64_t object_free(void *object)
{
    uint64_t tag = object_tag(object);
    free(object);
    return tag;
}

/* Puts a new object in place of the one in `slot`, if there is one, and returns the old one's tag.
 */
static inline uint64_t object_replace(void **slot, size_t bytes, uint64_t tag)
{
    uint64_t old_tag = *slot == NULL ? 0 : object_free(*slot);
    *slot = object_new(bytes, tag);
    return old_tag;
}

/* Frees all objects of a table; returns the sum of their tags. */
static inline uint64_t objects_free_all(void **objects, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        if (objects[i] != NULL)
            sum += object_free(objects[i]);
    return sum;
}

#endif
