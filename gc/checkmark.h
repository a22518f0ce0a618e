/* SPDX-License-Identifier: MIT */
/* Marking twice. How: checkmark.c. What a test needs to make it fail. */
#ifndef GC_CHECKMARK_H
#define GC_CHECKMARK_H

#include <stdbool.h>

/* The value of collect_mark_hook when it is on. */
void checkmark_hook(bool marked);

#endif
