/* SPDX-License-Identifier: MIT */
/*
 * Lines of trace per cycle: one in the format that Go prints with GODEBUG=gctrace=1 (documented in
 * Go's package runtime), so that eyes and tools which know it can read it, and one about pacing.
 *
 *   gc 7 @1.203s 3%: 0.02+1.1+0.04 ms clock, 0.08+1.1/3.3/0+0.16 ms cpu, 6->6->4 MB, 8 MB goal,
 *   0 MB stacks, 0 MB globals, 4 P
 *
 * 1. Number of the cycle; seconds from the first use of the collector to the cycle's beginning;
 *    share of the time since then in which the cores stood still.
 * 2. Clock: until all stood still and the last cycle was swept + mark + the rest of the stop.
 * 3. CPU: the clock's times the cores, as nobody does anything else. The middle has three parts:
 *    the core that collects ("assist"), the others, which mark as well ("background"), and idle
 *    time that marking used, of which there is none in a stop.
 * 4. Heap when the cycle began, when the mark ended (the same: all stood still), and marked; the
 * goal that the cycle was started by; what was scanned as stacks and globals; cores.
 * 5. " (forced)" at the end: by bh_gc_collect().
 *
 * The second line is on request (bh_gc_set_pacer_trace) and has no model; the sizes are of
 * collected heap where nothing else is said:
 *
 *   pacer: gc 7 (growth): goal 8216 KB = 4100 KB live + 100% of 4116 KB, at least 4096 KB; limit
 *   65536 KB: 60000 KB beside 3000 KB others and 488 KB waste; limiter 12%, held back 0;
 *   sweep 2 pages per page
 *
 * Go's unit is a megabyte (2^20). A kernel's heap may be smaller than one: if it is under 10 MB
 * when the cycle begins, all sizes of the line are in KB and say so. A tool that expects MB then
 * finds no match rather than a wrong figure. Times are rounded down to two digits, or whole
 * milliseconds from 10 on, as Go does.
 */
#include "gc/gctrace.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/print.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>

#define GCTRACE_KB_BELOW_BYTES ((size_t)10 << 20)
#define GCTRACE_MS_BYTES       24

static bool gctrace_on;
static bool gctrace_pacer_on;

void bh_gc_set_trace(bool on)
{
    atomic_store_relaxed(&gctrace_on, on); /* a flag alone */
}

void bh_gc_set_pacer_trace(bool on)
{
    atomic_store_relaxed(&gctrace_pacer_on, on); /* as above */
}

/* A duration as text. A struct, so that one call can be an argument of another. */
struct gctrace_ms {
    char text[GCTRACE_MS_BYTES];
};

static struct gctrace_ms gctrace_ms(uint64_t ns)
{
    struct gctrace_ms ms;
    unsigned long long us = ns / 1000;
    if (us == 0)
        print_format(ms.text, sizeof(ms.text), "0");
    else if (us < 100)
        print_format(ms.text, sizeof(ms.text), "0.%03llu", us);
    else if (us < 1000)
        print_format(ms.text, sizeof(ms.text), "0.%02llu", us / 10);
    else if (us < 10000)
        print_format(ms.text, sizeof(ms.text), "%llu.%llu", us / 1000, us / 100 % 10);
    else
        print_format(ms.text, sizeof(ms.text), "%llu", us / 1000);
    return ms;
}

/* The sizes of a line, all in one unit. */
struct gctrace_unit {
    const char *name;
    unsigned shift;
};

static struct gctrace_unit gctrace_unit(size_t heap_bytes)
{
    return heap_bytes < GCTRACE_KB_BELOW_BYTES ? (struct gctrace_unit){"KB", 10}
                                               : (struct gctrace_unit){"MB", 20};
}

static size_t gctrace_head(const struct collect_cycle *cycle, char *line, size_t bytes)
{
    uint64_t since_ns = cycle->finished_ns - collect_start_ns();
    unsigned long long ms = (cycle->request_ns - collect_start_ns()) / 1000000;
    return print_format(
        line, bytes, "gc %llu @%llu.%03llus %llu%%: ", (unsigned long long)cycle->number, ms / 1000,
        ms % 1000, (unsigned long long)(cycle->pauses_ns / (since_ns / 100 + 1)));
}

static size_t gctrace_times(const struct collect_cycle *cycle, char *line, size_t bytes)
{
    uint64_t before_ns = cycle->swept_ns - cycle->request_ns;
    uint64_t mark_ns = cycle->marked_ns - cycle->swept_ns;
    uint64_t after_ns = cycle->finished_ns - cycle->marked_ns;
    unsigned cores = bh_port_core_count();
    return print_format(line, bytes, "%s+%s+%s ms clock, %s+%s/%s/0+%s ms cpu, ",
                        gctrace_ms(before_ns).text, gctrace_ms(mark_ns).text,
                        gctrace_ms(after_ns).text, gctrace_ms(before_ns * cores).text,
                        gctrace_ms(mark_ns).text, gctrace_ms(mark_ns * (cores - 1)).text,
                        gctrace_ms(after_ns * cores).text);
}

