/* SPDX-License-Identifier: MIT */
/*
 * A small printf into a buffer or the port's log. Conversions: %s %c %d %i %u %x %p %% with
 * flags '-', '0' and '#' (0x), a width (or *), a precision for %s (or *), and the lengths l, ll, z.
 * No floating point: kernels are built without it. No allocation, no lock.
 */
#ifndef KERNEL_LIB_PRINT_H
#define KERNEL_LIB_PRINT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* Writes at most `bytes` - 1 characters and a zero; returns what it would have written. */
size_t print_format(char *buffer, size_t bytes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
size_t print_format_va(char *buffer, size_t bytes, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* One formatted text to bh_port_log() in one call, cut at 512 characters. */
void print_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
