/* SPDX-License-Identifier: MIT */
/* The trace line: its format, against what Go documents for gctrace. */
#include "gc/gctrace.h"
#include "kernel-lib/string.h"
#include "tests/gc/gc_test.h"

static bool is_number_char(char c)
{
    return (c >= '0' && c <= '9') || c == '.';
}

/* Every number becomes '#', so that the rest can be compared. */
static void shape_of(const char *line, char *shape)
{
    while (*line != '\0') {
        bool number = is_number_char(*line);
        *shape++ = number ? '#' : *line;
        do
            line++;
        while (number && is_number_char(*line));
    }
    *shape = '\0';
}

static void expect_line(const struct collect_cycle *cycle, const char *expected_shape)
{
    char line[GCTRACE_LINE_BYTES];
    char shape[GCTRACE_LINE_BYTES];
    EXPECT(gctrace_format(cycle, line, sizeof(line)) == string_length(line));
    shape_of(line, shape);
    if (!EXPECT(string_equal(shape, expected_shape)))
        harness_note("%s", line);
}

static struct collect_cycle example(size_t heap_bytes)
{
    return (struct collect_cycle){
        .reason = COLLECT_GROWTH,
        .number = 7,
        .request_ns = collect_start_ns() + 1203000000,
        .stopped_ns = collect_start_ns() + 1203010000,
        .swept_ns = collect_start_ns() + 1203020000,
        .marked_ns = collect_start_ns() + 1204120000,
        .finished_ns = collect_start_ns() + 1204160000,
        .pauses_ns = 37000000,
        .goal_bytes = (size_t)8 << 20,
        .heap_bytes = heap_bytes,
        .mark = {.live_bytes = heap_bytes / 2},
    };
}

TEST(gctrace_line_is_gos)
{
    struct collect_cycle cycle = example((size_t)60 << 20);
    expect_line(&cycle, "gc # @#s #%: #+#+# ms clock, #+#/#/#+# ms cpu, #->#->#"
                        " MB, # MB goal, # MB stacks, # MB globals, # P\n");
    cycle.reason = COLLECT_FORCED;
    expect_line(&cycle, "gc # @#s #%: #+#+# ms clock, #+#/#/#+# ms cpu, #->#->#"
                        " MB, # MB goal, # MB stacks, # MB globals, # P (forced)\n");
}

TEST(gctrace_small_heaps_are_in_kb)
{
    struct collect_cycle cycle = example((size_t)600 << 10);
    expect_line(&cycle, "gc # @#s #%: #+#+# ms clock, #+#/#/#+# ms cpu, #->#->#"
                        " KB, # KB goal, # KB stacks, # KB globals, # P\n");
}

TEST(gctrace_figures)
{
    struct collect_cycle cycle = example((size_t)60 << 20);
    char line[GCTRACE_LINE_BYTES];
    gctrace_format(&cycle, line, sizeof(line));
    if (!EXPECT(string_after(line, "gc 7 @1.203s 3%: 0.020+1.1+0.040 ms clock, ") != NULL))
        harness_note("%s", line);
}

TEST(gctrace_is_logged_when_on)
{
    test_begin();
    bh_gc_set_trace(true);
    EXPECT(bh_gc_alloc(1000) != NULL);
    test_collect();
    bh_gc_set_trace(false);
}
