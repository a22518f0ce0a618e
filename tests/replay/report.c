/* SPDX-License-Identifier: MIT */
/*
 * What the replay counts and says. Lines that begin with '@' are for tools/run:
 *
 *   @progress DONE TOTAL        events
 *   @error TEXT                 something is wrong; the run will fail
 *   @result NAME=VALUE ...      all figures, once
 *   @end pass|fail              the last line; an image that ends without it has died
 *
 * Sizes are bytes, times nanoseconds. All functions may be called on any core.
 */
#include "alloc/walk.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/print.h"
#include "tests/replay/replay.h"
#include <bareheap/gc.h>
#include <stdarg.h>

#define MAX_ERRORS 10
#define LINE_BYTES 400

typedef unsigned long long ull; /* what %llu takes */

static void stop_run(void)
{
    atomic_store_relaxed(&replay.stopped, 1); /* relaxed: only ends loops */
}

static void error_va(const char *format, va_list args)
{
    char line[LINE_BYTES];

    print_format_va(line, sizeof(line), format, args);
    print_log("@error %s\n", line);
    /* Relaxed: a sum; at ten it does not matter which core was tenth. */
    if (atomic_add_relaxed(&replay.counts.errors, 1) + 1 >= MAX_ERRORS)
        stop_run();
}

void report_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_va(format, args);
    va_end(args);
}

void report_fatal(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_va(format, args);
    va_end(args);
    stop_run();
}

void report_object(const struct replay_object *object, const char *format, ...)
{
    char what[LINE_BYTES / 2];
    char where[LINE_BYTES / 2];
    va_list args;

    va_start(args, format);
    print_format_va(what, sizeof(what), format, args);
    va_end(args);
    walk_describe((uintptr_t)object->base, where, sizeof(where));
    report_error("object %u (%llu bytes, born at event %u) %s; %s", object_id(object),
                 (ull)object->bytes, object->born_event, what, where);
}

void report_byte(const struct replay_object *object, const char *when, size_t offset,
                 uint8_t expected)
{
    uint8_t found = ((const uint8_t *)object->base)[offset];

    report_object(object, "%s: byte %zu is 0x%02x, expected 0x%02x", when, offset, found, expected);
}

void report_out_of_memory(uint64_t bytes, uint64_t event)
{
    struct bh_stats stats;

    bh_get_stats(&stats);
    report_fatal(
        "out of memory at event %llu, a request of %llu bytes: live are %llu KiB, the heap "
        "has %zu KiB of %zu KiB in use. Run with a larger memory, such as MEM=%lluM",
        (ull)event, (ull)bytes, (ull)atomic_load_relaxed(&replay.counts.live_bytes) / 1024,
        stats.heap_bytes / 1024, stats.region_bytes / 1024, (ull)(replay.ram_bytes >> 20) * 2 + 2);
}

void report_progress(uint64_t done, uint64_t total)
{
    print_log("@progress %llu %llu\n", (ull)done, (ull)total);
}

void report_live(uint64_t born_bytes, uint64_t dead_bytes)
{
    uint64_t change = born_bytes - dead_bytes;
    /* Relaxed, all of these: sums and a maximum, read when all is over. */
    uint64_t live = atomic_add_relaxed(&replay.counts.live_bytes, change) + change;
    uint64_t peak = atomic_load_relaxed(&replay.counts.peak_live_bytes);

    while (live > peak && !atomic_cas_acquire(&replay.counts.peak_live_bytes, &peak, live))
        ;
}

int report_result(uint64_t elapsed_ns)
{
    const struct replay_counts *counts = &replay.counts;
    struct bh_gc_stats gc;
    struct bh_stats heap;
    bool ok = counts->errors == 0;

    bh_get_stats(&heap);
    bh_gc_get_stats(&gc);
    print_log("@result trace=%s mode=%s board=%s cores=%u used=%u events=%llu births=%u "
              "peak_live=%llu peak_heap=%zu recorded_peak=%llu elapsed_ns=%llu\n",
              replay.trace.name, replay.mode->name, board_name(), board_cores(), replay.cores,
              (ull)replay.trace.events, replay.trace.births, (ull)counts->peak_live_bytes,
              heap.heap_peak_bytes, (ull)replay.trace.peak_live_bytes, (ull)elapsed_ns);
    print_log(
        "@result collections=%llu forced=%llu abandoned=%llu pause_max_ns=%llu "
        "checked=%llu dropped=%llu settled=%llu settled_cells=%llu leftovers=%llu errors=%llu "
        "red_zones=%d\n",
        (ull)gc.cycles, (ull)gc.forced_cycles, (ull)gc.abandoned_cycles, (ull)gc.pause_max_ns,
        (ull)counts->checked, (ull)counts->drops, (ull)counts->settled, (ull)counts->settled_cells,
        (ull)counts->leftovers, (ull)counts->errors, BH_DEBUG >= 1 || BH_SANITIZE);
    print_log("@end %s\n", ok ? "pass" : "fail");
    return ok ? 0 : 1;
}
