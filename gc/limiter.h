/* SPDX-License-Identifier: MIT */
/*
 * Keeps the collector's share of the time at a half: a bucket, as Go's limiter has one (Go 1.19,
 * runtime/mgclimit.go; the idea is from its soft memory limit's design document).
 *
 * 1. Time in stops fills the bucket, all other time drains it, one for one; it is never less than
 *    empty. As all cores stand still in a stop, one clock does for all of them.
 * 2. A cycle that may be left out starts only when there is no more in it than its capacity.
 * 3. A cycle comes in whole, however long it was. (Go's bucket cannot overflow: its cycles run
 *    beside the program, and stop helping when it is full. A stop cannot be left half done, so what
 *    is too much has to be waited for afterwards.) What was above the capacity before it is
 *    dropped: cycles that nobody asked the bucket about, those by bh_gc_collect(), do not pile up.
 *
 * So in any time w, of cycles that were let go g <= (w + capacity + the longest of them) / 2: while
 * the bucket is not empty g - (w - g) is what it has gained, and before the last one that was the
 * capacity at most.
 *
 * No state of its own, no lock: the caller's.
 */
#ifndef GC_LIMITER_H
#define GC_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

struct limiter {
    uint64_t capacity_ns;
    uint64_t fill_ns; /* at that moment: */
    uint64_t at_ns;
};

/* What is in the bucket at now_ns. A clock that has gone back drains nothing. */
static inline uint64_t limiter_fill_ns(const struct limiter *limiter, uint64_t now_ns)
{
    uint64_t drained_ns = now_ns > limiter->at_ns ? now_ns - limiter->at_ns : 0;
    return limiter->fill_ns > drained_ns ? limiter->fill_ns - drained_ns : 0;
}

/* Whether a cycle may start. */
static inline bool limiter_allows(const struct limiter *limiter, uint64_t now_ns)
{
    return limiter_fill_ns(limiter, now_ns) <= limiter->capacity_ns;
}

/* All cores stood still from start_ns to end_ns. */
static inline void limiter_add(struct limiter *limiter, uint64_t start_ns, uint64_t end_ns)
{
    uint64_t fill_ns = limiter_fill_ns(limiter, start_ns);
    if (fill_ns > limiter->capacity_ns)
        fill_ns = limiter->capacity_ns;
    limiter->fill_ns = fill_ns + (end_ns > start_ns ? end_ns - start_ns : 0);
    limiter->at_ns = end_ns;
}

#endif
