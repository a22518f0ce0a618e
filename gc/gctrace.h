/* SPDX-License-Identifier: MIT */
/* Lines of trace per cycle, one of them in the format of Go's gctrace. How: gctrace.c. */
#ifndef GC_GCTRACE_H
#define GC_GCTRACE_H

#include "gc/collect.h"
#include "gc/pace.h"

/* Logs what is on of a complete cycle. Not in a stop. */
void gctrace_cycle(const struct collect_cycle *cycle);

/* The lines themselves, with their newlines, as print_format() would. */
#define GCTRACE_LINE_BYTES 320
size_t gctrace_format(const struct collect_cycle *cycle, char *line, size_t bytes);
size_t gctrace_format_pacer(const struct collect_cycle *cycle, const struct pace_report *report,
                            char *line, size_t bytes);

#endif
