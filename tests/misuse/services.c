/* SPDX-License-Identifier: MIT */
/*
 * Finalizers, cleanups, weak references, pins and scanned manual memory of what is no object, or no
 * more: found at the call. A manual object that is freed while it is scanned: in the next stop.
 */
#include "alloc/walk.h"
#include "gc/collect.h"
#include "tests/harness/harness.h"
#include "tests/misuse/misuse.h"
#include <bareheap/bareheap.h>

#define SCAN_100 "object * (0x*, 112 bytes) of the scan span 0x*, class 8"
#define FREED    "freed already: byte 0 of " SCAN_100 "; " CALLER
#define MANUAL   "not a collected object: byte 0 of " OBJECT_100 "; " CALLER
#define INSIDE   "inside an object: byte 8 of " SCAN_100 "; " CALLER

static void never(void *object, void *arg)
{
    (void)object, (void)arg;
}

static void never_clean(void *arg)
{
    (void)arg;
}

static char *freed_object(void)
{
    harness_heap();
    char *object = bh_gc_alloc(100);
    bh_gc_free(object);
    return object;
}

/* ---- records beside objects ---- */

TEST_PANICS(misuse_finalizer_of_a_free_object, "bh_gc_set_finalizer(0x*): " FREED)
{
    bh_gc_set_finalizer(freed_object(), never, NULL);
}

TEST_PANICS(misuse_cleanup_of_a_free_object, "bh_gc_add_cleanup(0x*): " FREED)
{
    bh_gc_add_cleanup(freed_object(), never_clean, NULL);
}

TEST_PANICS(misuse_weak_reference_to_a_free_object, "bh_gc_weak_create(0x*): " FREED)
{
    bh_gc_weak_create(freed_object());
}

TEST_PANICS(misuse_weak_reference_to_a_manual_object, "bh_gc_weak_create(0x*): " MANUAL)
{
    harness_heap();
    bh_gc_weak_create(bh_malloc(100));
}

TEST_PANICS(misuse_finalizer_of_a_large_free_object,
            "bh_gc_set_finalizer(0x*): not a collected object: in free pages of the heap; " CALLER)
{
    harness_heap();
    void *object = bh_gc_alloc(100000);
    bh_gc_free(object);
    bh_gc_set_finalizer(object, never, NULL);
}

/* What this core's cursor will hand out next is free, though its bit is set already. */
TEST_PANICS(misuse_finalizer_of_what_is_still_to_be_handed_out, "bh_gc_set_finalizer(0x*): " FREED)
{
    harness_heap();
    char *object = bh_gc_alloc(100);
    bh_gc_set_finalizer(object + 112, never, NULL);
}

TEST_PANICS(misuse_gc_free_of_what_is_still_to_be_handed_out,
            "bh_gc_free(0x*): freed twice: byte 0 of " SCAN_100 "; " CALLER)
{
    harness_heap();
    char *object = bh_gc_alloc(100);
    bh_gc_free(object + 112);
}

/* The sweep is still to come: what is allocated is said by the marks. In the old bitmap a noscan
 * object is still what it was, and one that was scanned is not (alloc/walk.h: black). */
TEST_PANICS(misuse_finalizer_of_a_free_object_before_the_sweep,
            "bh_gc_set_finalizer(0x*): freed already: byte 0 of object * (0x*, 112 bytes) of the "
            "noscan span 0x*, class 8; " CALLER)
{
    harness_heap();
    char *object = bh_gc_alloc_noscan(100);
    EXPECT(collect_run(COLLECT_GROWTH) && walk_is_unswept());
    EXPECT(bh_gc_set_finalizer(object, never, NULL));
    bh_gc_free(object);
    bh_gc_set_finalizer(object, never, NULL);
}

TEST(misuse_records_before_the_sweep_are_none)
{
    harness_heap();
    char *object = bh_gc_alloc(100);
    EXPECT(collect_run(COLLECT_GROWTH) && walk_is_unswept());
    EXPECT(bh_gc_set_finalizer(object, never, NULL));
    EXPECT(bh_gc_pin(object));
    bh_gc_unpin(object);
    bh_gc_free(object);
}

