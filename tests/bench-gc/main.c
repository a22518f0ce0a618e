/* SPDX-License-Identifier: MIT */
/*
 * Runs one workload under the collector this is compiled for and prints one line:
 *
 *     bareheap|libgc NAME [threads=N] [effort=PERCENT] [markers=N] [file=TRACE]
 *     bareheap|libgc --list
 *
 *     time_ns=N checksum=N cycles=N pause_max_ns=N pause_p99_ns=N pause_total_ns=N
 *
 * The Go program prints the same. Status 0 unless the options or the workload failed.
 */
#include "tests/bench-gc/heap.h"
#include "tests/bench/options.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define MOST_THREADS 16u
#define LEAST_DEPTH  6u

static const struct workload *const workloads[] = {
    &workload_trees, &workload_gcbench,    &workload_graph,     &workload_arrays,
    &workload_lists, &workload_map,        &workload_storm,     &workload_storm_mixed,
    &workload_trace, &workload_finalizers, &workload_fragments, NULL,
};

uint64_t heap_time_ns;

unsigned heap_depth(const struct bench_options *options, unsigned usual)
{
    for (unsigned effort = options->effort; effort < 100 && usual > LEAST_DEPTH; effort *= 2)
        usual--;
    return usual;
}

struct job {
    uint64_t (*work)(void *, unsigned);
    void *argument;
    unsigned index;
    uint64_t result;
    pthread_t thread;
};

/* Not on the stack: what earlier calls left in its unused part would stay in sight of the
 * collectors for as long as the threads run. */
static struct job jobs[MOST_THREADS];

static void *run_job(void *argument)
{
    struct job *job = argument;

    collector_enter();
    job->result = job->work(job->argument, job->index);
    collector_leave();
    return NULL;
}

uint64_t heap_parallel(unsigned threads, uint64_t (*work)(void *, unsigned), void *argument)
{
    uint64_t sum;

    if (threads > MOST_THREADS)
        bench_fail("%u threads at once; at most %u can be", threads, MOST_THREADS);
    for (unsigned i = 1; i < threads; i++) {
        jobs[i] = (struct job){.work = work, .argument = argument, .index = i};
        if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]) != 0)
            bench_fail("thread %u of %u cannot be created", i + 1, threads);
    }
    sum = work(argument, 0);
    for (unsigned i = 1; i < threads; i++) {
        pthread_join(jobs[i].thread, NULL);
        sum += jobs[i].result;
    }
    return sum;
}

static int run_workload(const struct workload *workload, const struct bench_options *options)
{
    struct collector_report report;
    uint64_t checksum, time_ns;

    collector_init(options->threads, options->markers);
    bench_clock_start();
    checksum = workload->run(options);
    time_ns = heap_time_ns == 0 ? bench_clock_ns() : heap_time_ns;
    collector_report(&report);
    printf("time_ns=%" PRIu64 " checksum=%" PRIu64 " cycles=%" PRIu64 " pause_max_ns=%" PRIu64
           " pause_p99_ns=%" PRIu64 " pause_total_ns=%" PRIu64 "\n",
           time_ns, checksum, report.cycles, report.pause_max_ns, report.pause_p99_ns,
           report.pause_total_ns);
    return 0;
}

int main(int count, char **words)
{
    struct bench_options options;

    if (count == 2 && strcmp(words[1], "--list") == 0)
        return options_list(workloads);
    if (count < 2)
        bench_fail("say which workload; --list shows what there is");
    options = options_parse(words + 2, 1);
    return run_workload(options_find(workloads, words[1]), &options);
}
