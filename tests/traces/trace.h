/* SPDX-License-Identifier: MIT */
/*
 * Reads allocation traces (.bht files, tools/trace-format.md): the allocations of a program's real
 * run, in their true order. Used by the replay on the boards and by tools on the host.
 *
 * 1. trace_open() checks a whole file that lies in memory: header, checksum, every event.
 * 2. trace_start() puts a cursor before the first event, trace_next() steps over one. A cursor is
 *    a few words and shares nothing, so each core walks the trace on its own.
 * 3. Every birth (all operations but free) has the next id: 0, 1, 2... in the order of the file. A
 *    death (free, realloc) names the id that ends. So all cores agree on ids without talking.
 * 4. trace_verify() also checks, with memory that the caller lends, what needs memory: that
 *    no id dies twice, and that the peaks in the header are true.
 *
 * Invariants: nothing here writes to the file, allocates, or reads outside [data, data + bytes).
 * After trace_open() said TRACE_OK a cursor fails only when somebody changes the file under it.
 * Locks: none. No libc: this is compiled into images that run on bare boards.
 * Not here: writing traces (tools/trace-convert), replaying them (tests/replay).
 */
#ifndef TESTS_TRACES_TRACE_H
#define TESTS_TRACES_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_VERSION 1
#define TRACE_NO_ID   UINT32_MAX

/* What is wrong with a file, and trace.error_offset is where. trace_status_text() has words. */
enum trace_status {
    TRACE_OK = 0,
    TRACE_TOO_SHORT,     /* the file ends before its header, texts or events do */
    TRACE_BAD_MAGIC,     /* it does not begin as a trace does */
    TRACE_BAD_VERSION,   /* a format this decoder does not know */
    TRACE_BAD_HEADER,    /* lengths that contradict one another, or a text without its end */
    TRACE_BAD_CHECKSUM,  /* the bytes are not those that were written */
    TRACE_BAD_OPERATION, /* an event byte that is not defined */
    TRACE_BAD_NUMBER,    /* a number that ends outside the events or is 2^59 or more */
    TRACE_BAD_THREAD,    /* a thread that the header does not count */
    TRACE_BAD_ID,        /* a death before the first birth, or more births than the header says */
    TRACE_BAD_ALIGNMENT, /* over 2^47 */
    TRACE_BAD_COUNT,     /* fewer events, births or threads than the header says, or more */
    TRACE_DOUBLE_DEATH,  /* an object is freed or reallocated that is dead (trace_verify) */
    TRACE_BAD_PEAK,      /* the header's peaks are not those of the events (trace_verify) */
    TRACE_NO_MEMORY,     /* the memory lent is too small (trace_verify) */
};

enum trace_op {
    TRACE_ALLOC,   /* malloc(bytes), C++'s new */
    TRACE_CALLOC,  /* calloc with product `bytes` */
    TRACE_ALIGNED, /* aligned_alloc(align, bytes), posix_memalign, memalign, valloc */
    TRACE_REALLOC, /* realloc(old_id, bytes): old_id ends, id begins */
    TRACE_FREE,    /* free(old_id) */
};

/* One event. Changes of thread are no events: they show in `thread`. */
struct trace_event {
    enum trace_op op;
    uint32_t thread; /* 0 to threads - 1, in order of first appearance */
    uint32_t id;     /* what is born; TRACE_NO_ID for a free */
    uint32_t old_id; /* what ends; TRACE_NO_ID unless free or realloc */
    uint64_t bytes;  /* as requested, 0 included; 0 for a free */
    uint64_t align;  /* a power of two for TRACE_ALIGNED, else 0 */
};

/* An open trace: the header in the machine's own byte order, and where things are. */
struct trace {
    const char *name;          /* short, a file name's stem: "sqlite3" */
    const char *note;          /* program, version, command line */
    uint32_t threads;          /* at least 1 */
    uint64_t events;           /* that trace_next() will deliver */
    uint32_t births;           /* ids are 0 to births - 1 */
    uint64_t peak_live_bytes;  /* most bytes alive at once, as requested */
    uint64_t peak_live_objs;   /* most objects alive at once */
    uint64_t max_object_bytes; /* the largest request */
    size_t file_bytes;         /* the file's own length: what follows is not part of it */
    size_t error_offset;       /* byte of the file at which trace_open() gave up */
    const uint8_t *start;      /* first event */
    const uint8_t *end;        /* behind the last */
};

/* A place in a trace, between two events. */
struct trace_cursor {
    const struct trace *trace;
    const uint8_t *at;
    uint64_t done;            /* events delivered so far */
    uint32_t next_id;         /* the id the next birth gets */
    uint32_t thread;          /* whose events these are now */
    enum trace_status status; /* why trace_next() said false: TRACE_OK at the end of the trace */
};

/*
 * Opens the trace at `data` (any alignment); bytes behind its end are ignored, as loaders pad.
 * Everything is checked but what trace_verify() checks. On failure only error_offset is set.
 */
enum trace_status trace_open(struct trace *trace, const void *data, size_t bytes);

/* Puts `cursor` before the first event of `trace`, which must stay where it is. */
void trace_start(struct trace_cursor *cursor, const struct trace *trace);

/* Steps over one event and describes it; false at the end, or at damage: see cursor->status. */
bool trace_next(struct trace_cursor *cursor, struct trace_event *event);

/* The offset in the file of the event that `cursor` stands before. */
size_t trace_offset(const struct trace_cursor *cursor);

/*
 * Checks that every id dies at most once and that the header's peaks are true. `sizes` is
 * memory for `count` words, at least trace->births; its contents are lost. Sets error_offset.
 */
enum trace_status trace_verify(struct trace *trace, uint64_t *sizes, size_t count);

/* The status in words, for messages: "an object dies twice". Never NULL. */
const char *trace_status_text(enum trace_status status);

#endif
