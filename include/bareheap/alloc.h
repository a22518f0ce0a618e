/* SPDX-License-Identifier: MIT */
/*
 * The allocator: malloc and free for a kernel, on RAM that the kernel hands over.
 *
 * There is one heap. All functions may be called from any core once bh_init() has returned on
 * one, and from interrupt handlers too (not from NMIs), but for six: bh_init(), bh_add_region(),
 * bh_add_region_with(), bh_release_pages(), bh_scavenge() and bh_heap_verify(). Sizes are bytes.
 *
 * With interrupts off nothing here waits, but for a lock of ours that is held for a moment. With
 * interrupts on a request that finds no memory, or that would pass bh_gc_set_limit(), may run a
 * collection, which stops the other cores; before it is NULL it waits up to 10 ms for their caches
 * and calls bh_port_pages_wanted(), which may wait for as long as it likes. So may
 * bh_port_pages_released(), which with BH_RELEASE_EAGER is called by whatever frees. Hence no lock
 * of the kernel may be held then that those hooks take, or that another core waits for with
 * interrupts off: it could not be stopped. Of ours none is held when a hook is called that may
 * wait.
 *
 * Out of memory is NULL. A wrong pointer or a broken heap is a panic that names the address,
 * its span, its size class and the caller.
 */
#ifndef BAREHEAP_ALLOC_H
#define BAREHEAP_ALLOC_H

#include <bareheap/config.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What setting up can answer. bh_status_text() gives it in words; it is logged as well. */
enum bh_status {
    BH_OK = 0,
    BH_NO_REGION,        /* the list of regions is empty */
    BH_NULL_REGION,      /* a region starts at address 0 or wraps around the address space */
    BH_TOO_SMALL,        /* a region has no room for its own metadata and one page */
    BH_UNALIGNED,        /* a region's start is not a multiple of 16 */
    BH_OVERLAP,          /* two regions share memory */
    BH_TOO_MANY_REGIONS, /* more than BH_MAX_REGIONS */
    BH_TOO_MANY_CORES,   /* bh_port_core_count() is 0 or more than BH_MAX_CORES */
    BH_TOO_FAR,          /* regions so far apart that the page map would not fit beside them */
    BH_TWICE,            /* bh_init() after a bh_init() that succeeded */
    BH_NOT_INIT,         /* bh_add_region() before bh_init() */
};

/* A stretch of RAM, mapped, readable and writable, that is the heap's from now on. */
struct bh_region {
    void *base;   /* a multiple of 16 */
    size_t bytes; /* at least 32 KiB for the first region */
    bool zeroed;  /* every byte is known to be zero: saves clearing it again */
    bool virgin;  /* zeroed, and the kernel puts memory behind a page when it is first touched: what
                   * was never used is as good as released (the host board, a kernel that pages) */
};

/*
 * Makes the heap from `count` regions (1 to BH_MAX_REGIONS), in any order. Part of each, about
 * 0.8 %, becomes metadata. Call once, on one core, before anything else here.
 */
enum bh_status bh_init(const struct bh_region *regions, size_t count);

/*
 * Gives the heap another region, at any time, from any core but not from an interrupt handler.
 * It must lie close enough to the others that a map of all between them fits (BH_TOO_FAR).
 */
enum bh_status bh_add_region(void *base, size_t bytes);

/*
 * The same with all that is known of the memory: of a zeroed region the metadata is not cleared
 * again, so that of a virgin one nothing is touched until it is needed. Contexts and answers are
 * those of bh_add_region(); NULL is refused like a base of NULL.
 */
enum bh_status bh_add_region_with(const struct bh_region *region);

/* The status in words, for logs: "regions overlap". Never NULL. */
const char *bh_status_text(enum bh_status status);

/*
 * An object of at least `bytes` bytes, aligned for any type of that size (16 from 16 bytes up, 8
 * below), contents undefined. bh_malloc(0) is a distinct object. NULL when memory is out or
 * `bytes` is over PTRDIFF_MAX.
 */
void *bh_malloc(size_t bytes);

/* `count` objects of `bytes` each, zeroed; NULL too when the product overflows. */
void *bh_calloc(size_t count, size_t bytes);

/*
 * Changes the size of `object`, in place where the size class or the pages behind it allow,
 * else by a move. NULL leaves the object as it was. bh_realloc(NULL, n) is bh_malloc(n);
 * bh_realloc(p, 0) shrinks to the smallest object and does not free.
 */
void *bh_realloc(void *object, size_t bytes);

/*
 * An object whose address is a multiple of `align`: a power of two up to 2 MiB at least, else
 * NULL. `bytes` need not be a multiple of it. bh_free() takes it like any other.
 */
