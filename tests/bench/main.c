/* SPDX-License-Identifier: MIT */
/*
 * Runs one workload and prints its time and checksum:
 *
 *     workloads NAME [threads=N] [effort=PERCENT] [file=TRACE]
 *     workloads --list          names, and what they are
 *     workloads --allocator     the file that malloc comes from
 *
 * The line is "time_ns=N checksum=N". Status 0 unless the options or the workload failed.
 */
#define _GNU_SOURCE
#include "tests/bench/bench.h"
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct workload *const workloads[] = {
    &workload_loop,    &workload_lifo,    &workload_random,  &workload_slots,   &workload_sh6bench,
    &workload_tree,    &workload_large,   &workload_realloc, &workload_server,  &workload_churn,
    &workload_ring,    &workload_xmalloc, &workload_rptest,  &workload_mstress, &workload_thrash,
    &workload_scratch, &workload_trace,
};
#define WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

/* The most that an effort multiplies the usual work by is 100. */
#define MAX_EFFORT 10000ul

static int list_workloads(void)
{
    for (size_t i = 0; i < WORKLOADS; i++)
        printf("%-9s %s\n", workloads[i]->name, workloads[i]->about);
    return 0;
}

/* A preloaded library that ld.so could not load is only a warning: tools/bench asks here. */
static int print_allocator(void)
{
    Dl_info info;
    void *(*function)(size_t) = malloc;
    void *address;

    memcpy(&address, &function, sizeof(address));
    if (dladdr(address, &info) == 0 || info.dli_fname == NULL)
        bench_fail("malloc is in no file");
    puts(info.dli_fname);
    return 0;
}

static unsigned parse_number(const char *text, unsigned long low, unsigned long high)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value < low || value > high)
        bench_fail("%s: a number from %lu to %lu is wanted", text, low, high);
    return (unsigned)value;
}

static struct bench_options parse_options(char **words)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct bench_options options = {.effort = 100,
                                    .threads = processors > 2 ? (unsigned)processors : 2};

    for (; *words != NULL; words++) {
        if (strncmp(*words, "threads=", 8) == 0)
            options.threads = parse_number(*words + 8, 2, 64);
        else if (strncmp(*words, "effort=", 7) == 0)
            options.effort = parse_number(*words + 7, 1, MAX_EFFORT);
        else if (strncmp(*words, "file=", 5) == 0)
            options.file = *words + 5;
        else
            bench_fail("%s: no option; there are threads=N, effort=PERCENT, file=TRACE", *words);
    }
    return options;
}

static const struct workload *find_workload(const char *name)
{
    for (size_t i = 0; i < WORKLOADS; i++)
        if (strcmp(workloads[i]->name, name) == 0)
            return workloads[i];
    bench_fail("%s: no workload; workloads --list shows what there is", name);
}

static int run_workload(const struct workload *workload, const struct bench_options *options)
{
    uint64_t checksum, time_ns;

    bench_clock_start();
    checksum = workload->run(options);
    time_ns = bench_clock_ns();
    printf("time_ns=%" PRIu64 " checksum=%" PRIu64 "\n", time_ns, checksum);
    return 0;
}

int main(int count, char **words)
{
    struct bench_options options;

    if (count == 2 && strcmp(words[1], "--list") == 0)
        return list_workloads();
    if (count == 2 && strcmp(words[1], "--allocator") == 0)
        return print_allocator();
    if (count < 2)
        bench_fail("say which workload; workloads --list shows what there is");
    options = parse_options(words + 2);
    return run_workload(find_workload(words[1]), &options);
}
