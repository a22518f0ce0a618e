/* SPDX-License-Identifier: MIT */
/*
 * Runs the decoder of tests/traces on files, on the developer's machine, for selftest.py.
 *
 *     decode FILE...           a line for each: "ok" or "STATUS offset N: words"
 *     decode --events FILE     a line for each event: op thread id old_id bytes align, - where none
 *
 * A file is read into a block of exactly its length, so that AddressSanitizer sees a read too far.
 */
#include "tests/traces/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    void *data;
    long end;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (end = ftell(file)) < 0) {
        perror(path);
        exit(2);
    }
    rewind(file);
    *bytes = (size_t)end;
    data = malloc(*bytes);
    if (data == NULL || fread(data, 1, *bytes, file) != *bytes) {
        perror(path);
        exit(2);
    }
    fclose(file);
    return data;
}

static void print_id(uint32_t id)
{
    if (id == TRACE_NO_ID)
        printf(" -");
    else
        printf(" %" PRIu32, id);
}

static void print_events(const struct trace *trace)
{
    struct trace_cursor cursor;
    struct trace_event event;

    trace_start(&cursor, trace);
    while (trace_next(&cursor, &event)) {
        printf("%d %" PRIu32, (int)event.op, event.thread);
        print_id(event.id);
        print_id(event.old_id);
        printf(" %" PRIu64 " %" PRIu64 "\n", event.bytes, event.align);
    }
}

static void decode(const char *path, int events)
{
    size_t bytes;
    void *data = read_file(path, &bytes);
    struct trace trace;
    enum trace_status status = trace_open(&trace, data, bytes);
    uint64_t *sizes = NULL;

    if (status == TRACE_OK) {
        sizes = malloc(trace.births * sizeof(*sizes) + 1);
        status = sizes == NULL ? TRACE_NO_MEMORY : trace_verify(&trace, sizes, trace.births);
    }
    if (status != TRACE_OK)
        printf("%d offset %zu: %s\n", (int)status, trace.error_offset, trace_status_text(status));
    else if (events)
        print_events(&trace);
    else
        printf("ok\n");
    free(sizes);
    free(data);
}

int main(int count, char **arguments)
{
    int events = count > 1 && strcmp(arguments[1], "--events") == 0;

    for (int i = 1 + events; i < count; i++)
        decode(arguments[i], events);
    return 0;
}
