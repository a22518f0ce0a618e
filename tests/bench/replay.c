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
#include "tests/bench/bench.h"
#include "tests/traces/trace.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define USUAL_EVENTS 15000000u
#define USUAL_ROUNDS 300u /* at most: few events of many bytes take time, too */
#define MAX_SLOTS    (1u << 24)
#define MIN_BYTES    8u /* for the tag */

/* An event as it is run: half a cache line holds four. */
struct step {
    uint32_t op : 3;
    uint32_t align_shift : 5;
    uint32_t slot : 24;
    uint32_t bytes;
};

struct player {
    struct step *steps;
    size_t count;
    void **objects; /* by slot */
    unsigned slots;
};

/* While decoding: which slot an id has, and the slots that are free, as a stack. */
struct slots {
    uint32_t *by_id;
    uint32_t *free;
    uint32_t free_count;
    uint32_t used;
};

static struct trace trace_open_file(const char *path)
{
    struct stat about;
    struct trace trace;
    enum trace_status status;
    void *data;
    int file = open(path, O_RDONLY);

    if (file < 0 || fstat(file, &about) != 0)
        bench_fail("%s cannot be read", path);
    data = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED)
        bench_fail("%s cannot be mapped", path);
    close(file);
    status = trace_open(&trace, data, (size_t)about.st_size);
    if (status != TRACE_OK)
        bench_fail("%s at offset %zu: %s", path, trace.error_offset, trace_status_text(status));
    return trace;
}

static uint32_t slot_take(struct slots *slots, const struct trace_event *event)
{
    uint32_t slot;

    if (event->old_id != TRACE_NO_ID)
        slot = slots->by_id[event->old_id];
    else
        slot = slots->free_count > 0 ? slots->free[--slots->free_count] : slots->used++;
    if (slot >= MAX_SLOTS)
        bench_fail("the trace has more than %u objects alive at once", MAX_SLOTS);
    if (event->id != TRACE_NO_ID)
        slots->by_id[event->id] = slot;
    else
        slots->free[slots->free_count++] = slot;
    return slot;
}

static struct step step_of(const struct trace_event *event, struct slots *slots)
{
    uint64_t bytes = event->bytes < MIN_BYTES ? MIN_BYTES : event->bytes;

    if (bytes > UINT32_MAX)
        bench_fail("the trace has an object of 4 GiB or more");
    return (struct step){
        .op = event->op & 7,
        .align_shift = event->align == 0 ? 0 : (unsigned)__builtin_ctzll(event->align) & 31,
        .slot = slot_take(slots, event) & (MAX_SLOTS - 1),
        .bytes = (uint32_t)bytes,
    };
}

/* All that decoding needs and running does not is given back to the kernel. */
static struct player decode(const char *path)
{
    struct trace trace = trace_open_file(path);
    struct player player = {.steps = bench_table(trace.events * sizeof(*player.steps) + 1)};
    size_t table_bytes = ((size_t)trace.births + 1) * sizeof(uint32_t);
    struct slots slots = {.by_id = bench_table(table_bytes), .free = bench_table(table_bytes)};
    struct trace_cursor cursor;
    struct trace_event event;

    trace_start(&cursor, &trace);
    while (trace_next(&cursor, &event))
        player.steps[player.count++] = step_of(&event, &slots);
    player.slots = slots.used;
    player.objects = bench_table((player.slots + 1) * sizeof(*player.objects));
    munmap(slots.by_id, table_bytes);
    munmap(slots.free, table_bytes);
    return player;
}

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

static uint64_t run_trace(struct player *player)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < player->count; i++)
        sum += run_step(&player->steps[i], &player->objects[player->steps[i].slot], i);
    sum += objects_free_all(player->objects, player->slots);
    for (unsigned i = 0; i < player->slots; i++)
        player->objects[i] = NULL;
    return sum;
}

static uint64_t trace_run(const struct bench_options *options)
{
    struct player player;
    uint64_t sum = 0;
    size_t rounds, most;

    if (options->file == NULL)
        bench_fail("say which trace: file=tests/traces/gcc.bht");
    player = decode(options->file);
    rounds = bench_rounds(options, USUAL_EVENTS) / (player.count + 1) + 1;
    most = bench_rounds(options, USUAL_ROUNDS);
    bench_clock_start();
    for (size_t i = 0; i < rounds && i < most; i++)
        sum += run_trace(&player);
    return sum;
}

const struct workload workload_trace = {
    .name = "trace",
    .about = "the recorded allocations of a real program (file=)",
    .run = trace_run,
};
