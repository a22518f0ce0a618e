/* SPDX-License-Identifier: MIT */
/*
 * Where marking starts.
 *
 * 1. Registered ranges: a table of fixed size, so that a board can fill it before there is a heap.
 * 2. What each core had on its stacks and in its registers when it stopped: stop.c knows.
 * 3. Stacks that no core runs on: those of bh_gc_add_stack(), linked through the caller's structs,
 *    and those that the port lists.
 * 4. Pinned objects, and the contents of manual objects that are scanned: tables.
 * 5. What finalizers and cleanups need: services.c knows.
 *
 * A pinned object's reference is its slot in the table, for a scan like any other.
 *
 * A manual object that was freed while it was registered is found in the next stop: in debug and
 * hardened builds always, and else when its pages are no longer manual memory; then its size, asked
 * for by bh_usable_size(), is the panic. Otherwise whatever lies there is scanned.
 *
 * Lock: roots_lock (LOCK_GC) protects ranges, stacks and tables. In a stop they are read without
 * it: no core stands still with it held.
 */
#include "gc/roots.h"
#include "alloc/walk.h"
#include "gc/counters.h"
#include "gc/mark.h"
#include "gc/pace.h"
#include "gc/services.h"
#include "gc/stop.h"
#include "gc/table.h"
#include "kernel-lib/check.h"
#include "kernel-lib/spinlock.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>

/* Pieces of state that are no roots. */
#define ROOTS_OWN 5

struct registered {
    const void *given_lo; /* what bh_gc_remove_root() names it by */
    struct roots_range range;
};

static struct spinlock roots_lock = SPINLOCK_INIT(LOCK_GC, "gc roots");
static struct registered roots_registered[BH_GC_MAX_ROOTS];
static size_t roots_registered_count;
static struct bh_gc_stack *roots_stacks;
static struct table roots_pins = {.lock = &roots_lock};
static struct table roots_manual = {.lock = &roots_lock};

/* ---- registered ranges ---- */

bool bh_gc_add_root(const void *lo, const void *hi)
{
    BH_CHECK((uintptr_t)lo <= (uintptr_t)hi, "bh_gc_add_root(%p, %p): the end is before the start",
             lo, hi);
    struct roots_range range = {bits_round_up((uintptr_t)lo, sizeof(uintptr_t)),
                                bits_round_down((uintptr_t)hi, sizeof(uintptr_t))};
    uintptr_t irq = spinlock_acquire(&roots_lock);
    bool fits = roots_registered_count < BH_GC_MAX_ROOTS;
    if (fits)
        roots_registered[roots_registered_count++] = (struct registered){lo, range};
    spinlock_release(&roots_lock, irq);
    return fits;
}

bool bh_gc_remove_root(const void *lo)
{
    bool found = false;
    uintptr_t irq = spinlock_acquire(&roots_lock);
    for (size_t i = 0; i < roots_registered_count && !found; i++) {
        found = roots_registered[i].given_lo == lo;
        if (found)
            roots_registered[i] = roots_registered[--roots_registered_count];
    }
    spinlock_release(&roots_lock, irq);
    return found;
}

/* ---- stacks ---- */

void bh_gc_add_stack(struct bh_gc_stack *stack)
{
    BH_CHECK((uintptr_t)stack->lo <= (uintptr_t)stack->hi,
             "bh_gc_add_stack(%p): the end is before the start", (void *)stack);
    uintptr_t irq = spinlock_acquire(&roots_lock);
    stack->prev = NULL;
    stack->next = roots_stacks;
    if (roots_stacks != NULL)
        roots_stacks->prev = stack;
    roots_stacks = stack;
    spinlock_release(&roots_lock, irq);
}

/* False when it is not linked in. */
static bool stack_remove_locked(struct bh_gc_stack *stack)
{
    if (stack->prev == NULL && roots_stacks != stack)
        return false;
    if (stack->next != NULL)
        stack->next->prev = stack->prev;
    if (stack->prev != NULL)
        stack->prev->next = stack->next;
    else
        roots_stacks = stack->next;
    stack->next = stack->prev = NULL;
    return true;
}

void bh_gc_remove_stack(struct bh_gc_stack *stack)
{
    uintptr_t irq = spinlock_acquire(&roots_lock);
    bool found = stack_remove_locked(stack);
    spinlock_release(&roots_lock, irq);
    BH_CHECK(found, "bh_gc_remove_stack(%p): the stack was not added; caller %p", (void *)stack,
             __builtin_return_address(0));
}

/* ---- pins and manual objects ---- */

bool bh_gc_pin(void *object)
{
    return object == NULL || table_add(&roots_pins, (uintptr_t)object);
}

void bh_gc_unpin(void *object)
{
    bool pinned = object == NULL || table_remove(&roots_pins, (uintptr_t)object);
    BH_CHECK(pinned, "bh_gc_unpin(%p): the object is not pinned; caller %p", object,
             __builtin_return_address(0));
}

