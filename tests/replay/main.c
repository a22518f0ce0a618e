/* SPDX-License-Identifier: MIT */
/*
 * One boot, one trace, one mode: "trace=gcc mode=gc gctrace=1" on the command line.
 *
 * 1. The trace is found in the image by name and checked whole.
 * 2. The replay takes the memory for its tables, then the heap gets the rest.
 * 3. The cores replay it (lockstep.c); what is left at the end is dropped and checked.
 * 4. The figures go out as one result; heap figures are taken before the end drops everything,
 *    which changes no peak.
 */
#include "kernel-lib/atomics.h"
#include "kernel-lib/print.h"
#include "kernel-lib/string.h"
#include "tests/replay/census.h"
#include "tests/replay/replay.h"
#include <bareheap/alloc.h>
#include <bareheap/port.h>

struct replay replay = {
    .options = {.mode = "alloc", .collects = 8, .window = 2048},
};

static bool choose_mode(void)
{
    const struct replay_mode *const modes[] = {&manual_mode, &collected_mode};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (string_equal(modes[i]->name, replay.options.mode))
            replay.mode = modes[i];
    if (replay.mode == NULL)
        report_fatal("mode=%s is none; there are mode=alloc and mode=gc", replay.options.mode);
    return replay.mode != NULL;
}

static void report_no_trace(void)
{
    char names[256] = "";
    size_t length = 0;

    for (size_t i = 0; i < replay_trace_count && length < sizeof(names); i++)
        length +=
            print_format(names + length, sizeof(names) - length, " %s", replay_traces[i].name);
    report_fatal("trace=%s is not in this image; it has:%s", replay.options.trace, names);
}

/* The trace with the name asked for; the only one when none is asked for. */
static const struct replay_trace *choose_trace(void)
{
    for (size_t i = 0; i < replay_trace_count; i++)
        if (string_equal(replay_traces[i].name, replay.options.trace) ||
            (replay.options.trace[0] == '\0' && replay_trace_count == 1))
            return &replay_traces[i];
    report_no_trace();
    return NULL;
}

static bool open_trace(void)
{
    const struct replay_trace *chosen = choose_trace();
    if (chosen == NULL)
        return false;
    enum trace_status status =
        trace_open(&replay.trace, chosen->start, (size_t)(chosen->end - chosen->start));
    if (status != TRACE_OK) {
        report_fatal("trace %s, byte %zu: %s", chosen->name, replay.trace.error_offset,
                     trace_status_text(status));
        return false;
    }
    if (replay.trace.events >= UINT32_MAX) {
        report_fatal("trace %s has more events than the 4294967294 that a replay can number",
                     chosen->name);
        return false;
    }
    return true;
}

static bool prepare(void)
{
    if (!choose_mode() || !open_trace())
        return false;
    size_t table_bytes = ((size_t)replay.trace.births + 1) * sizeof(struct replay_object);
    replay.objects = memory_carve(table_bytes, "table of objects");
    if (replay.objects == NULL || (replay.mode == &collected_mode && !census_start()))
        return false;
    if (replay.options.window == 0)
        replay.options.window = 1;
    replay.cores = board_cores() < replay.trace.threads ? board_cores() : replay.trace.threads;
    return memory_init_heap() && replay.mode->start();
}

int board_main(void)
{
    if (!options_parse(board_command_line(), &replay.options) || !prepare()) {
        print_log("@end fail\n");
        return 1;
    }
    bh_reset_peak();
    uint64_t start_ns = bh_port_now_ns();
    lockstep_run();
    uint64_t elapsed_ns = bh_port_now_ns() - start_ns;
    report_progress(replay.trace.events, replay.trace.events);
    if (atomic_load_relaxed(&replay.stopped) == 0) /* relaxed: all other cores are done */
        replay.mode->finish();
    return report_result(elapsed_ns);
}
