/* SPDX-License-Identifier: MIT */
/* A line of trace per cycle, in the format of Go's gctrace. How: gctrace.c. */
#ifndef GC_GCTRACE_H
#define GC_GCTRACE_H

#include "gc/collect.h"

/* Logs the line of a complete cycle, if the trace is on. Not in a stop. */
void gctrace_cycle(const struct collect_cycle *cycle);

/* The line itself, with its newline, as print_format() would. */
#define GCTRACE_LINE_BYTES 320
size_t gctrace_format(const struct collect_cycle *cycle, char *line, size_t bytes);

#endif
