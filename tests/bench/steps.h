/* SPDX-License-Identifier: MIT */
/*
 * A recorded trace (tests/traces) as it is run by one thread: eight bytes an event, and slots in
 * place of ids.
 *
 * Slots are used again, so that a table by slot is no larger than the most objects alive at once;
 * a realloc stays in its slot.
 */
#ifndef TESTS_BENCH_STEPS_H
#define TESTS_BENCH_STEPS_H

#include "tests/bench/bench.h"

/* An event: half a cache line holds four. `op` is an enum trace_op. */
struct step {
    uint32_t op : 3;
    uint32_t align_shift : 5;
    uint32_t slot : 24;
    uint32_t bytes; /* at least 8: room for a tag */
};

struct steps {
    struct step *steps;
    size_t count;
    unsigned slots; /* all are under this */
};

/* Reads and checks the file; what is wrong ends the process. The steps stay to its end. */
struct steps steps_read(const char *path);

#endif