bool bh_gc_scan_manual(void *object)
{
    bh_usable_size(object); /* panics when it is not one */
    return object == NULL || table_add(&roots_manual, (uintptr_t)object);
}

void bh_gc_unscan_manual(void *object)
{
    bool scanned = object == NULL || table_remove(&roots_manual, (uintptr_t)object);
    BH_CHECK(scanned, "bh_gc_unscan_manual(%p): the object is not scanned; caller %p", object,
             __builtin_return_address(0));
}

/* ---- the jobs of the root scan ---- */

struct roots_visit {
    void (*visit)(enum roots_kind kind, uintptr_t lo, uintptr_t hi, void *arg);
    void *arg;
};

/* Rounded inward to words, and only if there are any. */
static void roots_visit(const struct roots_visit *to, enum roots_kind kind, uintptr_t lo,
                        uintptr_t hi)
{
    lo = bits_round_up(lo, sizeof(uintptr_t));
    hi = bits_round_down(hi, sizeof(uintptr_t));
    if (lo < hi)
        to->visit(kind, lo, hi, to->arg);
}

static void roots_visit_core(uintptr_t lo, uintptr_t hi, void *arg)
{
    roots_visit(arg, ROOTS_STACK, lo, hi);
}

/*
 * A range that may have the library's own state in it, which is no root: the allocator knows where
 * the heap's pages begin, and so where the first object is; on a machine whose RAM begins near 0
 * the figures of pacing are addresses, goals above all; and what cores hand over, or scan, is
 * scanned anyway.
 */
static void roots_visit_global(const struct roots_visit *to, struct roots_range range,
                               const struct roots_range *own, size_t own_count)
{
    for (; own_count > 0; own++, own_count--) {
        if (own->lo >= range.hi || own->hi <= range.lo)
            continue;
        struct roots_range before = {range.lo, own->lo};
        roots_visit_global(to, before, own + 1, own_count - 1);
        range.lo = own->hi;
    }
    roots_visit(to, ROOTS_GLOBAL, range.lo, range.hi);
}

static void roots_visit_globals(const struct roots_visit *to)
{
    struct roots_range own[ROOTS_OWN];
    walk_own_state(&own[0].lo, &own[0].hi);
    pace_own_state(&own[1].lo, &own[1].hi);
    counters_own_state(&own[2].lo, &own[2].hi);
    stop_own_state(&own[3].lo, &own[3].hi);
    mark_own_state(&own[4].lo, &own[4].hi);
    for (size_t i = 0; i < roots_registered_count; i++)
        roots_visit_global(to, roots_registered[i].range, own, ROOTS_OWN);
}

static void roots_visit_stack(const void *lo, const void *hi, void *arg)
{
    roots_visit(arg, ROOTS_STACK, (uintptr_t)lo, (uintptr_t)hi);
}

static void roots_visit_added_stack(const struct roots_visit *to, const struct bh_gc_stack *stack)
{
    uintptr_t lo = (uintptr_t)stack->lo;
    uintptr_t hi = (uintptr_t)stack->hi;
    if (stack->sp == 0)
        return; /* the core that runs on it has handed it over */
    BH_CHECK(stack->sp >= lo && stack->sp <= hi,
             "bh_gc_stack %p: the stack pointer 0x%zx is not in its stack 0x%zx-0x%zx",
             (const void *)stack, (size_t)stack->sp, (size_t)lo, (size_t)hi);
    roots_visit(to, ROOTS_STACK, stack->sp, hi);
}

static void roots_visit_manual(const struct roots_visit *to)
{
    for (size_t i = 0; i < roots_manual.room; i++) {
        uintptr_t object = roots_manual.slots[i].address;
        if (object == 0)
            continue;
        size_t bytes = bh_usable_size((const void *)object); /* NOLINT: an address */
        roots_visit(to, ROOTS_SERVICE, object, object + bytes);
    }
}

void roots_each(void (*visit)(enum roots_kind kind, uintptr_t lo, uintptr_t hi, void *arg),
                void *arg)
{
    struct roots_visit to = {visit, arg};
    roots_visit_globals(&to);
    stop_each_range(roots_visit_core, &to);
    bh_port_for_each_stack(roots_visit_stack, &to);
    for (const struct bh_gc_stack *stack = roots_stacks; stack != NULL; stack = stack->next)
        roots_visit_added_stack(&to, stack);
    /* A count is scanned as well: no number of pins is the address of an object. */
    uintptr_t slots = (uintptr_t)roots_pins.slots; /* NULL before the first pin */
    roots_visit(&to, ROOTS_PIN, slots, slots + roots_pins.room * sizeof(*roots_pins.slots));
    roots_visit_manual(&to);
    services_each_root(visit, arg);
}

ROOTS_RAW_READS void roots_copy_words(uintptr_t *to, uintptr_t lo, uintptr_t hi)
{
    const volatile uintptr_t *from = (const volatile uintptr_t *)lo;
    for (; (uintptr_t)from < hi; from++)
        *to++ = *from;
}
