/* SPDX-License-Identifier: MIT */
/*
 * Expectations, remarks and the heap of a case. All but harness_heap() may be called on any core
 * and in interrupt handlers: each line goes to the log in one call.
 */
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include "tests/harness/internal.h"

/* A case that fails in a loop says so this many times; the rest is only counted. */
#define LINES_PER_CASE 20

void harness_fail(const char *what, const char *file, int line)
{
    if (harness_count_failure() <= LINES_PER_CASE)
        print_log("# %s:%d: core %u: expected %s\n", file, line, bh_port_core(), what);
}

bool harness_expect_eq(uint64_t a, uint64_t b, const char *what, const char *file, int line)
{
    if (a == b)
        return true;
    if (harness_count_failure() > LINES_PER_CASE)
        return false;
    print_log("# %s:%d: core %u: expected %s, but %llu (0x%llx) is not %llu (0x%llx)\n", file, line,
              bh_port_core(), what, (unsigned long long)a, (unsigned long long)a,
              (unsigned long long)b, (unsigned long long)b);
    return false;
}

void harness_note(const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    print_format_va(text, sizeof(text), format, args);
    va_end(args);
    print_log("# %s\n", text);
}

enum { HEAP_NONE, HEAP_STARTED, HEAP_READY };

void harness_heap(void)
{
    static uint32_t state;
    uint32_t none = HEAP_NONE;
    if (!atomic_cas_acquire(&state, &none, (uint32_t)HEAP_STARTED)) {
        /* Another core makes it, or has. Pairs with the release below. */
        while (atomic_load_acquire(&state) != HEAP_READY)
            arch_pause();
        return;
    }
    size_t count;
    const struct bh_region *regions = board_ram(&count);
    enum bh_status status = bh_init(regions, count);
    BH_CHECK(status == BH_OK || status == BH_TWICE, "harness: bh_init() on the board's RAM: %s",
             bh_status_text(status));
    /* Pairs with the acquire above and with that of every later harness_heap(). */
    atomic_store_release(&state, (uint32_t)HEAP_READY);
}
