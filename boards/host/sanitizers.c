/* SPDX-License-Identifier: MIT */
/*
 * What the sanitizers must know, where the image is built with one; elsewhere nobody asks.
 *
 * - Faults are reported by fault.c, on our own stacks (handle_*, use_sigaltstack).
 * - Locals stay on the stack. ASan can keep them in memory of its own, where the collector
 *   does not see the pointers in them (detect_stack_use_after_return).
 * - There is no heap of the C library to leak from, and the check stops all threads by ptrace,
 *   which containers forbid (detect_leaks).
 */
#define HOST_EXPORTED __attribute__((visibility("default"), used))

#define HOST_SANITIZER_OPTIONS \
    "handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:use_sigaltstack=0"

const char *__asan_default_options(void);
const char *__tsan_default_options(void);
const char *__ubsan_default_options(void);

/* The runtime reads its options before anything is set up: no instrumentation in here. */
HOST_EXPORTED __attribute__((no_sanitize("address"))) const char *__asan_default_options(void)
{
    return HOST_SANITIZER_OPTIONS ":detect_stack_use_after_return=0:detect_leaks=0";
}

HOST_EXPORTED __attribute__((no_sanitize("thread"))) const char *__tsan_default_options(void)
{
    return HOST_SANITIZER_OPTIONS;
}

HOST_EXPORTED const char *__ubsan_default_options(void)
{
    return "print_stacktrace=1";
}
