/* SPDX-License-Identifier: MIT */
/* Objects without pointers that are not zeroed, and those that are, in the same memory. */
#include "kernel-lib/check.h"
#include "kernel-lib/memory.h"
#include "tests/gc/gc_test.h"

#define LARGE_BYTES ((size_t)1 << 20)
#define STALE       0x5a

static bool is_filled(const unsigned char *bytes, size_t count, unsigned char with)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != with)
            return false;
    }
    return true;
}

/* A stretch of memory with something in it, given back. */
static void leave_stale(size_t bytes)
{
    void *object = bh_gc_alloc_buffer(bytes);
    BH_CHECK(object != NULL, "test: no memory for a buffer");
    memset(object, STALE, bytes);
    bh_gc_free(object);
}

TEST(gc_buffers_leave_others_zeroed)
{
    static const size_t sizes[] = {1, 15, 16, 100, 5000, 70000, LARGE_BYTES};
    test_begin();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        leave_stale(sizes[i]);
        EXPECT(is_filled(bh_gc_alloc_noscan(sizes[i]), sizes[i], 0));
        leave_stale(sizes[i]);
        EXPECT(is_filled(bh_gc_alloc(sizes[i]), sizes[i], 0));
    }
}

/* What is in a buffer nobody may rely on: where freed objects are filled, it is too, fresh or not.
 */
TEST(gc_buffers_hold_what_they_are_given)
{
    test_begin();
    unsigned char *volatile buffer = bh_gc_alloc_buffer(LARGE_BYTES);
    REQUIRE(buffer != NULL);
    EXPECT(BH_DEBUG < 2 || buffer[0] != 0);
    memset(buffer, STALE, LARGE_BYTES);
    test_collect();
    EXPECT(is_filled(buffer, LARGE_BYTES, STALE));
}

/* Nothing in them is a reference. */
TEST(gc_buffers_are_not_scanned)
{
    enum { NODES = 200 };
    uint64_t magic = test_magic();
    test_begin();
    uintptr_t *volatile buffer = bh_gc_alloc_buffer(LARGE_BYTES);
    REQUIRE(buffer != NULL);
    for (size_t i = 0; i < NODES; i++)
        buffer[i] = (uintptr_t)test_node(magic, i);
    test_collect();
    EXPECT(test_count(magic) <= TEST_LEFTOVERS);
}

TEST(gc_buffers_of_no_size_and_too_much)
{
    test_begin();
    EXPECT(bh_gc_alloc_buffer(0) != NULL);
    EXPECT(bh_gc_alloc_buffer((size_t)PTRDIFF_MAX + 1) == NULL);
    EXPECT(bh_gc_alloc_buffer(SIZE_MAX) == NULL);
}
