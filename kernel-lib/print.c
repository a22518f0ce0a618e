/* SPDX-License-Identifier: MIT */
/*
 * The formatted print of print.h: into a buffer, or to the port's log.
 *
 * 1. The format is copied up to a '%'; what follows is read into a struct print_spec: flags,
 *    width, precision, length, conversion.
 * 2. A number becomes digits from the right in a small array, a string is measured.
 * 3. Both go out through print_field(), which pads, and every character through print_char(),
 *    which counts it and stores it only where there is room: so the count is exact when the text
 *    is cut, and no caller looks at the end of the buffer.
 *
 * An unknown conversion is printed as it stands, so that the mistake shows.
 * Invariant: length counts all characters; those at index < bytes - 1 are in the buffer.
 * No locks, no static state: legal in any context. Not here: floating point, positional
 * arguments, %n.
 */
#include "kernel-lib/print.h"
#include "kernel-lib/check.h"
#include "kernel-lib/string.h"
#include <bareheap/port.h>
#include <stdbool.h>

/* The longest text of one print_log(), and the bytes of its buffer on the stack less one. */
#define PRINT_LOG_BYTES 512

/* The digits of 2^64 - 1 in base 10. */
#define PRINT_MAX_DIGITS 20

#define PRINT_NO_PRECISION SIZE_MAX

/* Where the characters go. */
struct print_sink {
    char *buffer;
    size_t bytes;
    size_t length;
};

/* One conversion, and the arguments behind it. */
struct print_spec {
    bool left;
    bool zeros;
    bool base; /* 0x before a hexadecimal number */
    size_t width;
    size_t precision; /* of a string */
    unsigned longs;   /* 0: int, 1: long or size_t, 2: long long */
    char conversion;
};

/* A va_list in a struct can be passed on by address on every ABI. */
struct print_args {
    va_list list;
};

static BH_COLD void print_char(struct print_sink *sink, char c)
{
    if (sink->length + 1 < sink->bytes)
        sink->buffer[sink->length] = c;
    sink->length++;
}

static BH_COLD void print_chars(struct print_sink *sink, char c, size_t count)
{
    while (count-- > 0)
        print_char(sink, c);
}

/* `prefix` ("", "-" or "0x") and `text`, padded to the width; zeros go between the two. */
static BH_COLD void print_field(struct print_sink *sink, const struct print_spec *spec,
                                const char *prefix, const char *text, size_t bytes)
{
    size_t used = string_length(prefix) + bytes;
    size_t pad = spec->width > used ? spec->width - used : 0;
    if (!spec->left && !spec->zeros)
        print_chars(sink, ' ', pad);
    while (*prefix != '\0')
        print_char(sink, *prefix++);
    if (!spec->left && spec->zeros)
        print_chars(sink, '0', pad);
    for (size_t i = 0; i < bytes; i++)
        print_char(sink, text[i]);
    if (spec->left)
        print_chars(sink, ' ', pad);
}

