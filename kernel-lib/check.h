/* SPDX-License-Identifier: MIT */
/*
 * Panic and the assertion tiers (include/bareheap/config.h, BH_DEBUG).
 *
 *   BH_STATIC_ASSERT  always        layout, powers of two
 *   BH_CHECK          always        a caller's crime or corruption
 *   BH_ASSERT         BH_DEBUG >= 1 constant-time preconditions
 *   BH_ASSERT_SLOW    BH_DEBUG >= 2 walks of one object
 */
#ifndef KERNEL_LIB_CHECK_H
#define KERNEL_LIB_CHECK_H

#include <bareheap/config.h>
#include <bareheap/port.h> /* bh_symbol_name() */
#include <stddef.h>
#include <stdint.h>

/*
 * Logs "bareheap: panic: " and the message (print.h's formats), then a backtrace with symbols
 * where the image has a table, and ends in bh_port_panic(message). Any context.
 */
_Noreturn void bh_panic(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

/* Logs the call chain from `frame` (a frame pointer), a line each, up to 24. */
void backtrace_log(uintptr_t frame, uintptr_t stack_top);

#define BH_STATIC_ASSERT(cond, text) _Static_assert(cond, text)

#define BH_CHECK(cond, ...) ((cond) ? (void)0 : bh_panic(__VA_ARGS__))

#define BH_ASSERT_AT(level, cond)   \
    ((BH_DEBUG < (level) || (cond)) \
         ? (void)0                  \
         : bh_panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond))
#define BH_ASSERT(cond)      BH_ASSERT_AT(1, cond)
#define BH_ASSERT_SLOW(cond) BH_ASSERT_AT(2, cond)

/* Runs once, or not at all in a healthy system: small rather than fast, and out of the way. */
#define BH_COLD __attribute__((cold))

/* Part of its caller whatever the options: a fast path, or code that must lie in its section. */
#define BH_INLINE static inline __attribute__((always_inline))

#define BH_LIKELY(cond)   __builtin_expect(!!(cond), 1)
#define BH_UNLIKELY(cond) __builtin_expect(!!(cond), 0)

#endif
