/* SPDX-License-Identifier: MIT */
/* The malloc family, function by function: sizes, alignment, zeroes, errno, what glibc does. */
#define _GNU_SOURCE
#include "tests/preload/expect.h"
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>

void free_sized(void *object, size_t bytes) __attribute__((weak));
void free_aligned_sized(void *object, size_t align, size_t bytes) __attribute__((weak));

/* What the compiler must not know to be absurd. */
static volatile size_t huge = (size_t)PTRDIFF_MAX + 1;
static volatile size_t nearly_all = SIZE_MAX - 100;
static volatile size_t zero;

static bool is_aligned(const void *object, size_t align)
{
    return (uintptr_t)object % align == 0;
}

/* One past what a size class holds, and so on: the sizes around which things change. */
static const size_t sizes[] = {0,    1,     7,     8,     9,      15,      16,     17,
                               24,   31,    100,   1000,  1023,   1024,    1025,   4095,
                               4097, 32767, 32768, 32769, 100000, 1048577, 5000000};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void test_malloc(void)
{
    void *objects[SIZES];
    for (size_t i = 0; i < SIZES; i++) {
        objects[i] = malloc(sizes[i]);
        EXPECT(objects[i] != NULL);
        EXPECT(is_aligned(objects[i], 16));
        EXPECT(malloc_usable_size(objects[i]) >= sizes[i]);
        fill(objects[i], sizes[i]);
    }
    for (size_t i = 0; i < SIZES; i++) {
        EXPECT(is_filled(objects[i], sizes[i]));
        free(objects[i]);
    }
    EXPECT(malloc_usable_size(NULL) == 0);
}

static void test_small_alignment(void)
{
    for (size_t bytes = 0; bytes < 2000; bytes++) {
        void *object = malloc(bytes);
        EXPECT(is_aligned(object, 16));
        free(object);
    }
}

static void test_zero_sizes(void)
{
    void *a = malloc(zero);
    void *b = malloc(zero);
    void *c = calloc(zero, 8);
    EXPECT(a && b && c && a != b && b != c);
    a = realloc(a, zero); /* frees */
    b = reallocarray(b, zero, 4);
    EXPECT(!a && !b);
    free(c);
    c = realloc(NULL, zero);
    EXPECT(c);
    free(c);
    free(NULL);
}

static void test_calloc(void)
{
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < SIZES; i++) {
            unsigned char *object = calloc(1, sizes[i]);
            EXPECT(object != NULL);
            bool clear = true;
            for (size_t b = 0; b < sizes[i]; b++)
                clear = clear && object[b] == 0;
            EXPECT(clear);
            memset(object, 0xff, sizes[i]);
            free(object);
        }
    }
}

/* Whether a request that cannot be met was answered as it should be. */
static bool is_refused(const void *object)
{
    bool refused = !object && errno == ENOMEM;
    errno = 0;
    return refused;
}

/* Where the compiler does not see that the object is used after it. */
static __attribute__((noinline)) void test_no_realloc(void *volatile object)
{
    void *moved = realloc(object, huge);
    EXPECT(is_refused(moved));
    moved = reallocarray(object, huge, 16);
    EXPECT(is_refused(moved));
}

static void test_failures(void)
{
    void *object = malloc(huge);
    EXPECT(is_refused(object));
    object = malloc(nearly_all);
    EXPECT(is_refused(object));
    object = malloc((size_t)1 << 50);
    EXPECT(is_refused(object));
    object = calloc(huge, 2);
    EXPECT(is_refused(object));
    object = malloc(100);
    EXPECT(object);
    fill(object, 100);
    test_no_realloc(object);
    EXPECT(is_filled(object, 100));
    free(object);
}

static void test_errno_stays(void)
{
    errno = 77;
    for (size_t i = 0; i < SIZES; i++)
        free(malloc(sizes[i]));
    malloc_trim(0);
    EXPECT(errno == 77);
    void *object = NULL;
    EXPECT(posix_memalign(&object, 64, huge) == ENOMEM && errno == 77);
    errno = 0;
}

static void test_realloc(void)
{
    char *object = NULL;
    size_t bytes = 1;
    for (; bytes < 20000000; bytes = bytes * 3 / 2 + 1) {
        object = realloc(object, bytes);
        EXPECT(object && is_aligned(object, 16));
        memset(object + bytes / 2, 'a', bytes - bytes / 2);
        object[0] = 'b';
    }
    for (; bytes > 4; bytes = bytes / 5 * 3) {
        object = realloc(object, bytes);
        EXPECT(object && object[0] == 'b');
    }
    free(object);
}

static void test_aligned(void)
{
    void *object;
    for (size_t align = 1; align <= (size_t)4 << 20; align *= 2) {
        for (size_t i = 0; i < SIZES; i++) {
            object = memalign(align, sizes[i]);
            EXPECT(object && is_aligned(object, align) && is_aligned(object, 16));
            EXPECT(malloc_usable_size(object) >= sizes[i]);
            fill(object, sizes[i]);
            free(object);
            object = aligned_alloc(align, sizes[i]);
            EXPECT(object && is_aligned(object, align));
            free(object);
        }
    }
    EXPECT(posix_memalign(&object, 256, 1000) == 0 && is_aligned(object, 256));
    object = realloc(object, 5000);
    EXPECT(object != NULL);
    free(object);
}

static void test_bad_alignment(void)
{
    void *object = &object;
    EXPECT(posix_memalign(&object, 3, 8) == EINVAL && object == &object);
    EXPECT(posix_memalign(&object, 4, 8) == EINVAL);
    EXPECT(posix_memalign(&object, zero, 8) == EINVAL);
    errno = 0;
    object = aligned_alloc(48 + zero, 64);
    EXPECT(!object && errno == EINVAL);
    object = memalign(48 + zero, 64); /* glibc rounds up */
    EXPECT(object && is_aligned(object, 64));
    free(object);
    errno = 0;
    object = memalign(nearly_all, 64);
    EXPECT(!object && errno == EINVAL);
    errno = 0;
}

static void test_pages(void)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *object = valloc(10);
    EXPECT(object && is_aligned(object, page_bytes));
    free(object);
    object = pvalloc(10);
    EXPECT(object && is_aligned(object, page_bytes) && malloc_usable_size(object) >= page_bytes);
    free(object);
    object = pvalloc(nearly_all);
    EXPECT(is_refused(object));
}

static void test_sized_free(void)
{
    EXPECT(free_sized && free_aligned_sized);
    free_sized(malloc(100), 100);
    free_sized(NULL, 0);
    free_aligned_sized(aligned_alloc(64, 128), 64, 128);
}

static void test_information(void)
{
    struct mallinfo2 before = mallinfo2();
    void *object = malloc(10000000);
    struct mallinfo2 after = mallinfo2();
    EXPECT(after.uordblks >= before.uordblks + 10000000);
    EXPECT(after.arena >= after.uordblks);
    EXPECT(mallinfo().uordblks == (int)mallinfo2().uordblks);
    free(object);
    EXPECT(malloc_trim(0) == 1);
    EXPECT(mallinfo2().keepcost < 10000000);
    EXPECT(mallopt(M_ARENA_MAX, 2) == 1);
}

int main(void)
{
    test_malloc();
    test_small_alignment();
    test_zero_sizes();
    test_calloc();
    test_failures();
    test_errno_stays();
    test_realloc();
    test_aligned();
    test_bad_alignment();
    test_pages();
    test_sized_free();
    test_information();
    puts("ok");
    return 0;
}
