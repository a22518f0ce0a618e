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
#include "tests/bench/options.h"
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct workload *const workloads[] = {
    &workload_loop,    &workload_lifo,     &workload_random,
    &workload_slots,   &workload_sh6bench, &workload_tree,
    &workload_large,   &workload_realloc,  &workload_server,
    &workload_churn,   &workload_ring,     &workload_xmalloc,
    &workload_rptest,  &workload_mstress,  &workload_thrash,
    &workload_scratch, &workload_trace,    NULL,
};

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
        return options_list(workloads);
    if (count == 2 && strcmp(words[1], "--allocator") == 0)
        return print_allocator();
    if (count < 2)
        bench_fail("say which workload; workloads --list shows what there is");
    options = options_parse(words + 2, 2);
    return run_workload(options_find(workloads, words[1]), &options);
}