static size_t gctrace_sizes(const struct collect_cycle *cycle, char *line, size_t bytes)
{
    struct gctrace_unit unit = gctrace_unit(cycle->heap_bytes);
    const struct mark_totals *mark = &cycle->mark;
    size_t heap = cycle->heap_bytes >> unit.shift;
    return print_format(
        line, bytes, "%zu->%zu->%zu %s, %zu %s goal, %zu %s stacks, %zu %s globals, %u P%s\n", heap,
        heap, mark->live_bytes >> unit.shift, unit.name, cycle->goal_bytes >> unit.shift, unit.name,
        mark->root_bytes[ROOTS_STACK] >> unit.shift, unit.name,
        mark->root_bytes[ROOTS_GLOBAL] >> unit.shift, unit.name, bh_port_core_count(),
        cycle->reason == COLLECT_FORCED ? " (forced)" : "");
}

/* What is really in the line when a part was cut: absurd figures of a broken clock make it long. */
static size_t gctrace_fit(size_t length, size_t bytes)
{
    return length < bytes ? length : bytes - 1;
}

size_t gctrace_format(const struct collect_cycle *cycle, char *line, size_t bytes)
{
    size_t length = gctrace_fit(gctrace_head(cycle, line, bytes), bytes);
    length += gctrace_times(cycle, line + length, bytes - length);
    length = gctrace_fit(length, bytes);
    length += gctrace_sizes(cycle, line + length, bytes - length);
    return gctrace_fit(length, bytes);
}

static const char *const gctrace_reasons[] = {[COLLECT_GROWTH] = "growth",
                                              [COLLECT_LIMIT] = "limit",
                                              [COLLECT_PERIOD] = "period",
                                              [COLLECT_MEMORY] = "memory",
                                              [COLLECT_FORCED] = "forced"};

static size_t gctrace_pacer_growth(const struct collect_cycle *cycle,
                                   const struct pace_report *report, char *line, size_t bytes)
{
    size_t length =
        print_format(line, bytes, "pacer: gc %llu (%s): ", (unsigned long long)cycle->number,
                     gctrace_reasons[cycle->reason]);
    length = gctrace_fit(length, bytes);
    if (report->percent < 0)
        return length + print_format(line + length, bytes - length, "no goal, %zu KB live",
                                     report->live_bytes >> 10);
    return length + print_format(line + length, bytes - length,
                                 "goal %zu KB = %zu KB live + %d%% of %zu KB, at least %zu KB",
                                 report->growth_goal_bytes >> 10, report->live_bytes >> 10,
                                 report->percent, (report->live_bytes + report->extra_bytes) >> 10,
                                 report->least_bytes >> 10);
}

static size_t gctrace_pacer_limit(const struct pace_report *report, char *line, size_t bytes)
{
    if (report->limit_bytes == SIZE_MAX)
        return print_format(line, bytes, "; no limit");
    uint64_t capacity_ns = report->limiter_capacity_ns > 0 ? report->limiter_capacity_ns : 1;
    return print_format(
        line, bytes,
        "; limit %zu KB: %zu KB beside %zu KB others and %zu KB waste; limiter %llu%%, held back "
        "%llu",
        report->limit_bytes >> 10, report->limit_goal_bytes >> 10, report->other_bytes >> 10,
        report->waste_bytes >> 10,
        (unsigned long long)(report->limiter_fill_ns / (capacity_ns / 100 + 1)),
        (unsigned long long)report->limiter_skips);
}

size_t gctrace_format_pacer(const struct collect_cycle *cycle, const struct pace_report *report,
                            char *line, size_t bytes)
{
    size_t length = gctrace_fit(gctrace_pacer_growth(cycle, report, line, bytes), bytes);
    length += gctrace_pacer_limit(report, line + length, bytes - length);
    length = gctrace_fit(length, bytes);
    length += print_format(line + length, bytes - length, "; sweep %zu pages per page\n",
                           report->sweep_pages);
    return gctrace_fit(length, bytes);
}

static void gctrace_log_pacer(const struct collect_cycle *cycle)
{
    char line[GCTRACE_LINE_BYTES];
    struct pace_report report;
    pace_describe(&report);
    gctrace_format_pacer(cycle, &report, line, sizeof(line));
    print_log("%s", line);
}

static void gctrace_log(const struct collect_cycle *cycle)
{
    char line[GCTRACE_LINE_BYTES];
    gctrace_format(cycle, line, sizeof(line));
    print_log("%s", line);
}

void gctrace_cycle(const struct collect_cycle *cycle)
{
    if (atomic_load_relaxed(&gctrace_on)) /* a flag, here and below */
        gctrace_log(cycle);
    if (atomic_load_relaxed(&gctrace_pacer_on))
        gctrace_log_pacer(cycle);
}
