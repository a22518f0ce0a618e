/* SPDX-License-Identifier: MIT */
/*
 * The three functions of the C library that the library expects of the kernel around it, which the
 * compiler calls on its own account too. Standard meaning; declared here because a freestanding
 * build has no <string.h>.
 */
#ifndef KERNEL_LIB_MEMORY_H
#define KERNEL_LIB_MEMORY_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);

#endif
