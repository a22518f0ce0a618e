/* SPDX-License-Identifier: MIT */
/*
 * The lines that reports of exceptions have in common: code addresses, registers, the call chain.
 * Each board's own report is made of these and of what its CPU says (exceptions.c, exception.c).
 *
 * All of it works from what it is given: no heap, no lock of the library, no read of memory that
 * may fault.
 */
#ifndef BOARDS_COMMON_REPORT_H
#define BOARDS_COMMON_REPORT_H

#include <stdint.h>

/* A fault below this address is called a null pointer: no board maps the first page. */
#define REPORT_NULL_BYTES 4096u

/* "  at 0x101234, list_push+0x12". */
void report_code_address(const char *what, uintptr_t address);

/* Register number i of the report, four to a line; the caller ends a line that is not full. */
void report_register(unsigned i, const char *name, uint64_t value);

/*
 * The call chain from frame pointer `frame` on the stack [lo, hi), or a line that says there is
 * none: a frame pointer that points elsewhere would only fault again.
 */
void report_callers(uintptr_t frame, uintptr_t lo, uintptr_t hi);

#endif
