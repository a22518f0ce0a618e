/* SPDX-License-Identifier: MIT */
/*
 * What the workloads for garbage collectors share. Each is written once in C and compiled for both
 * collectors of C; go/ has the same in Go, step by step, with the same random numbers.
 *
 * 1. collector.h is that of bareheap/ or of libgc/, by the include path: allocation is inline in
 *    it, as in a program that was written for that collector alone.
 * 2. A workload does a fixed amount of work and returns a checksum, which is the same under every
 *    collector: an object that was freed too early, or given out twice, changes it.
 * 3. References live where all collectors look: static variables, stacks, collected objects.
 *
 * Not here: clock, options, random numbers (tests/bench/bench.h), running all in turn
 * (tools/bench-gc).
 */
#ifndef TESTS_BENCH_GC_HEAP_H
#define TESTS_BENCH_GC_HEAP_H

#include "tests/bench/bench.h"
#include <collector.h>

/* The pauses of the whole run. `cycles` is how many collections there were. */
struct collector_report {
    uint64_t cycles;
    uint64_t pause_max_ns;
    uint64_t pause_p99_ns;
    uint64_t pause_total_ns;
};

/* ---- bareheap/collector.c, libgc/collector.c ---- */

/* Once, by the first thread, which becomes the mutator 0. At most `markers` processors work in a
 * stop; `threads` threads will use the heap. */
void collector_init(unsigned threads, unsigned markers);

/* Before and after a thread other than the first uses the heap. */
void collector_enter(void);
void collector_leave(void);

/* A whole collection, now. Returns the nanoseconds that marking took. */
uint64_t collector_collect(void);

/* finalize(object, NULL) is to be called by collector_run_finalizers() once `object` is garbage. */
void collector_set_finalizer(void *object, void (*finalize)(void *object, void *unused));
void collector_run_finalizers(void);

void collector_report(struct collector_report *report);

/* ---- main.c ---- */

/* What is printed instead of the time since bench_clock_start(), when it is not 0. */
extern uint64_t heap_time_ns;

/* Runs work(argument, index) in `threads` threads, of which the caller is the first, and returns
 * the sum of what they return. */
uint64_t heap_parallel(unsigned threads, uint64_t (*work)(void *, unsigned), void *argument);

/* A depth of trees: one less for each halving of the effort. */
unsigned heap_depth(const struct bench_options *options, unsigned usual);

/* The workloads, by file. */
extern const struct workload workload_trees, workload_gcbench, workload_graph, workload_arrays;
extern const struct workload workload_lists, workload_map, workload_storm, workload_storm_mixed;
extern const struct workload workload_finalizers, workload_fragments, workload_trace;

/* ---- objects of any size ---- */

/* An object is a row of these: half of its words may be pointers. */
struct cell {
    struct cell *next;
    uint64_t tag;
};

/* `bytes` rounded up to whole cells, filled in as object_touch() does, with the tag in the first
 * cell; the pointers are NULL. */
static inline struct cell *cells_new(size_t bytes, uint64_t tag)
{
    size_t count = (bytes + sizeof(struct cell) - 1) / sizeof(struct cell);
    struct cell *cells = collector_scan(count * sizeof(struct cell));

    for (size_t i = 0; i < count && i < 64; i += 4)
        cells[i].tag = tag;
    for (size_t i = 64; i < count; i += 256)
        cells[i].tag = tag;
    return cells;
}

#endif
