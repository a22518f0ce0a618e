/* SPDX-License-Identifier: MIT */
/*
 * memcpy, memmove, memset and memcmp with their standard meaning, for images without a libc.
 *
 * 1. Four words at a time, then one, then bytes. Words may be unaligned: both CPUs allow it on
 *    ordinary memory, and a compiler told -mstrict-align splits the accesses by itself.
 * 2. A block is read whole before any of it is written, so copying forward is right whenever
 *    the target lies below the source, overlap or not; copying backward when above.
 * 3. opaque() in each loop hides the pointer, else the compiler would recognise what the loop does
 *    and replace it by a call to the very function it is in.
 */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

/* A word at any address, of whatever type the bytes are to the caller. */
struct word {
    uint64_t bits;
} __attribute__((packed, may_alias));

struct block {
    struct word words[4];
} __attribute__((packed, may_alias));

#define opaque(pointer) __asm__("" : "+r"(pointer))

static void copy_forward(unsigned char *to, const unsigned char *from, size_t bytes)
{
    for (; bytes >= sizeof(struct block); bytes -= sizeof(struct block)) {
        const struct word *in = (const struct word *)from;
        struct word *out = (struct word *)to;
        uint64_t a = in[0].bits, b = in[1].bits, c = in[2].bits, d = in[3].bits;
        out[0].bits = a, out[1].bits = b, out[2].bits = c, out[3].bits = d;
        to += sizeof(struct block), from += sizeof(struct block);
        opaque(to);
    }
    for (; bytes >= sizeof(struct word); bytes -= sizeof(struct word)) {
        ((struct word *)to)->bits = ((const struct word *)from)->bits;
        to += sizeof(struct word), from += sizeof(struct word);
        opaque(to);
    }
    for (; bytes > 0; bytes--) {
        *to++ = *from++;
        opaque(to);
    }
}

/* `to` and `from` point behind the last byte. */
static void copy_backward(unsigned char *to, const unsigned char *from, size_t bytes)
{
    for (; bytes >= sizeof(struct block); bytes -= sizeof(struct block)) {
        to -= sizeof(struct block), from -= sizeof(struct block);
        const struct word *in = (const struct word *)from;
        struct word *out = (struct word *)to;
        uint64_t a = in[0].bits, b = in[1].bits, c = in[2].bits, d = in[3].bits;
        out[0].bits = a, out[1].bits = b, out[2].bits = c, out[3].bits = d;
        opaque(to);
    }
    for (; bytes > 0; bytes--) {
        *--to = *--from;
        opaque(to);
    }
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    copy_forward(to, from, bytes);
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    if ((uintptr_t)to <= (uintptr_t)from)
        copy_forward(to, from, bytes);
    else
        copy_backward((unsigned char *)to + bytes, (const unsigned char *)from + bytes, bytes);
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    unsigned char *p = to;
    uint64_t pattern = (unsigned char)value * 0x0101010101010101u;
    for (; bytes >= sizeof(struct block); bytes -= sizeof(struct block)) {
        struct word *out = (struct word *)p;
        out[0].bits = pattern, out[1].bits = pattern;
        out[2].bits = pattern, out[3].bits = pattern;
        p += sizeof(struct block);
        opaque(p);
    }
    for (; bytes > 0; bytes--) {
        *p++ = (unsigned char)value;
        opaque(p);
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const unsigned char *p = a;
    const unsigned char *q = b;
    while (bytes >= sizeof(struct word) &&
           ((const struct word *)p)->bits == ((const struct word *)q)->bits) {
        p += sizeof(struct word), q += sizeof(struct word), bytes -= sizeof(struct word);
        opaque(p);
    }
    for (; bytes > 0; bytes--, p++, q++) {
        opaque(p);
        if (*p != *q)
            return *p - *q;
    }
    return 0;
}
