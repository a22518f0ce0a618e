/* SPDX-License-Identifier: MIT */
/*
 * Finalizers and cleanups: setting them, and running those that are due.
 *
 * 1. A cycle makes due what belongs to objects that it did not reach (services.c): the record goes
 *    to the end of the queue of its kind. A finalizer's holds its object from here on, as an
 *    address that is scanned; a cleanup's has no object any more.
 * 2. bh_gc_run_finalizers() takes records from the queues, one at a time, frees each, and then
 *    calls its function, with no lock held: the function may do anything, and that again.
 * 3. What is taken back while it is due stays in the queue without a function, and is freed when
 *    its turn comes: queues are linked one way.
 *
 * Lock: that of special.c. Invariants: finalize_set counts the finalizers that are not due,
 * finalize_due_count the records in the queues that have a function.
 */
#include "gc/finalize.h"
#include "arch/arch.h"
#include "gc/stop.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include <bareheap/port.h>

/* The next_due of the last record in a queue; of one that is in none it is 0. */
#define FINALIZE_END UINT32_MAX

struct finalize_queue {
    uint32_t first; /* records; 0: the queue is empty */
    uint32_t last;
};

static struct finalize_queue finalize_queues[SPECIAL_CLEANUP + 1];
static uint64_t finalize_run_counts[SPECIAL_CLEANUP + 1];
static size_t finalize_due_count;
static size_t finalize_set;
static uint32_t finalize_serial;

/* ---- the queues ---- */

static void count_due(size_t change)
{
    /* Relaxed: finalize_is_due() is told that its answer may be old. */
    atomic_store_relaxed(&finalize_due_count, finalize_due_count + change);
}

bool finalize_is_due(void)
{
    return atomic_load_relaxed(&finalize_due_count) != 0;
}

static void queue_push(struct finalize_queue *queue, struct special at)
{
    uint32_t id = special_id_of(at);
    at.chunk->next_due[at.place] = FINALIZE_END;
    if (queue->first == 0) {
        queue->first = id;
    } else {
        struct special last = special_at(queue->last);
        last.chunk->next_due[last.place] = id;
    }
    queue->last = id;
}

static bool queue_pop_locked(struct finalize_queue *queue, struct special *at)
{
    if (queue->first == 0)
        return false;
    *at = special_at(queue->first);
    uint32_t next = at->chunk->next_due[at->place];
    queue->first = next == FINALIZE_END ? 0 : next;
    return true;
}

void finalize_make_due(struct special at, uintptr_t object)
{
    if (at.chunk->kind == SPECIAL_FINALIZER) {
        at.chunk->object[at.place] = object; /* it stays in its chain: bh_gc_free() looks there */
        finalize_set--;
    } else {
        special_unlink_locked(at);
    }
    queue_push(&finalize_queues[at.chunk->kind], at);
    count_due(1);
}

void finalize_each_due(void (*visit)(const uintptr_t *word, void *arg), void *arg)
{
    uint32_t id = finalize_queues[SPECIAL_FINALIZER].first;
    while (id != 0 && id != FINALIZE_END) {
        struct special at = special_at(id);
        visit(&at.chunk->object[at.place], arg);
        id = at.chunk->next_due[at.place];
    }
}

/* ---- taking back ---- */

void finalize_take_back_locked(struct special at)
{
    if (at.chunk->next_due[at.place] != 0) {
        special_unlink_locked(at);
        count_due(at.chunk->function[at.place] != 0 ? (size_t)-1 : 0);
        at.chunk->function[at.place] = at.chunk->arg[at.place] = 0;
        return;
    }
    finalize_set -= at.chunk->kind == SPECIAL_FINALIZER;
    special_drop_locked(at);
}

/* ---- setting ---- */

struct finalize_request {
    enum special_kind kind;
    uintptr_t object;
    uintptr_t function;
    uintptr_t arg;
    uint64_t handle; /* of the cleanup that was added */
};

/* The finalizer of the object, due or not. */
static uint32_t find_finalizer(uintptr_t object)
{
    uint32_t id = special_first_locked(object);
    while (id != 0 && special_at(id).chunk->kind != SPECIAL_FINALIZER)
        id = special_next_locked(id, object);
    return id;
}

/* False when there is no room. */
static bool add_record(struct finalize_request *request)
{
    uint32_t id = special_add_locked(request->kind, request->object);
    if (id == 0)
        return false;
    struct special at = special_at(id);
    at.chunk->function[at.place] = request->function;
    at.chunk->arg[at.place] = request->arg;
    at.chunk->serial[at.place] = ++finalize_serial;
    request->handle = (uint64_t)finalize_serial << 32 | id;
    return true;
}