/* ---- pins ---- */

TEST_PANICS(misuse_pin_of_a_free_object, "bh_gc_pin(0x*): " FREED)
{
    bh_gc_pin(freed_object());
}

TEST_PANICS(misuse_pin_of_a_manual_object, "bh_gc_pin(0x*): " MANUAL)
{
    harness_heap();
    bh_gc_pin(bh_malloc(100));
}

TEST_PANICS(misuse_pin_inside_an_object, "bh_gc_pin(0x*): " INSIDE)
{
    harness_heap();
    char *object = bh_gc_alloc(100);
    bh_gc_pin(object + 8);
}

TEST_PANICS(misuse_unpin_inside_an_object, "bh_gc_unpin(0x*): " INSIDE)
{
    harness_heap();
    char *object = bh_gc_alloc(100);
    EXPECT(bh_gc_pin(object));
    bh_gc_unpin(object + 8);
}

TEST_PANICS(misuse_unpin_more_often_than_pinned,
            "bh_gc_unpin(0x*): not pinned: byte 0 of " SCAN_100 "; " CALLER)
{
    harness_heap();
    void *object = bh_gc_alloc(100);
    EXPECT(bh_gc_pin(object));
    bh_gc_unpin(object);
    bh_gc_unpin(object);
}

TEST_PANICS(misuse_gc_free_of_a_pinned_object,
            "bh_gc_free(0x*): pinned: bh_gc_unpin() comes first: byte 0 of " SCAN_100 "; " CALLER)
{
    harness_heap();
    void *object = bh_gc_alloc(100);
    EXPECT(bh_gc_pin(object) && bh_gc_pin(object));
    bh_gc_unpin(object);
    bh_gc_free(object);
}

/* Neighbours of one that is pinned, and that one when it is not any more, are free to go. */
TEST(misuse_gc_free_beside_a_pinned_object)
{
    char *objects[8];
    harness_heap();
    for (size_t i = 0; i < 8; i++)
        REQUIRE((objects[i] = bh_gc_alloc(100)) != NULL);
    EXPECT(bh_gc_pin(objects[3]));
    for (size_t i = 4; i < 8; i++)
        bh_gc_free(objects[i]);
    bh_gc_unpin(objects[3]);
    for (size_t i = 0; i < 4; i++)
        bh_gc_free(objects[i]);
    bh_heap_verify();
}

/* ---- manual memory that is scanned ---- */

TEST_PANICS(misuse_scan_of_a_foreign_pointer,
            "bh_gc_scan_manual(0x*): not an allocated object: outside the heap; " CALLER)
{
    char local[16];
    harness_heap();
    bh_gc_scan_manual(local);
}

TEST_PANICS(misuse_scan_inside_an_object,
            "bh_gc_scan_manual(0x*): inside an object: byte 8 of " OBJECT_100 "; " CALLER)
{
    harness_heap();
    char *object = bh_malloc(100);
    bh_gc_scan_manual(object + 8);
}

#define WHILE_SCANNED \
    "bh_gc_scan_manual(0x*): freed or moved while it was scanned: byte 0 of " OBJECT_100

/* A plain build knows of it when the object has left the caches. */
TEST_PANICS(misuse_free_of_a_scanned_object, WHILE_SCANNED)
{
    harness_heap();
    void *object = bh_malloc(100);
    void *neighbour = bh_malloc(100); /* keeps the span */
    EXPECT(bh_gc_scan_manual(object));
    bh_free(object);
    bh_release_pages();
    bh_gc_collect();
    bh_free(neighbour);
}

TEST_PANICS(misuse_realloc_of_a_scanned_object, WHILE_SCANNED)
{
    harness_heap();
    void *object = bh_malloc(100);
    void *neighbour = bh_malloc(100);
    EXPECT(bh_gc_scan_manual(object));
    void *moved = bh_realloc(object, 4000);
    bh_release_pages();
    bh_gc_collect();
    bh_free(neighbour);
    bh_free(moved);
}
