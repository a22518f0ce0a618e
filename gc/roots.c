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
 * A registered range may have the heap in it: `static char heap[]`, in .bss. What of a range lies
 * in the heap's regions is left out then, whichever came first, or each object would hold what it
 * refers to, garbage or not. But a range inside of a region is memory that somebody has from
 * bh_malloc(), and was meant.
 *
 * A manual object that was freed while it was scanned is found in the next stop: in debug and
 * hardened builds always, and else when it has left the caches. Otherwise whatever lies there is
 * scanned.
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
#include "gc/special.h"
#include "gc/stop.h"
#include "gc/table.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include "kernel-lib/spinlock.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>

struct roots_visit {
    void (*visit)(enum roots_kind kind, uintptr_t lo, uintptr_t hi, void *arg);
    void *arg;
};

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

/* roots_visit_manual(), from the first bh_gc_scan_manual() on: so that kernels that do without
 * link none of it. */
static void (*roots_manual_hook)(const struct roots_visit *to);

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

/* Of a record that was zero when it was first added. */
static bool stack_is_linked(const struct bh_gc_stack *stack)
{
    return stack->prev != NULL || roots_stacks == stack;
}

static void stack_link_locked(struct bh_gc_stack *stack)
{
    stack->next = roots_stacks;
    if (roots_stacks != NULL)
        roots_stacks->prev = stack;
    roots_stacks = stack;
}

void bh_gc_add_stack(struct bh_gc_stack *stack)
{
    BH_CHECK((uintptr_t)stack->lo <= (uintptr_t)stack->hi,
             "bh_gc_add_stack(%p): the end is before the start", (void *)stack);
    uintptr_t irq = spinlock_acquire(&roots_lock);
    bool added = stack_is_linked(stack);
    if (!added)
        stack_link_locked(stack);
    spinlock_release(&roots_lock, irq);
    BH_CHECK(!added, "bh_gc_add_stack(%p): added already, or not zeroed; caller %p", (void *)stack,
             __builtin_return_address(0));
}

/* False when it is not linked in. */
static bool stack_remove_locked(struct bh_gc_stack *stack)
{
    if (!stack_is_linked(stack))
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

/* ---- pins ---- */

void (*roots_pin_hook)(const void *object, uintptr_t caller);

static BH_COLD void pin_check_free(const void *object, uintptr_t caller)
{
    if (table_has(&roots_pins, (uintptr_t)object))
        crime_panic("bh_gc_free", (uintptr_t)object, "pinned: bh_gc_unpin() comes first", caller);
}

/* The span has a note of it, so that bh_gc_free() need not look for pins of others. */
bool bh_gc_pin(void *object)
{
    if (object == NULL)
        return true;
    special_check("bh_gc_pin", object, CRIME_CALLER());
    special_note(object);
    atomic_store_relaxed(&roots_pin_hook, pin_check_free); /* relaxed: code is always there */
    bool done = table_add(&roots_pins, (uintptr_t)object);
    bh_gc_keep_alive(object); /* until it is in the table */
    return done;
}

void bh_gc_unpin(void *object)
{
    if (object == NULL || table_remove(&roots_pins, (uintptr_t)object))
        return;
    special_check("bh_gc_unpin", object, CRIME_CALLER());
    crime_panic("bh_gc_unpin", (uintptr_t)object, "not pinned", CRIME_CALLER());
}

/* ---- the jobs of the root scan ---- */

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
 * What of a range is no root: the library's own state, and the heap. The allocator knows where
 * the heap's pages begin, and so where the first object is; on a machine whose RAM begins near 0
 * the figures of pacing are addresses, goals above all; and what cores hand over, or scan, is
 * scanned anyway. The heap: see the top.
 */
static BH_COLD bool roots_own(size_t i, struct roots_range *own)
{
    static void (*const states[])(uintptr_t * lo, uintptr_t * hi) = {
        walk_own_state, pace_own_state, counters_own_state, stop_own_state, mark_own_state};
    const size_t count = sizeof(states) / sizeof(states[0]);
    if (i >= count)
        return walk_region(i - count, &own->lo, &own->hi);
    states[i](&own->lo, &own->hi);
    return true;
}

/* What of our own is first in the range, unless the range is inside of it; else the range's end. */
static BH_COLD struct roots_range roots_first_own(struct roots_range range)
{
    struct roots_range first = {range.hi, range.hi};
    struct roots_range own;
    for (size_t i = 0; roots_own(i, &own); i++) {
        bool is_around = own.lo < range.lo && own.hi >= range.hi;
        if (own.hi > range.lo && own.lo < first.lo && !is_around)
            first = own;
    }
    return first;
}

static void roots_visit_global(const struct roots_visit *to, struct roots_range range)
{
    while (range.lo < range.hi) {
        struct roots_range first = roots_first_own(range);
        roots_visit(to, ROOTS_GLOBAL, range.lo, first.lo);
        range.lo = first.hi;
    }
}

static void roots_visit_globals(const struct roots_visit *to)
{
    for (size_t i = 0; i < roots_registered_count; i++)
        roots_visit_global(to, roots_registered[i].range);
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

/* ---- manual objects that are scanned ---- */

static BH_COLD _Noreturn void roots_manual_panic(uintptr_t object)
{
    char where[128];
    walk_describe(object, where, sizeof(where));
    bh_panic("bh_gc_scan_manual(0x%zx): freed or moved while it was scanned: %s", (size_t)object,
             where);
}

static void roots_visit_manual(const struct roots_visit *to)
{
    for (size_t i = 0; i < roots_manual.room; i++) {
        uintptr_t object = roots_manual.slots[i].address;
        if (object == 0)
            continue;
        if (!walk_is_manual(object))
            roots_manual_panic(object);
        size_t bytes = bh_usable_size((const void *)object); /* NOLINT: an address */
        roots_visit(to, ROOTS_SERVICE, object, object + bytes);
    }
}

bool bh_gc_scan_manual(void *object)
{
    if (object == NULL)
        return true;
    walk_check_manual("bh_gc_scan_manual", object, CRIME_CALLER());
    atomic_store_relaxed(&roots_manual_hook, roots_visit_manual); /* relaxed: as of a pin */
    return table_add(&roots_manual, (uintptr_t)object);
}

void bh_gc_unscan_manual(void *object)
{
    bool scanned = object == NULL || table_remove(&roots_manual, (uintptr_t)object);
    BH_CHECK(scanned, "bh_gc_unscan_manual(%p): the object is not scanned; caller %p", object,
             __builtin_return_address(0));
}

/* ---- all of them ---- */

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
    if (roots_manual_hook != NULL)
        roots_manual_hook(&to);
    services_each_root(visit, arg);
}

ROOTS_RAW_READS void roots_copy_words(uintptr_t *to, uintptr_t lo, uintptr_t hi)
{
    const volatile uintptr_t *from = (const volatile uintptr_t *)lo;
    for (; (uintptr_t)from < hi; from++)
        *to++ = *from;
}