void *bh_aligned_alloc(size_t align, size_t bytes);

/* Gives an object back, on any core. NULL does nothing. */
void bh_free(void *object);

/* The same with the size that was asked for, which a debug build compares. */
void bh_free_sized(void *object, size_t bytes);

/* The bytes that may be used: what was asked for, or more. 0 for NULL. */
size_t bh_usable_size(const void *object);

/*
 * Empties this core's cache and the shared ones into their spans, and hands every free run of
 * pages to bh_port_pages_released(). Returns the bytes handed over.
 */
size_t bh_release_pages(void);

/*
 * When free pages go back to the kernel by themselves, through bh_port_pages_released(). Eager: as
 * soon as a large object is freed, or the last object of a page, by the core that frees it. With
 * interrupts off, in a handler say, nothing is handed over, for the hook may wait: it is left to
 * the next free with interrupts on, or to bh_scavenge(), and a request that would fail takes it
 * back.
 */
enum bh_release {
    BH_RELEASE_NEVER,   /* only by bh_release_pages() */
    BH_RELEASE_GRADUAL, /* by bh_scavenge(): the default */
    BH_RELEASE_EAGER,   /* when pages become free */
};

/* At any time, from any core. */
void bh_set_release(enum bh_release mode);

/*
 * Gradual release: pages that have been free for `delay_ns` go back, at the latest when they have
 * been for twice as long; at most one percent of a processor's time is spent on it, and a tenth of
 * what is in use is kept besides. The default is five minutes (Go's). Takes effect when the next
 * bh_scavenge() looks.
 */
void bh_set_release_delay(uint64_t delay_ns);

/*
 * A step of release, from an idle loop or a timer task, interrupts on. Gradual: hands over at most
 * four pieces of a MiB. Eager: hands over what was freed with interrupts off. In both it looks once
 * a second at the cores' caches, and asks cores that have not touched theirs since the look before
 * to empty them (where there is bh_port_signal_core()): a core that rests gives its cache back
 * within a few seconds, but only in a kernel that calls this.
 *
 * Returns the nanoseconds until it wants to be called again: UINT64_MAX when release is
 * BH_RELEASE_NEVER; after a step of gradual release at least 99 times what the step took, which is
 * what keeps to the one percent; and else no more than a second while any cache holds something.
 * Any core, several at once even (all but one come back at once), not from an interrupt handler.
 * Needs bh_port_now_ns(): while the clock stands still no cache is asked for, and no page is handed
 * over gradually unless the delay is 0.
 */
uint64_t bh_scavenge(void);

/* Empties this core's cache into the shared tiers: before the core idles for long or goes down. */
void bh_drain(void);

/*
 * Asks core `core` to do so by an interrupt (bh_port_signal_core), and returns without waiting; a
 * core that has interrupts off does it when they come on. For the caller's own core: at once. From
 * the first call on, and in kernels that use the collector, bh_malloc() does so to all other cores
 * before it answers NULL, and waits up to 10 ms for them: a kernel that wants just that calls this
 * once, for the core it is on.
 */
void bh_drain_core(unsigned core);

/*
 * Where the memory is. All in bytes, summed over the cores without stopping them: exact when
 * nobody allocates meanwhile. heap == manual + cached + collected + free in spans + tail waste.
 */
struct bh_stats {
    size_t region_bytes;      /* given by the kernel */
    size_t metadata_bytes;    /* of which taken for spans, maps, bitmaps and caches */
    size_t heap_bytes;        /* in spans now: region - metadata - free runs of pages */
    size_t heap_peak_bytes;   /* the most heap_bytes has been */
    size_t free_page_bytes;   /* in free runs of pages */
    size_t released_bytes;    /* of which without memory: handed back, or never touched */
    size_t largest_run_bytes; /* the largest free run: what the next large object can have */
    size_t cached_bytes;      /* in the caches of the cores and of the central tier */
    size_t manual_bytes;      /* in manual objects handed out, rounded up to their class */
    size_t collected_bytes;   /* in collected spans */
    size_t manual_objects;    /* how many those are */
    uint64_t failures;        /* requests answered with NULL */
};

/* Fills `stats`. Takes each lock in turn for a moment. */
void bh_get_stats(struct bh_stats *stats);

/* Starts heap_peak_bytes anew from heap_bytes. */
void bh_reset_peak(void);

/*
 * Walks the whole heap and panics at the first broken invariant, by its tag (alloc/README.md).
 * Allocates nothing. The other cores must not allocate meanwhile; callable from a debugger.
 */
void bh_heap_verify(void);

#ifdef __cplusplus
}
#endif

#endif
