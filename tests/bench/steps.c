/* SPDX-License-Identifier: MIT */
/*
 * Decodes a trace into steps (steps.h). The file is mapped and walked once.
 * Not here: the format (tests/traces/trace.h).
 */
#include "tests/bench/steps.h"
#include "tests/traces/trace.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SLOTS (1u << 24)
#define MIN_BYTES 8u /* for the tag */

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
struct steps steps_read(const char *path)
{
    struct trace trace = trace_open_file(path);
    struct steps steps = {.steps = bench_table(trace.events * sizeof(*steps.steps) + 1)};
    size_t table_bytes = ((size_t)trace.births + 1) * sizeof(uint32_t);
    struct slots slots = {.by_id = bench_table(table_bytes), .free = bench_table(table_bytes)};
    struct trace_cursor cursor;
    struct trace_event event;

    trace_start(&cursor, &trace);
    while (trace_next(&cursor, &event))
        steps.steps[steps.count++] = step_of(&event, &slots);
    steps.slots = slots.used;
    munmap(slots.by_id, table_bytes);
    munmap(slots.free, table_bytes);
    return steps;
}
