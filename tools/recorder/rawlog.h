/* SPDX-License-Identifier: MIT */
/*
 * The raw log that the recorder writes and tools/rawlog.py reads: a file that the recorded process
 * maps, a header page and then one record per call.
 *
 * 1. A record's place is its place in time: a thread takes the next index with one atomic add and
 *    then fills the record.
 * 2. `op` is stored last; a record whose op is 0 was being filled when the process ended.
 * 3. free is logged before the memory is given back, alloc after it was had, and realloc twice:
 *    so an address is never seen alive twice.
 *
 * Invariant: next may pass capacity; records past it were dropped, and what is in the file is a
 * valid beginning. The file lives as long as the mapping: _exit, exec and a kill lose nothing.
 * Both sides run on one machine: native byte order.
 */
#ifndef TOOLS_RECORDER_RAWLOG_H
#define TOOLS_RECORDER_RAWLOG_H

#include <stdint.h>

#define RAWLOG_MAGIC        0x31474f4c57415242ULL /* "BRAWLOG1" */
#define RAWLOG_HEADER_BYTES 8192
#define RAWLOG_COMMAND_MAX  4096

enum rawlog_op {
    RAWLOG_UNFINISHED = 0,
    RAWLOG_ALLOC = 1,
    RAWLOG_CALLOC = 2,
    RAWLOG_ALIGNED = 3,
    RAWLOG_FREE = 4,
    RAWLOG_REALLOC_BEGIN = 5, /* address: the old one, which may be given back from here on */
    RAWLOG_REALLOC_END = 6,   /* address: the new one; 0 and bytes not 0: it failed */
};

struct rawlog_record {
    uint64_t address;
    uint64_t bytes;      /* as requested; 0 for FREE and REALLOC_BEGIN */
    uint32_t thread;     /* in order of first appearance, from 0 */
    uint8_t align_shift; /* ALIGNED only */
    uint8_t op;          /* enum rawlog_op, stored last with release */
    uint16_t unused;
};

struct rawlog_header {
    uint64_t magic;
    uint64_t capacity; /* records that the file has room for */
    uint64_t next;     /* records begun */
    uint32_t pid;
    uint32_t forked;                  /* 1: the process has objects from before its fork */
    uint64_t command_bytes;           /* of command: the arguments, a zero behind each */
    char command[RAWLOG_COMMAND_MAX]; /* cut when longer */
};

#endif
