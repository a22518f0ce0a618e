/* SPDX-License-Identifier: MIT */
/*
 * Looking at the heap in a stop that collects nothing, and the walk over all collected objects.
 *
 * 1. The stop is the one of a cycle (stop.c). Who loses it to another core stood still for that
 *    core's, and asks again: a cycle is no answer here.
 * 2. Nothing is swept for it: of spans that are not, walk_each_object() shows what the last mark
 *    left.
 *
 * No state, no locks. Not here: the leak report (leaks.c), pictures of the heap (dump.c).
 */
#include "gc/inspect.h"
#include "alloc/walk.h"
#include "arch/arch.h"
#include "gc/collect.h"
#include "gc/stop.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>

/* ---- a stop ---- */

struct inspection {
    void (*look)(void *arg);
    void *arg;
    enum stop_result result;
    unsigned missing_core; /* STOP_TIMED_OUT */
    uint64_t waited_ns;
};

/* On this core, its registers on its stack, interrupts off. */
static void inspect_stopped(void *arg, uintptr_t sp)
{
    struct inspection *it = arg;
    uint64_t start_ns = bh_port_now_ns();
    it->result = stop_world(sp, &it->missing_core);
    it->waited_ns = bh_port_now_ns() - start_ns;
    if (it->result != STOP_WON)
        return;
    it->look(it->arg);
    stop_release();
}

static void inspect_try(struct inspection *it)
{
    uintptr_t irq = arch_irq_save();
    arch_call_with_saved_registers(inspect_stopped, it);
    arch_irq_restore(irq);
}

static void inspect_report_late(const struct inspection *it)
{
    char line[STOP_LINE_BYTES];
    stop_describe_late(line, it->missing_core, it->waited_ns, "not looked at the heap");
    print_log("%s", line);
}

bool inspect_in_stop(void (*look)(void *arg), void *arg)
{
    struct inspection it = {.look = look, .arg = arg, .result = STOP_LOST};
    if (!collect_is_possible())
        return false;
    BH_CHECK(!stop_is_parked(), "core %u asks for a stop while it is parked", bh_port_core());
    collect_attach();
    while (it.result == STOP_LOST)
        inspect_try(&it);
    if (it.result == STOP_TIMED_OUT)
        inspect_report_late(&it);
    return it.result == STOP_WON;
}

/* ---- the walk ---- */

struct inspect_walk {
    void (*visit)(const struct bh_gc_object *object, void *arg);
    void *arg;
};

static enum bh_gc_kind inspect_kind(const struct bh_span *span)
{
    if (span->kind >= KIND_TYPED)
        return BH_GC_TYPED;
    return span->kind == KIND_NOSCAN ? BH_GC_NOSCAN : BH_GC_CONSERVATIVE;
}

static const struct bh_gc_type *inspect_type(const struct bh_span *span)
{
    return span->kind >= KIND_TYPED ? walk_layout_of(span)->type : NULL;
}

static void inspect_show(const struct walk_object *object, void *arg)
{
    const struct inspect_walk *walk = arg;
    struct bh_gc_object shown = {
        .base = (void *)object->base, /* NOLINT: an address becomes memory */
        .bytes = span_object_bytes(object->span),
        .kind = inspect_kind(object->span),
        .type = inspect_type(object->span),
    };
    walk->visit(&shown, walk->arg);
}

static void inspect_each(void *arg)
{
    walk_each_object(inspect_show, arg);
}

bool bh_gc_walk(void (*visit)(const struct bh_gc_object *object, void *arg), void *arg)
{
    struct inspect_walk walk = {visit, arg};
    return inspect_in_stop(inspect_each, &walk);
}
