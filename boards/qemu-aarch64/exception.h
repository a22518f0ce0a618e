/* SPDX-License-Identifier: MIT */
/* What vectors.S hands to the report of an exception. */
#ifndef BOARDS_QEMU_AARCH64_EXCEPTION_H
#define BOARDS_QEMU_AARCH64_EXCEPTION_H

#include <stddef.h>
#include <stdint.h>

/* The order is vectors.S's; layout.h has the offsets. */
struct exception_frame {
    uint64_t x[31];
    uint64_t sp; /* SP_EL0 */
    uint64_t pc;
    uint64_t pstate;
    uint64_t esr;
    uint64_t far;
};

/* The column of the vector table; vectors.S passes the number. */
enum exception_kind {
    EXCEPTION_SYNCHRONOUS = 0,
    EXCEPTION_INTERRUPT = 1, /* inside a report, where they are masked */
    EXCEPTION_FIQ = 2,
    EXCEPTION_SERROR = 3,
    EXCEPTION_FROM_EL0 = 4,
};

/* vectors.S calls this on the exception stack. */
_Noreturn void exception_report(const struct exception_frame *frame, enum exception_kind kind);

#endif
