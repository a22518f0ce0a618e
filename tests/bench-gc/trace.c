/* SPDX-License-Identifier: MIT */
/*
 * trace: the recorded allocations of a real program, with collected objects: a free drops the
 * reference, a realloc copies. What the objects held is not in a trace; here they are rows of
 * cells, half of whose words may be pointers and are NULL.
 */
#include "tests/traces/trace.h"
#include "tests/bench-gc/heap.h"
#include "tests/bench/steps.h"
#include <string.h>

#define USUAL_EVENTS 4000000u
#define USUAL_BYTES  (4ull << 30)

struct held {
    struct cell *cells;
    uint64_t bytes; /* whole cells */
};

static struct held *held; /* by slot */

static uint64_t whole_cells(uint64_t bytes)
{
    return (bytes + sizeof(struct cell) - 1) / sizeof(struct cell) * sizeof(struct cell);
}

static uint64_t tag_of(const struct cell *cells)
{
    return cells == NULL ? 0 : cells->tag;
}

static uint64_t run_step(const struct step *step, uint64_t tag)
{
    struct held *slot = &held[step->slot];
    struct held old = *slot;

    if (step->op == TRACE_FREE) {
        *slot = (struct held){NULL, 0};
        return tag_of(old.cells);
    }
    *slot = (struct held){cells_new(step->bytes, tag), whole_cells(step->bytes)};
    if (step->op != TRACE_REALLOC || old.cells == NULL)
        return 0;
    memcpy(slot->cells, old.cells, old.bytes < slot->bytes ? old.bytes : slot->bytes);
    return slot->cells->tag;
}

static uint64_t run_once(const struct steps *steps)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < steps->count; i++)
        sum += run_step(&steps->steps[i], i);
    for (unsigned i = 0; i < steps->slots; i++) {
        sum += tag_of(held[i].cells);
        held[i] = (struct held){NULL, 0};
    }
    return sum;
}

/* How often the trace is run: until there were enough events, or enough bytes. */
static uint64_t rounds_of(const struct steps *steps, const struct bench_options *options)
{
    uint64_t bytes = 1, by_events = bench_rounds(options, USUAL_EVENTS) / (steps->count + 1);

    for (size_t i = 0; i < steps->count; i++)
        bytes += steps->steps[i].bytes;
    uint64_t by_bytes = USUAL_BYTES / 100 * options->effort / bytes;
    return 1 + (by_events < by_bytes ? by_events : by_bytes);
}

static uint64_t trace_run(const struct bench_options *options)
{
    struct steps steps;
    uint64_t sum = 0, rounds;

    if (options->file == NULL)
        bench_fail("say which trace: file=tests/traces/gcc.bht");
    steps = steps_read(options->file);
    rounds = rounds_of(&steps, options);
    held = collector_scan((steps.slots + 1) * sizeof(*held));
    bench_clock_start();
    for (uint64_t i = 0; i < rounds; i++)
        sum += run_once(&steps);
    return sum;
}

const struct workload workload_trace = {
    .name = "trace",
    .about = "the recorded allocations of a real program (file=)",
    .run = trace_run,
};