static bool set_finalizer(void *arg)
{
    struct finalize_request *request = arg;
    uint32_t old = find_finalizer(request->object);
    struct special at = special_at(old);
    if (old != 0 && request->function != 0 && at.chunk->next_due[at.place] == 0) {
        at.chunk->function[at.place] = request->function;
        at.chunk->arg[at.place] = request->arg;
        return true;
    }
    if (request->function != 0 && !add_record(request))
        return false;
    finalize_set += request->function != 0;
    if (old != 0)
        finalize_take_back_locked(at);
    return true;
}

static bool add_cleanup(void *arg)
{
    return add_record(arg);
}

bool bh_gc_set_finalizer(void *object, void (*finalize)(void *object, void *arg), void *arg)
{
    struct finalize_request request = {.kind = SPECIAL_FINALIZER,
                                       .object = (uintptr_t)object,
                                       .function = (uintptr_t)finalize,
                                       .arg = (uintptr_t)arg};
    special_check("bh_gc_set_finalizer", object, (uintptr_t)__builtin_return_address(0));
    special_note(object);
    bool done = special_with(SPECIAL_FINALIZER, set_finalizer, &request);
    bh_gc_keep_alive(object); /* until the record is there */
    return done;
}

uint64_t bh_gc_add_cleanup(void *object, void (*cleanup)(void *arg), void *arg)
{
    struct finalize_request request = {.kind = SPECIAL_CLEANUP,
                                       .object = (uintptr_t)object,
                                       .function = (uintptr_t)cleanup,
                                       .arg = (uintptr_t)arg};
    BH_CHECK(cleanup != NULL, "bh_gc_add_cleanup(%p): no function", object);
    special_check("bh_gc_add_cleanup", object, (uintptr_t)__builtin_return_address(0));
    special_note(object);
    bool done = special_with(SPECIAL_CLEANUP, add_cleanup, &request);
    bh_gc_keep_alive(object);
    return done ? request.handle : 0;
}

/* Whether the handle's cleanup has not run and was not removed. */
static bool is_cleanup(struct special at, uint32_t serial)
{
    return at.chunk != NULL && at.place < SPECIAL_RECORDS && at.chunk->kind == SPECIAL_CLEANUP &&
           at.chunk->serial[at.place] == serial && at.chunk->function[at.place] != 0;
}

bool bh_gc_remove_cleanup(uint64_t handle)
{
    uintptr_t irq = special_lock_acquire();
    struct special at = special_at((uint32_t)handle);
    bool found = is_cleanup(at, (uint32_t)(handle >> 32));
    if (found)
        finalize_take_back_locked(at);
    special_lock_release(irq);
    return found;
}

/* ---- running ---- */

/* A finalizer or cleanup that is due, taken out of its record. */
struct finalize_call {
    enum special_kind kind;
    uintptr_t object;
    uintptr_t function;
    uintptr_t arg;
};

static bool take_locked(enum special_kind kind, struct finalize_call *call)
{
    struct special at;
    if (!queue_pop_locked(&finalize_queues[kind], &at))
        return false;
    *call = (struct finalize_call){kind, at.chunk->object[at.place], at.chunk->function[at.place],
                                   at.chunk->arg[at.place]};
    special_drop_locked(at);
    if (call->function == 0)
        return true;
    count_due((size_t)-1);
    finalize_run_counts[kind]++;
    return true;
}

/* False when nothing is due. The function is 0 when it was taken back. */
static bool take(struct finalize_call *call)
{
    uintptr_t irq = special_lock_acquire();
    bool taken = take_locked(SPECIAL_FINALIZER, call) || take_locked(SPECIAL_CLEANUP, call);
    special_lock_release(irq);
    return taken;
}

static void run(const struct finalize_call *call)
{
    if (call->kind == SPECIAL_FINALIZER)
        ((void (*)(void *, void *))call->function)((void *)call->object, (void *)call->arg);
    else
        ((void (*)(void *))call->function)((void *)call->arg);
}

size_t bh_gc_run_finalizers(size_t most)
{
    BH_CHECK(arch_irq_enabled(), "bh_gc_run_finalizers() on core %u with interrupts off",
             bh_port_core());
    BH_CHECK(!stop_is_parked(), "bh_gc_run_finalizers() on core %u, which is parked",
             bh_port_core());
    size_t done = 0;
    struct finalize_call call;
    while (done < most && take(&call)) {
        if (call.function == 0)
            continue;
        run(&call);
        done++;
    }
    return done;
}

void finalize_count_locked(struct bh_gc_stats *stats)
{
    stats->finalizers_run = finalize_run_counts[SPECIAL_FINALIZER];
    stats->cleanups_run = finalize_run_counts[SPECIAL_CLEANUP];
    stats->finalizers_due = finalize_due_count;
    stats->finalizers_set = finalize_set;
}
