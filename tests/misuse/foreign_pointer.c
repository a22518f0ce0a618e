/* SPDX-License-Identifier: MIT */
/* Pointers that bh_malloc() never returned. */
#include "alloc/meta.h"
#include "alloc/page_heap.h"
#include "tests/harness/harness.h"
#include "tests/misuse/misuse.h"
#include <bareheap/alloc.h>

TEST_PANICS(misuse_free_of_a_local_variable,
            "bh_free(0x*): not an allocated object: outside the heap; " CALLER)
{
    char local[16];
    harness_heap();
    bh_free(local);
    bh_release_pages();
}

TEST_PANICS(misuse_free_of_a_global_variable,
            "bh_free(0x*): not an allocated object: outside the heap; " CALLER)
{
    static char global[16];
    harness_heap();
    bh_free(global);
    bh_release_pages();
}

TEST_PANICS(misuse_free_near_null,
            "bh_free(0x8): not an allocated object: outside the heap; " CALLER)
{
    harness_heap();
    bh_free((void *)8);
    bh_release_pages();
}

TEST_PANICS(misuse_free_at_the_end_of_memory,
            "bh_free(0xfffffffffffffff8): not an allocated object: outside the heap; " CALLER)
{
    harness_heap();
    bh_free((void *)(UINTPTR_MAX - 7));
    bh_release_pages();
}

TEST_PANICS(misuse_free_before_init,
            "bh_free(0x*): not an allocated object: outside the heap; " CALLER)
{
    static char global[16];
    bh_free(global);
    bh_release_pages();
}

TEST_PANICS(misuse_free_of_free_pages,
            "bh_free(0x*): not an allocated object: in free pages of the heap; " CALLER)
{
    harness_heap();
    char *object = bh_malloc(100000);
    bh_free(object);
    bh_free(object + 50000);
    bh_release_pages();
}

TEST_PANICS(misuse_free_of_a_record,
            "bh_free(0x*): not an allocated object: in the heap's metadata; " CALLER)
{
    harness_heap();
    bh_free(page_heap.regions[0].records);
    bh_release_pages();
}

TEST_PANICS(misuse_free_of_a_cell,
            "bh_free(0x*): not an allocated object: in the heap's metadata; " CALLER)
{
    void *cell = NULL;
    harness_heap();
    for (unsigned i = 0; i < 16; i++) /* past what the region had to spare */
        cell = meta_alloc(META_CELL_MAX);
    bh_free(cell);
    bh_release_pages();
}

TEST_PANICS(misuse_realloc_of_a_foreign_pointer,
            "bh_realloc(0x*): not an allocated object: outside the heap; " CALLER)
{
    char local[16];
    harness_heap();
    void *moved = bh_realloc(local, 100);
    bh_free(moved);
}

TEST_PANICS(misuse_usable_size_of_a_foreign_pointer,
            "bh_usable_size(0x*): not an allocated object: outside the heap; " CALLER)
{
    char local[16];
    harness_heap();
    EXPECT(bh_usable_size(local) == 0);
}

TEST_PANICS(misuse_free_sized_of_a_foreign_pointer,
            FOUND_AT_CALL ? "bh_free_sized(0x*): not an allocated object: outside the heap; " CALLER
                          : "bh_free(0x*): not an allocated object: outside the heap; " CALLER)
{
    char local[16];
    harness_heap();
    bh_free_sized(local, 16);
    bh_release_pages();
}
