/* SPDX-License-Identifier: MIT */
/*
 * A small KASAN, to show that the library can be built for one and what it tells it: the functions
 * that -fsanitize=kernel-address calls, over a shadow of one region.
 *
 * A byte of shadow for 8 of memory, as in both sanitizers: 0 all are open, 1 to 7 the first so many
 * are, KASAN_POISON none. Memory outside the region is not watched. A look at closed memory is a
 * panic. On the host the tool is AddressSanitizer, and kasan_is_open() asks that.
 */
#ifndef TESTS_SANITIZE_KASAN_H
#define TESTS_SANITIZE_KASAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KASAN_REGION_BYTES ((size_t)4 << 20)

/* Watches [base, base + KASAN_REGION_BYTES), all open. Nothing is watched before. */
void kasan_watch(const char *base);

bool kasan_is_open(uintptr_t address);

#endif
