/* SPDX-License-Identifier: MIT */
/*
 * What workloads share: the clock, tables from the kernel, threads, waiting, failing.
 *
 * Locks: none. bench_parallel() hands its arguments over by pthread_create and the results back by
 * pthread_join, which order memory.
 */
#include "tests/bench/bench.h"
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#define MAX_THREADS 256u

/* How often a waiting thread looks again before it lets others have the processor. */
#define SPINS_BEFORE_YIELD 64u

static uint64_t clock_started_ns;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_clock_start(void)
{
    clock_started_ns = now_ns();
}

uint64_t bench_clock_ns(void)
{
    return now_ns() - clock_started_ns;
}

void bench_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("workloads: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

void *bench_table(size_t bytes)
{
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (table == MAP_FAILED)
        bench_fail("the kernel has no %zu bytes for a table", bytes);
    return table;
}

unsigned bench_rounds(const struct bench_options *options, unsigned usual)
{
    uint64_t rounds = (uint64_t)usual * options->effort / 100;
    return rounds == 0 ? 1 : (unsigned)rounds;
}

struct job {
    uint64_t (*work)(void *, unsigned);
    void *argument;
    unsigned index;
    uint64_t result;
    pthread_t thread;
};

static void *run_job(void *argument)
{
    struct job *job = argument;
    job->result = job->work(job->argument, job->index);
    return NULL;
}

uint64_t bench_parallel(unsigned threads, uint64_t (*work)(void *, unsigned), void *argument)
{
    struct job jobs[MAX_THREADS];
    uint64_t sum = 0;

    if (threads > MAX_THREADS)
        bench_fail("%u threads at once; at most %u can be", threads, MAX_THREADS);
    for (unsigned i = 0; i < threads; i++) {
        jobs[i] = (struct job){.work = work, .argument = argument, .index = i};
        if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]) != 0)
            bench_fail("thread %u of %u cannot be created", i + 1, threads);
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(jobs[i].thread, NULL);
        sum += jobs[i].result;
    }
    return sum;
}

void bench_wait_turn(unsigned *turns)
{
    if (++*turns >= SPINS_BEFORE_YIELD)
        sched_yield();
}
