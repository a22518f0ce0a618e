/* SPDX-License-Identifier: MIT */
/*
 * Where marking starts.
 *
 * 1. Registered ranges: a table of fixed size, so that a board can fill it before there is a heap.
 * 2. What each core had on its stacks and in its registers when it stopped: stop.c knows.
 * 3. Stacks that no core runs on: the port lists them.
 * 4. Pinned objects: a hash table from the address that was pinned to a count; open addressing
 *    with linear probing, at most 3/4 full, a power of two in size. It lies in pages of the page
 * heap, so that an address which was unpinned leaves no trace in .bss, itself a root.
 *
 * The pin table grows without its lock: the pages are taken first, then the lock, and if another
 * core was faster they are given back. Allocating with the lock held would make two locks nest, and
 * a core that waits for the second would stand still for a stop with the first one held: the
 * table half changed, just when it is to be read [GC-3].
 *
 * Lock: roots_lock (LOCK_GC) protects the tables. In a stop they are read without it: no core
 * stands still with it held. Invariants: slots hold pins_used distinct addresses with counts > 0
 * and else zeros; from the slot where an address hashes to, to the slot where it is, none is empty.
 */
#include "gc/roots.h"
#include "alloc/walk.h"
#include "gc/stop.h"
#include "kernel-lib/check.h"
#include "kernel-lib/memory.h"
#include "kernel-lib/spinlock.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>

#define PINS_FIRST_SLOTS (PAGE_BYTES / sizeof(struct pin))

struct registered {
    const void *given_lo; /* what bh_gc_remove_root() names it by */
    struct roots_range range;
};

struct pin {
    uintptr_t object; /* 0: empty */
    size_t count;
};

/* An immutable pair, so that it can be swapped under the lock. */
struct pin_table {
    struct pin *slots; /* NULL with room for 0 */
    size_t room;       /* slots, a power of two, or 0 */
};

static struct spinlock roots_lock = SPINLOCK_INIT(LOCK_GC, "gc roots");
static struct registered roots_registered[BH_GC_MAX_ROOTS];
static size_t roots_registered_count;
static struct pin_table pins;
static size_t pins_used;

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

/* ---- pins, all with the lock held ---- */

/* Fibonacci hashing: the high bits of the product depend on all bits of the address. */
static size_t pin_home(const struct pin_table *table, uintptr_t object)
{
    return (size_t)((object * 0x9e3779b97f4a7c15u) >> 32) & (table->room - 1);
}

/* The slot with `object`, or the empty one where it belongs. */
static struct pin *pin_find(const struct pin_table *table, uintptr_t object)
{
    size_t i = pin_home(table, object);
    while (table->slots[i].object != 0 && table->slots[i].object != object)
        i = (i + 1) & (table->room - 1);
    return &table->slots[i];
}

static bool pin_is_room(void)
{
    return pins_used < pins.room / 4 * 3;
}

static void pin_add_locked(uintptr_t object)
{
    struct pin *pin = pin_find(&pins, object);
    if (pin->object == 0) {
        pin->object = object;
        pins_used++;
    }
    pin->count++;
}

/* Empties slot `hole`, and moves what was put behind it because of it: a search that starts at or
 * before the hole must not end there too early. */
static void pin_remove_locked(size_t hole)
{
    size_t mask = pins.room - 1;
    for (size_t i = (hole + 1) & mask; pins.slots[i].object != 0; i = (i + 1) & mask) {
        size_t home = pin_home(&pins, pins.slots[i].object);
        if (((i - home) & mask) < ((i - hole) & mask))
            continue; /* its home lies behind the hole: it is found without it */
        pins.slots[hole] = pins.slots[i];
        hole = i;
    }
    pins.slots[hole] = (struct pin){0, 0};
    pins_used--;
}

static void pin_move_all(const struct pin_table *to)
{
    for (size_t i = 0; i < pins.room; i++) {
        if (pins.slots[i].object != 0)
            *pin_find(to, pins.slots[i].object) = pins.slots[i];
    }
}

/* ---- pins ---- */

/* Makes the table twice as large as `old`, unless somebody has done so. No lock held. */
static bool pin_grow(struct pin_table old)
{
    struct pin_table grown = {.room = old.room ? 2 * old.room : PINS_FIRST_SLOTS};
    grown.slots = walk_pages_alloc(grown.room * sizeof(struct pin));
    if (grown.slots == NULL)
        return false;
    memset(grown.slots, 0, grown.room * sizeof(struct pin));
    uintptr_t irq = spinlock_acquire(&roots_lock);
    bool first = pins.room == old.room; /* it only grows */
    if (first) {
        pin_move_all(&grown);
        pins = grown;
    }
    spinlock_release(&roots_lock, irq);
    void *unused = first ? old.slots : grown.slots;
    if (unused != NULL)
        walk_pages_free(unused);
    return true;
}

bool bh_gc_pin(void *object)
{
    if (object == NULL)
        return true;
    for (;;) {
        uintptr_t irq = spinlock_acquire(&roots_lock);
        struct pin_table table = pins;
        bool room = pin_is_room();
        if (room)
            pin_add_locked((uintptr_t)object);
        spinlock_release(&roots_lock, irq);
        if (room)
            return true;
        if (!pin_grow(table))
            return false;
    }
}

/* False when it is not pinned. */
static bool pin_drop_locked(uintptr_t object)
{
    if (pins.room == 0)
        return false;
    struct pin *pin = pin_find(&pins, object);
    if (pin->object == 0)
        return false;
    if (--pin->count == 0)
        pin_remove_locked((size_t)(pin - pins.slots));
    return true;
}

void bh_gc_unpin(void *object)
{
    if (object == NULL)
        return;
    uintptr_t irq = spinlock_acquire(&roots_lock);
    bool pinned = pin_drop_locked((uintptr_t)object);
    spinlock_release(&roots_lock, irq);
    BH_CHECK(pinned, "bh_gc_unpin(%p): the object is not pinned; caller %p", object,
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

static void roots_visit_stack(const void *lo, const void *hi, void *arg)
{
    roots_visit(arg, ROOTS_STACK, (uintptr_t)lo, (uintptr_t)hi);
}

void roots_each(void (*visit)(enum roots_kind kind, uintptr_t lo, uintptr_t hi, void *arg),
                void *arg)
{
    struct roots_visit to = {visit, arg};
    for (size_t i = 0; i < roots_registered_count; i++)
        roots_visit(&to, ROOTS_GLOBAL, roots_registered[i].range.lo, roots_registered[i].range.hi);
    stop_each_range(roots_visit_core, &to);
    bh_port_for_each_stack(roots_visit_stack, &to);
    /* A count is scanned as well: no number of pins is the address of an object. */
    uintptr_t slots = (uintptr_t)pins.slots; /* NULL before the first pin */
    roots_visit(&to, ROOTS_PIN, slots, slots + pins.room * sizeof(*pins.slots));
}

ROOTS_RAW_READS void roots_copy_words(uintptr_t *to, uintptr_t lo, uintptr_t hi)
{
    const volatile uintptr_t *from = (const volatile uintptr_t *)lo;
    for (; (uintptr_t)from < hi; from++)
        *to++ = *from;
}
