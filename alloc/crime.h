/* SPDX-License-Identifier: MIT */
/*
 * What is said when a caller hands in a wrong pointer. One form for all:
 *
 *   bh_free(0x4021a8): inside an object: byte 8 of object 2 (0x4021a0, 64 bytes) of the manual span
 *   0x402000, class 5; caller 0x1012f4
 *
 * No lock of ours may be held: describing takes none, but the port's panic may do as it likes.
 */
#ifndef ALLOC_CRIME_H
#define ALLOC_CRIME_H

#include "alloc/types.h"
#include <stdint.h>

/* `call` is the public function's name, `what` the crime, `caller` a return address or 0 when the
 * crime came to light later than at the call. */
_Noreturn void crime_panic(const char *call, uintptr_t address, const char *what, uintptr_t caller)
    __attribute__((cold));

/* The span that an address lies in, or NULL: also behind the first page of a large manual object,
 * which the page map does not show. */
const struct bh_span *crime_span(uintptr_t address);

/* The return address of the public function this is used in. */
#define CRIME_CALLER() ((uintptr_t)__builtin_return_address(0))

#endif
