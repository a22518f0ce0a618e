/* SPDX-License-Identifier: MIT */
/* The common lines of exception reports (report.h). */
#include "boards/common/report.h"

#include "kernel-lib/check.h"
#include "kernel-lib/print.h"

#define REGISTERS_PER_LINE 4

/* A frame record of both CPUs: the caller's frame pointer and the return address. */
#define RECORD_BYTES 16u

void report_code_address(const char *what, uintptr_t address)
{
    size_t offset = 0;
    const char *name = bh_symbol_name(address, &offset);
    if (name)
        print_log("  %s %p, %s+0x%zx\n", what, (void *)address, name, offset);
    else
        print_log("  %s %p\n", what, (void *)address);
}

void report_register(unsigned i, const char *name, uint64_t value)
{
    unsigned column = i % REGISTERS_PER_LINE;
    print_log("%s%-6s 0x%016llx%s", column == 0 ? "  " : " ", name, (unsigned long long)value,
              column == REGISTERS_PER_LINE - 1 ? "\n" : "");
}

void report_callers(uintptr_t frame, uintptr_t lo, uintptr_t hi)
{
    if (frame % sizeof(uintptr_t) != 0 || frame < lo || frame > hi - RECORD_BYTES)
        print_log("  no call chain: the frame pointer %p is not on this core's stack\n",
                  (void *)frame);
    else
        backtrace_log(frame, hi);
}
