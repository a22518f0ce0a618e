/* SPDX-License-Identifier: MIT */
/* What messages look like in this build: where a crime is found, and in which class 100 bytes are.
 */
#ifndef TESTS_MISUSE_MISUSE_H
#define TESTS_MISUSE_MISUSE_H

#include "alloc/redzone.h"

#define CALLER "caller 0x* (*+0x*)"

/* Of a manual object of 100 bytes: red zones take it to the next class, and to the next but two
 * with who allocated it in them. */
#if BH_DEBUG >= 2
#define OBJECT_100 "object * (0x*, 160 bytes) of the manual span 0x*, class 11"
#elif REDZONE
#define OBJECT_100 "object * (0x*, 128 bytes) of the manual span 0x*, class 9"
#else
#define OBJECT_100 "object * (0x*, 112 bytes) of the manual span 0x*, class 8"
#endif

/* A wrong free of a small object: at the call, or when its batch comes back to the spans. */
#define FOUND_AT_CALL (REDZONE || BH_HARDEN)
#if REDZONE || BH_HARDEN
#define TWICE "freed already"
#define FOUND CALLER
#else
#define TWICE "freed twice"
#define FOUND "found when the cache was flushed"
#endif

#endif
