/* SPDX-License-Identifier: MIT */
/*
 * The collector: a non-moving mark-sweep garbage collector on the allocator's spans.
 *
 * Collected objects live in the same regions as manual ones. Roots are the registered ranges
 * (the image's .data and .bss), the stack and all registers of every core, every stack the port
 * lists, and pinned objects. A word anywhere in a root or in a scanned object that points into
 * an object, or one past its end, keeps it alive. Manual objects are not scanned: a
 * collected object whose only reference is in bh_malloc'd memory is garbage.
 *
 * Allocating is legal in interrupt handlers and with interrupts off; it then never starts a
 * collection and never waits for one: it returns NULL when memory is out.
 */
#ifndef BAREHEAP_GC_H
#define BAREHEAP_GC_H

#include <bareheap/config.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed object of `bytes`, scanned conservatively: every aligned word may be a pointer. */
void *bh_gc_alloc(size_t bytes);

/*
 * A zeroed object that holds no pointers and is never scanned. Under 16 bytes several share a
 * block, aligned to their size's natural alignment only.
 */
void *bh_gc_alloc_noscan(size_t bytes);

/*
 * Gives `object` (its first byte) back at once, for an owner who knows that nothing refers to it.
 * A hint for tiny noscan objects, which share a block and stay until it dies.
 */
void bh_gc_free(void *object);

/*
 * Runs a whole cycle: on return everything unreachable at the call is free. False when it
 * could not: interrupts off, called from an interrupt handler, or a core did not stop in time
 * (nothing was freed then).
 */
bool bh_gc_collect(void);

/*
 * [lo, hi) is scanned from now on as a root; lo and hi are rounded inward to words. False when the
 * table (BH_GC_MAX_ROOTS) is full. Removing takes the same lo.
 */
#define BH_GC_MAX_ROOTS 64
bool bh_gc_add_root(const void *lo, const void *hi);
bool bh_gc_remove_root(const void *lo);

/*
 * Keeps an object alive, wherever its references are, until as many unpins. False when memory
 * is out.
 */
bool bh_gc_pin(void *object);
void bh_gc_unpin(void *object);

/*
 * The heap may grow by `percent` of what was live after the last cycle before the next one
 * starts (100 at first). Negative: only on demand or when memory is out. Returns the old value.
 */
int bh_gc_set_percent(int percent);

/*
 * Between park and unpark this core counts as stopped: it may keep interrupts off for long, or
 * sleep, but neither it nor its interrupt handlers may touch collected memory or call a function of
 * this library other than bh_handle_signal(). (An idle core whose handlers allocate need not
 * park: it takes the stop interrupt.) Its stack and registers at the call stay roots, the stack
 * where it is: the function that parks must not return before it has unparked. Park empties the
 * core's cache, as bh_drain() does. Unpark waits,
 * interrupts off, for a stop that is under way. Not nested.
 */
void bh_gc_park(void);
void bh_gc_unpark(void);

/* Sweeps a little, from an idle loop: up to `pages` pages. False when nothing is left to do. */
bool bh_gc_work(size_t pages);

/* Counters since bh_init(). Durations are in nanoseconds of bh_port_now_ns(); a pause is the time
 * from the request to stop to the release. */
struct bh_gc_stats {
    uint64_t cycles;           /* completed collections */
    uint64_t forced_cycles;    /* of which by bh_gc_collect() */
    uint64_t abandoned_cycles; /* a core did not stop; nothing was freed */
    uint64_t pause_total_ns;   /* of all complete cycles */
    uint64_t pause_max_ns;     /* the longest of those */
    uint64_t pause_last_ns;
    size_t live_bytes;       /* marked by the last cycle */
    size_t goal_bytes;       /* collected heap at which the next one starts */
    size_t heap_bytes;       /* handed out or reserved for handing out, now */
    uint64_t marked_objects; /* by the last cycle */
    uint64_t scanned_bytes;  /* by the last cycle, roots included */
    uint64_t mark_overflows; /* times the mark stack was full and the heap was rescanned */
};
void bh_gc_get_stats(struct bh_gc_stats *stats);

/* A line per cycle through bh_port_log(), in the format of Go's gctrace. Off at first. */
void bh_gc_set_trace(bool on);

/* Keeps `object` alive up to this point of the program: a use the compiler cannot remove. */
static inline void bh_gc_keep_alive(const void *object)
{
    __asm__ volatile("" : : "r"(object) : "memory");
}

#endif
