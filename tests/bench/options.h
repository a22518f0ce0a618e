/* SPDX-License-Identifier: MIT */
/* The command line of a program of workloads: NAME [threads=N] [effort=PERCENT] ... */
#ifndef TESTS_BENCH_OPTIONS_H
#define TESTS_BENCH_OPTIONS_H

#include "tests/bench/bench.h"

/* Prints names and what they are; returns 0. The list ends with NULL. */
int options_list(const struct workload *const *workloads);

/* Ends the process when there is none of the name. */
const struct workload *options_find(const struct workload *const *workloads, const char *name);

/* The options in `words`, which ends with NULL. Threads are at least `least_threads`, and as many
 * as there are processors when nothing is said. */
struct bench_options options_parse(char **words, unsigned least_threads);

#endif
