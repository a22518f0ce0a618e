/* SPDX-License-Identifier: MIT */
/*
 * libgc as Debian has it, with its defaults, behind the face of heap.h.
 *
 * A pause is the time from before the world is stopped until after it is started again, as
 * libgc's events tell; all are kept, and sorted at the end. Events come with its allocation lock
 * held, from one thread at a time.
 */
#include "tests/bench-gc/heap.h"
#include <stdio.h>
#include <time.h>

#define MOST_PAUSES 200000u

static uint64_t *pauses_ns;
static size_t pauses;
static uint64_t stop_began_ns, mark_began_ns, mark_took_ns;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void on_event(GC_EventType event)
{
    if (event == GC_EVENT_PRE_STOP_WORLD)
        stop_began_ns = now_ns();
    else if (event == GC_EVENT_MARK_START)
        mark_began_ns = now_ns();
    else if (event == GC_EVENT_MARK_END)
        mark_took_ns = now_ns() - mark_began_ns;
    else if (event == GC_EVENT_POST_START_WORLD && pauses < MOST_PAUSES)
        pauses_ns[pauses++] = now_ns() - stop_began_ns;
}

void collector_init(unsigned threads, unsigned markers)
{
    char text[16];

    (void)threads;
    snprintf(text, sizeof(text), "%u", markers);
    setenv("GC_MARKERS", text, 1);
    pauses_ns = bench_table(MOST_PAUSES * sizeof(*pauses_ns));
    GC_INIT();
    GC_allow_register_threads();
    GC_set_finalize_on_demand(1);
    GC_set_on_collection_event(on_event);
    GC_set_warn_proc(GC_ignore_warn_proc);
}

void collector_enter(void)
{
    struct GC_stack_base base;

    GC_get_stack_base(&base);
    if (GC_register_my_thread(&base) != GC_SUCCESS)
        bench_fail("libgc does not register this thread");
}

void collector_leave(void)
{
    GC_unregister_my_thread();
}

uint64_t collector_collect(void)
{
    GC_gcollect();
    return mark_took_ns;
}

void collector_set_finalizer(void *object, void (*finalize)(void *object, void *unused))
{
    GC_register_finalizer(object, finalize, NULL, NULL, NULL);
}

void collector_run_finalizers(void)
{
    GC_invoke_finalizers();
}

static int longer_first(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left < right) - (left > right);
}

void collector_report(struct collector_report *report)
{
    *report = (struct collector_report){.cycles = pauses};
    if (pauses == 0)
        return;
    qsort(pauses_ns, pauses, sizeof(*pauses_ns), longer_first);
    report->pause_max_ns = pauses_ns[0];
    report->pause_p99_ns = pauses_ns[pauses / 100];
    for (size_t i = 0; i < pauses; i++)
        report->pause_total_ns += pauses_ns[i];
}