static BH_COLD void print_number(struct print_sink *sink, const struct print_spec *spec,
                                 const char *prefix, uint64_t value, unsigned base)
{
    char digits[PRINT_MAX_DIGITS];
    size_t first = PRINT_MAX_DIGITS;
    do {
        digits[--first] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    print_field(sink, spec, prefix, &digits[first], PRINT_MAX_DIGITS - first);
}

static BH_COLD void print_signed(struct print_sink *sink, const struct print_spec *spec,
                                 int64_t value)
{
    /* The magnitude in unsigned arithmetic: the least int64_t has no positive twin. */
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    print_number(sink, spec, value < 0 ? "-" : "", magnitude, 10);
}

static BH_COLD void print_string(struct print_sink *sink, struct print_spec *spec, const char *text)
{
    size_t bytes = 0;
    if (text == NULL)
        text = "(null)";
    while (bytes < spec->precision && text[bytes] != '\0')
        bytes++;
    spec->zeros = false;
    print_field(sink, spec, "", text, bytes);
}

static BH_COLD int64_t print_take_signed(const struct print_spec *spec, struct print_args *args)
{
    if (spec->longs == 0)
        return va_arg(args->list, int);
    return spec->longs == 1 ? va_arg(args->list, long) : va_arg(args->list, long long);
}

static BH_COLD uint64_t print_take_unsigned(const struct print_spec *spec, struct print_args *args)
{
    if (spec->longs == 0)
        return va_arg(args->list, unsigned);
    return spec->longs == 1 ? va_arg(args->list, unsigned long)
                            : va_arg(args->list, unsigned long long);
}

/* A decimal number, or the next argument for '*' (a negative one counts as 0). */
static BH_COLD const char *print_parse_number(const char *at, size_t *value,
                                              struct print_args *args)
{
    *value = 0;
    if (*at == '*') {
        int given = va_arg(args->list, int);
        *value = given > 0 ? (size_t)given : 0;
        return at + 1;
    }
    for (; *at >= '0' && *at <= '9'; at++)
        *value = *value * 10 + (size_t)(*at - '0');
    return at;
}

/* Reads what follows a '%' and returns where the conversion character is. */
static BH_COLD const char *print_parse(const char *at, struct print_spec *spec,
                                       struct print_args *args)
{
    *spec = (struct print_spec){.precision = PRINT_NO_PRECISION};
    for (; *at == '-' || *at == '0' || *at == '#'; at++) {
        spec->left |= *at == '-';
        spec->zeros |= *at == '0';
        spec->base |= *at == '#';
    }
    at = print_parse_number(at, &spec->width, args);
    if (*at == '.')
        at = print_parse_number(at + 1, &spec->precision, args);
    for (; *at == 'l' || *at == 'z'; at++)
        spec->longs++;
    spec->conversion = *at;
    return at;
}

/* Prints one conversion; false when there is none of that letter. */
static BH_COLD bool print_convert(struct print_sink *sink, struct print_spec *spec,
                                  struct print_args *args)
{
    char c;
    switch (spec->conversion) {
    case 's':
        print_string(sink, spec, va_arg(args->list, const char *));
        return true;
    case 'c':
        c = (char)va_arg(args->list, int);
        spec->zeros = false;
        print_field(sink, spec, "", &c, 1);
        return true;
    case 'd':
    case 'i':
        print_signed(sink, spec, print_take_signed(spec, args));
        return true;
    case 'u':
        print_number(sink, spec, "", print_take_unsigned(spec, args), 10);
        return true;
    case 'x':
        print_number(sink, spec, spec->base ? "0x" : "", print_take_unsigned(spec, args), 16);
        return true;
    case 'p':
        print_number(sink, spec, "0x", (uintptr_t)va_arg(args->list, void *), 16);
        return true;
    case '%':
        print_char(sink, '%');
        return true;
    default:
        return false;
    }
}

BH_COLD size_t print_format_va(char *buffer, size_t bytes, const char *format, va_list args)
{
    struct print_sink sink = {buffer, bytes, 0};
    struct print_spec spec;
    struct print_args copy;
    va_copy(copy.list, args);
    while (*format != '\0') {
        const char *start = format++;
        if (*start != '%') {
            print_char(&sink, *start);
            continue;
        }
        format = print_parse(format, &spec, &copy);
        bool known = print_convert(&sink, &spec, &copy);
        if (*format != '\0')
            format++;
        for (; !known && start < format; start++)
            print_char(&sink, *start);
    }
    va_end(copy.list);
    if (bytes > 0)
        buffer[sink.length < bytes ? sink.length : bytes - 1] = '\0';
    return sink.length;
}

size_t print_format(char *buffer, size_t bytes, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t length = print_format_va(buffer, bytes, format, args);
    va_end(args);
    return length;
}

void print_log(const char *format, ...)
{
    char text[PRINT_LOG_BYTES + 1];
    va_list args;
    va_start(args, format);
    size_t length = print_format_va(text, sizeof(text), format, args);
    va_end(args);
    if (length > PRINT_LOG_BYTES) {
        length = PRINT_LOG_BYTES;
        text[length - 1] = '\n'; /* a line that was cut still ends as a line */
    }
    bh_port_log(text, length);
}
