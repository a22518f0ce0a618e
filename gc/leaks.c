/* SPDX-License-Identifier: MIT */
/*
 * The leak report: manual objects that nothing refers to, as nobody can free them any more.
 *
 * 1. Memory for marks (census.c) and for what is found is taken before the stop.
 * 2. In the stop, after what the last cycle left has been swept: everything is marked that the
 *    roots lead to, by way of collected objects or of manual ones, which are scanned
 *    conservatively whatever is in them. Objects in a core's cache or a transfer cache are free.
 * 3. What is not marked is a leak. The largest ones are kept in a heap whose root is the smallest
 *    of them; in debug builds with the backtrace that the allocator keeps.
 * 4. After the release they are logged, largest first.
 *
 * A word that only looks like a pointer hides a leak; a pointer that is kept in disguise (with a
 * tag in its high bits, relative, in a device) shows one that is none. A ring of manual objects to
 * which nothing else refers is found, every one of it.
 *
 * No state beyond a report, no locks.
 */
#include "gc/census.h"
#include "gc/inspect.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include <bareheap/gc.h>

/* The most that are logged. */
#define LEAKS_MOST ((size_t)4096)

struct leak {
    uintptr_t object;
    size_t bytes; /* asked for, where the allocator knows, else the object's room */
    uintptr_t calls[WALK_CALLS + 1]; /* that led to the allocation; zeros behind them */
};

/* In pages of its own, which are no root: no leak is hidden by its being found. */
struct leaks {
    size_t room; /* for leaks that are kept */
    size_t kept;
    size_t count; /* of all */
    size_t bytes;
    bool covered; /* the census had room for all of the heap */
    struct census *census;
    struct leak largest[];
};

/* ---- the largest ones ---- */

/* Puts the leak at `i` where it belongs: no leak in the heap is larger than those below it. */
static void leaks_sift(struct leak *leaks, size_t count, size_t i)
{
    for (size_t below = 2 * i + 1; below < count; below = 2 * i + 1) {
        if (below + 1 < count && leaks[below + 1].bytes < leaks[below].bytes)
            below++;
        if (leaks[i].bytes <= leaks[below].bytes)
            return;
        struct leak leak = leaks[i];
        leaks[i] = leaks[below];
        leaks[below] = leak;
        i = below;
    }
}

static void leaks_order(struct leaks *report)
{
    for (size_t i = report->kept / 2; i-- > 0;)
        leaks_sift(report->largest, report->kept, i);
}

static void leaks_keep(struct leaks *report, const struct leak *leak)
{
    if (report->kept < report->room) {
        report->largest[report->kept++] = *leak;
        if (report->kept == report->room)
            leaks_order(report);
        return;
    }
    if (report->room == 0 || leak->bytes <= report->largest[0].bytes)
        return;
    report->largest[0] = *leak;
    leaks_sift(report->largest, report->kept, 0);
}

/* Largest first: the smallest is taken off the heap and put behind what is left. */
static void leaks_sort(struct leaks *report)
{
    leaks_order(report);
    for (size_t left = report->kept; left > 1; left--) {
        struct leak smallest = report->largest[0];
        report->largest[0] = report->largest[left - 1];
        report->largest[left - 1] = smallest;
        leaks_sift(report->largest, left - 1, 0);
    }
}

/* ---- in the stop ---- */

static void leaks_look(const struct walk_object *object, void *arg)
{
    struct leaks *report = arg;
    struct leak leak = {.object = object->base};
    if (census_is_marked(report->census, object) || census_is_seen(report->census, object))
        return;
    leak.bytes = walk_manual_origin(object, leak.calls);
    report->count++;
    report->bytes += leak.bytes;
    leaks_keep(report, &leak);
}

static void leaks_find(void *arg)
{
    struct leaks *report = arg;
    struct census *census = report->census;
    report->covered = census_covers(census);
    if (!report->covered)
        return;
    walk_sweep_all();
    census_begin(census);
    census->found = census_mark;
    census_scan_roots(census);
    census_mark_rest(census);
    walk_each_manual(leaks_look, report);
}

/* ---- after it ---- */

/* "name+0x12 < caller+0x34": the calls that led to the allocation, innermost first. */
static void leaks_name(const uintptr_t *calls, char *text, size_t bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; calls[i] != 0 && used < bytes; i++) {
        size_t offset = 0;
        /* The return address may be the first of the next function: the call is before it. */
        const char *name = bh_symbol_name(calls[i] - 1, &offset);
        const char *before = i == 0 ? ", from " : " < ";
        used +=
            name != NULL
                ? print_format(text + used, bytes - used, "%s%s+0x%zx", before, name, offset + 1)
                : print_format(text + used, bytes - used, "%s0x%zx", before, (size_t)calls[i]);
    }
}

static void leaks_log(struct leaks *report)
{
    char origin[256];
    leaks_sort(report);
    for (size_t i = 0; i < report->kept; i++) {
        const struct leak *leak = &report->largest[i];
        leaks_name(leak->calls, origin, sizeof(origin));
        print_log("bareheap: leak: 0x%zx, %zu bytes%s\n", (size_t)leak->object, leak->bytes,
                  origin);
    }
    if (report->count != 0)
        print_log("bareheap: leaks: %zu manual objects, %zu bytes, that nothing refers to\n",
                  report->count, report->bytes);
}

/* Both are NULL or both are not. */
static struct leaks *leaks_new(size_t most)
{
    size_t room = most < LEAKS_MOST ? most : LEAKS_MOST;
    struct leaks *report = walk_pages_alloc(sizeof(*report) + room * sizeof(struct leak));
    if (report == NULL)
        return NULL;
    *report = (struct leaks){.room = room, .census = census_new(CENSUS_ALL)};
    if (report->census != NULL)
        return report;
    walk_pages_free(report);
    return NULL;
}

size_t bh_gc_report_leaks(size_t most)
{
    size_t count = SIZE_MAX;
    struct leaks *report = walk_region_bytes() != 0 ? leaks_new(most) : NULL;
    if (report == NULL)
        return SIZE_MAX;
    bool looked = inspect_in_stop(leaks_find, report) && report->covered;
    census_free(report->census);
    if (looked) {
        count = report->count;
        leaks_log(report);
    }
    walk_pages_free(report);
    return count;
}
