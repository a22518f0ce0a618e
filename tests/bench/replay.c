/* SPDX-License-Identifier: MIT */
/*
 * trace: the recorded allocations of a real program (a file of tests/traces), repeated in their
 * true order.
 *
 * 1. The file is mapped and decoded once into eight bytes an event; that is not measured.
 * 2. Objects get slots, which are used again, so that the table is no larger than the most objects
 * alive at once, and a realloc stays in its slot.
 * 3. The trace is then run so often that it makes some millions of events, each time to an empty
 * heap; a trace of few events at most some hundred times.
 *
 * One thread runs all events, also of traces with several threads: waiting for each other's
 * objects would take longer than allocating them.
 * Not here: the format (tests/traces/trace.h), the replay with all checks (tests/replay).
 */
#include "tests/bench/steps.h"
#include "tests/traces/trace.h"

#define USUAL_EVENTS 15000000u
#define USUAL_ROUNDS 300u /* at most: few events of many bytes take time, too */

static void *allocate(const struct step *step)
{
    size_t align = (size_t)1 << step->align_shift;
    void *object = NULL;

    if (step->op == TRACE_ALLOC)
        return malloc(step->bytes);
    if (step->op == TRACE_CALLOC)
        return calloc(1, step->bytes);
    if (posix_memalign(&object, align < sizeof(void *) ? sizeof(void *) : align, step->bytes) != 0)
        return NULL;
    return object;
}

/* A reallocated object must have kept its tag, which is then part of the sum. */
static uint64_t run_step(const struct step *step, void **slot, uint64_t tag)
{
    uint64_t sum = 0;

    if (step->op == TRACE_FREE) {
        sum = object_free(*slot);
        *slot = NULL;
        return sum;
    }
    if (step->op == TRACE_REALLOC) {
        *slot = realloc(*slot, step->bytes);
        sum = *slot == NULL ? 0 : object_tag(*slot);
    } else {
        *slot = allocate(step);
    }
    if (*slot == NULL)
        bench_fail("%u bytes cannot be had", step->bytes);
    object_touch(*slot, step->bytes, tag);
    return sum;
}

static uint64_t run_trace(const struct steps *steps, void **objects)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < steps->count; i++)
        sum += run_step(&steps->steps[i], &objects[steps->steps[i].slot], i);
    sum += objects_free_all(objects, steps->slots);
    for (unsigned i = 0; i < steps->slots; i++)
        objects[i] = NULL;
    return sum;
}

static uint64_t trace_run(const struct bench_options *options)
{
    struct steps steps;
    void **objects;
    uint64_t sum = 0;
    size_t rounds, most;

    if (options->file == NULL)
        bench_fail("say which trace: file=tests/traces/gcc.bht");
    steps = steps_read(options->file);
    objects = bench_table((steps.slots + 1) * sizeof(*objects));
    rounds = bench_rounds(options, USUAL_EVENTS) / (steps.count + 1) + 1;
    most = bench_rounds(options, USUAL_ROUNDS);
    bench_clock_start();
    for (size_t i = 0; i < rounds && i < most; i++)
        sum += run_trace(&steps, objects);
    return sum;
}

const struct workload workload_trace = {
    .name = "trace",
    .about = "the recorded allocations of a real program (file=)",
    .run = trace_run,
};
