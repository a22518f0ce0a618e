/* SPDX-License-Identifier: MIT */
/* The command line of a program of workloads; what is wrong with it ends the process. */
#include "tests/bench/options.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The most that an effort multiplies the usual work by is 100. */
#define MAX_EFFORT 10000ul

int options_list(const struct workload *const *workloads)
{
    for (; *workloads != NULL; workloads++)
        printf("%-11s %s\n", (*workloads)->name, (*workloads)->about);
    return 0;
}

const struct workload *options_find(const struct workload *const *workloads, const char *name)
{
    for (; *workloads != NULL; workloads++)
        if (strcmp((*workloads)->name, name) == 0)
            return *workloads;
    bench_fail("%s: no workload; --list shows what there is", name);
}

static unsigned parse_number(const char *text, unsigned long low, unsigned long high)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value < low || value > high)
        bench_fail("%s: a number from %lu to %lu is wanted", text, low, high);
    return (unsigned)value;
}

static struct bench_options defaults(unsigned least_threads)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned count = processors < 1 ? 1 : (unsigned)processors;

    return (struct bench_options){
        .effort = 100,
        .threads = least_threads == 1 || count > least_threads ? count : least_threads,
        .markers = count,
    };
}

struct bench_options options_parse(char **words, unsigned least_threads)
{
    struct bench_options options = defaults(least_threads);

    for (; *words != NULL; words++) {
        if (strncmp(*words, "threads=", 8) == 0)
            options.threads = parse_number(*words + 8, least_threads, 64);
        else if (strncmp(*words, "effort=", 7) == 0)
            options.effort = parse_number(*words + 7, 1, MAX_EFFORT);
        else if (strncmp(*words, "markers=", 8) == 0)
            options.markers = parse_number(*words + 8, 1, 16);
        else if (strncmp(*words, "file=", 5) == 0)
            options.file = *words + 5;
        else
            bench_fail("%s: no option; there are threads=N, effort=PERCENT, markers=N, file=TRACE",
                       *words);
    }
    return options;
}
