/* SPDX-License-Identifier: MIT */
/*
 * Our collector on the host board, behind the face of heap.h.
 *
 * Cores are threads. There are as many as may mark in a stop, so that a core without a thread of
 * the program has one of the board, which sleeps, parked, and is woken for a stop with much to
 * mark: as an idle core of a kernel.
 *
 * The 99th percentile is exact for up to 32 cycles, of which the library keeps every pause; beyond,
 * it is taken from the histogram, linear in the bucket, so right to within a factor of two.
 */
#include "boards/host/host.h"
#include "tests/bench-gc/heap.h"

#define RAM_BYTES ((size_t)6 << 30)

void collector_init(unsigned threads, unsigned markers)
{
    unsigned cores = threads > markers ? threads : markers;

    if (bh_host_init(RAM_BYTES, cores) != BH_OK)
        bench_fail("%u cores and %zu bytes cannot be had", cores, RAM_BYTES);
}

void collector_enter(void)
{
    if (!bh_host_attach_thread())
        bench_fail("there is no core for this thread");
}

void collector_leave(void)
{
    bh_host_detach_thread();
}

uint64_t collector_collect(void)
{
    struct bh_gc_stats stats;

    if (!bh_gc_collect())
        bench_fail("bh_gc_collect() says false");
    bh_gc_get_stats(&stats);
    return stats.pause_last_ns;
}

void collector_set_finalizer(void *object, void (*finalize)(void *object, void *unused))
{
    if (!bh_gc_set_finalizer(object, finalize, NULL))
        bench_fail("there is no memory for a finalizer");
}

void collector_run_finalizers(void)
{
    (void)bh_gc_run_finalizers(SIZE_MAX);
}

/* The number of pauses that are longer than the 99th percentile. */
static uint64_t pauses_above(uint64_t count)
{
    return count / 100;
}

static uint64_t p99_of_all(const struct bh_gc_stats *stats)
{
    uint64_t sorted[32], count = stats->cycles;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = i, pause = stats->pauses_ns[i];
        for (; at > 0 && sorted[at - 1] < pause; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = pause;
    }
    return count == 0 ? 0 : sorted[pauses_above(count)];
}

static uint64_t p99_of_histogram(const struct bh_gc_stats *stats)
{
    uint64_t above = pauses_above(stats->cycles), seen = 0;
    unsigned bucket = 32;

    while (bucket > 0 && seen <= above)
        seen += stats->pause_histogram[--bucket];
    uint64_t low_ns = 1000ull << bucket, count = stats->pause_histogram[bucket];
    uint64_t p99 = low_ns + low_ns * (seen - above) / (count == 0 ? 1 : count);
    return p99 < stats->pause_max_ns ? p99 : stats->pause_max_ns;
}

void collector_report(struct collector_report *report)
{
    struct bh_gc_stats stats;

    bh_gc_get_stats(&stats);
    report->cycles = stats.cycles;
    report->pause_max_ns = stats.pause_max_ns;
    report->pause_total_ns = stats.pause_total_ns;
    report->pause_p99_ns = stats.cycles <= 32 ? p99_of_all(&stats) : p99_of_histogram(&stats);
}
