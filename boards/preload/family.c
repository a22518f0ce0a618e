/* SPDX-License-Identifier: MIT */
/*
 * The malloc family of C, POSIX and glibc, by the names that programs call.
 *
 * Each is the library's function of the same meaning, with glibc's ways where programs rely on
 * them: realloc(p, 0) frees, an alignment for memalign() is rounded up to a power of two. Every
 * address is a multiple of 16 (BH_MIN_ALIGN), whatever the size. Failures set errno to ENOMEM in
 * bh_port_out_of_memory(), so nothing is left to do after the library's function.
 *
 * malloc() and free() are not here: they are bh_malloc() and bh_free() themselves, under a second
 * name that their object file is given before it is linked (mk/build.mk).
 *
 * The __libc_ names are glibc's own, which some programs call; an object of one family must not be
 * freed by the other. Not here: the operators of C++ (operators.c).
 */
#define _GNU_SOURCE
#include "boards/preload/preload.h"
#include "kernel-lib/bits.h"
#include <bareheap/alloc.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

/* Another exported name for the function `target` of this file. Not the attribute, because gcc
 * wants another one beside it that clang does not know. */
#define PRELOAD_ALIAS(name, target) __asm__(".globl " #name "\n.set " #name ", " #target)

/* --- C -------------------------------------------------------------------------------- */

PRELOAD_EXPORT void *calloc(size_t count, size_t bytes)
{
    return bh_calloc(count, bytes);
}

PRELOAD_EXPORT void *realloc(void *object, size_t bytes)
{
    if (bytes == 0 && object) {
        bh_free(object);
        return NULL;
    }
    return bh_realloc(object, bytes);
}

static void *invalid(void)
{
    errno = EINVAL;
    return NULL;
}

PRELOAD_EXPORT void *aligned_alloc(size_t align, size_t bytes)
{
    if (!bits_is_power_of_two(align))
        return invalid();
    return align <= BH_MIN_ALIGN ? bh_malloc(bytes) : bh_aligned_alloc(align, bytes);
}

/* C23: the caller says what it asked for. */
void free_sized(void *object, size_t bytes);
void free_aligned_sized(void *object, size_t align, size_t bytes);

PRELOAD_EXPORT void free_sized(void *object, size_t bytes)
{
    bh_free_sized(object, bytes);
}

PRELOAD_EXPORT void free_aligned_sized(void *object, size_t align, size_t bytes)
{
    (void)align;
    bh_free_sized(object, bytes);
}

/* --- POSIX and BSD -------------------------------------------------------------------- */

/* The error is the result; errno stays. */
PRELOAD_EXPORT int posix_memalign(void **object, size_t align, size_t bytes)
{
    int error = errno;
    if (!bits_is_power_of_two(align) || align % sizeof(void *) != 0)
        return EINVAL;
    void *aligned = aligned_alloc(align, bytes);
    errno = error;
    if (!aligned)
        return ENOMEM;
    *object = aligned;
    return 0;
}

PRELOAD_EXPORT void *reallocarray(void *object, size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(object, total);
}

/* --- glibc ---------------------------------------------------------------------------- */

PRELOAD_EXPORT void *memalign(size_t align, size_t bytes)
{
    if (align > SIZE_MAX / 2 + 1)
        return invalid();
    size_t power = BH_MIN_ALIGN;
    while (power < align)
        power *= 2;
    return aligned_alloc(power, bytes);
}

static size_t system_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

PRELOAD_EXPORT void *valloc(size_t bytes)
{
    return aligned_alloc(system_page_bytes(), bytes);
}

PRELOAD_EXPORT void *pvalloc(size_t bytes)
{
    size_t page_bytes = system_page_bytes();
    size_t rounded = bits_round_up(bytes, page_bytes);
    return aligned_alloc(page_bytes, rounded < bytes ? bytes : rounded); /* too much either way */
}

PRELOAD_EXPORT size_t malloc_usable_size(void *object)
{
    return bh_usable_size(object);
}

PRELOAD_EXPORT int malloc_trim(size_t pad)
{
    (void)pad;
    return bh_release_pages() != 0;
}

/* Nothing here works by these parameters: accepted, as glibc accepts those it does not know. */
PRELOAD_EXPORT int mallopt(int parameter, int value)
{
    (void)parameter;
    (void)value;
    return 1;
}

PRELOAD_EXPORT struct mallinfo2 mallinfo2(void)
{
    struct bh_stats stats;
    bh_get_stats(&stats);
    size_t resident = stats.heap_bytes + stats.free_page_bytes - stats.released_bytes;
    return (struct mallinfo2){.arena = resident,
                              .usmblks = stats.heap_peak_bytes,
                              .uordblks = stats.manual_bytes,
                              .fordblks = resident - stats.manual_bytes,
                              .fsmblks = stats.cached_bytes,
                              .keepcost = stats.free_page_bytes - stats.released_bytes};
}

/* The same in ints, which wrap: why there is a 2. */
PRELOAD_EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 info = mallinfo2();
    return (struct mallinfo){.arena = (int)info.arena,
                             .usmblks = (int)info.usmblks,
                             .uordblks = (int)info.uordblks,
                             .fordblks = (int)info.fordblks,
                             .fsmblks = (int)info.fsmblks,
                             .keepcost = (int)info.keepcost};
}

PRELOAD_EXPORT void malloc_stats(void)
{
    preload_print_stats();
}

PRELOAD_ALIAS(__libc_calloc, calloc);
PRELOAD_ALIAS(__libc_realloc, realloc);
PRELOAD_ALIAS(__libc_memalign, memalign);
PRELOAD_ALIAS(__libc_valloc, valloc);
PRELOAD_ALIAS(__libc_pvalloc, pvalloc);
PRELOAD_ALIAS(__posix_memalign, posix_memalign);
