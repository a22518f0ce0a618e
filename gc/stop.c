/* SPDX-License-Identifier: MIT */
/*
 * Stopping all other cores, and letting them go on.
 *
 * A stop has a number. `stop_number` is even while the cores run and odd during a stop; it only
 * grows, so a number never comes back. Each core has a word, `still_for`: the number of the stop it
 * stands still for, or STOP_PARKED, which is every stop. The whole protocol:
 *
 * 1. The initiator, interrupts off, moves stop_number from even to odd with a compare-and-swap.
 *    Of several cores that try, one wins [GC-2]; the others stand still as in 3.
 * 2. It interrupts each core that is not parked, and waits until for each core c
 *    still_for(c) == stop_number, or still_for(c) == STOP_PARKED.
 * 3. A core learns of the stop by the interrupt (stop_handle), by losing in 1, or while it waits
 *    for a lock with interrupts off (stop_poll), where the first could not reach it. It stores its
 *    registers on its stack, writes down which ranges of memory hold its pointers, sets
 *    still_for to the number it saw, and waits until stop_number is another one. While it waits
 *    it helps to mark; nobody waits for its help.
 * 4. The initiator collects, and makes stop_number even again: all go on.
 *    A core that is parked because it has nothing to do (bh_gc_park_idle) is not waited for either,
 *    but may be called to help (stop_call_idle): by the same interrupt, to the same loop. It is
 *    parked all the time, so its pointers are those it had handed over then.
 * 5. If a core does not answer in time, the initiator does only the last half of 4 [GC-5]. What the
 *    late core does then is harmless: it finds an even number and returns, or still_for is set to a
 *    number that is never asked for again.
 *
 * Why nothing deadlocks [GC-3]: the initiator holds no lock when it starts, and waits with
 * interrupts off only for cores that stop. A core that holds a lock of the library has interrupts
 * off and waits for nothing (those locks do not nest), so it comes to its end and then to the
 * interrupt; hence a core that waits for such a lock gets it, and comes to the interrupt too. A
 * core that waits for another lock of kernel-lib/spinlock.h, which may be held for as long as a
 * parked core likes, polls. So no lock of the library is held by a core that stands still, and the
 * initiator may take them. Locks of the kernel may be: that is why no hook that could take one, the
 * log first of all, is called in a stop.
 *
 * Why nothing is missed [GC-1]: a core that stands still executes only the loop of 3 until the
 * release, and what marking asks of it there: its stack above sp and its registers stay as they
 * are. Before that it had interrupts on, or polled, or was on its way into a collection: each
 * outside of the allocator's critical sections. (Waiting for one of the allocator's locks is inside
 * of one: a span may be on its way from list to list. So there a waiter does not poll, see
 * spinlock.h.)
 *
 * Orders, where C11 names suffice for both CPUs:
 *   - Publishing: ranges, then still_for with release; the initiator reads still_for with acquire
 *     and then ranges, stacks and heap. AArch64: STLR and LDAR; all older stores of the core are
 *     seen.
 *   - Releasing: the initiator's work, then stop_number with release; a waiting core loads it with
 *     acquire. It is loaded anew after every pass, so a core that was away sees the last value.
 *   - Asking: the compare-and-swap, then bh_port_signal_core(). That the handler sees the number is
 *     the port's duty (a DSB before the SGI on AArch64); should it come too early it returns, and
 *     the signal is repeated while the initiator waits.
 *   - Parking: see bh_gc_unpark(), the only place where two cores each write one word and read
 *     the other's, and where sequential consistency is needed.
 *
 * models/stop.pml is this protocol as a model, with late cores, parking and cycles abandoned.
 *
 * Not here: what happens in a stop (collect.c), how a core helps (mark.c), other stacks than those
 * cores are on (roots.c).
 */
#include "gc/stop.h"
#include "arch/arch.h"
#include "gc/mark.h"
#include "gc/roots.h"
#include "gc/work.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/bits.h"
#include "kernel-lib/check.h"
#include "kernel-lib/percore.h"
#include "kernel-lib/print.h"
#include <bareheap/alloc.h>
#include <bareheap/gc.h>

#define STOP_PARKED UINT64_MAX

/* The bytes under an interrupted stack pointer that x86-64 code compiled with a red zone may use
 * (System V ABI, 3.2.2). AArch64 has none; looking at what lies there does no harm, as an
 * exception taken on that stack would have overwritten more. */
#define STOP_RED_ZONE_BYTES 128

/* The stack in use, the one it interrupted, the registers of a parked core. */
#define STOP_CORE_RANGES 3

/*
 * What is copied of a parking core's stack from the end of bh_gc_park()'s frame down: the registers
 * that survive a call lie there, in 256 bytes on AArch64; and the rest of that frame
 * (STOP_FRAME_REST_BYTES above its record).
 */
#define STOP_PARK_WORDS       160
#define STOP_FRAME_REST_BYTES 128

/* By waiting with a clock that stands still: some seconds. */
#define STOP_MAX_POLLS ((uint64_t)1 << 26)

/* The patience is divided into so many parts; after each the signal is sent again. */
#define STOP_PATIENCE_PARTS 16

/* Written by its own core only; ranges, registers and `idle` before still_for. */
struct stop_core {
    uint64_t still_for;
    unsigned ranges_used;
    bool idle; /* parked, and may be called */
    struct roots_range ranges[STOP_CORE_RANGES];
    uintptr_t registers[STOP_PARK_WORDS];
} __attribute__((aligned(2 * ARCH_CACHE_LINE)));

static PER_CORE(struct stop_core, stop_cores);
static uint64_t stop_number __attribute__((aligned(2 * ARCH_CACHE_LINE)));
static unsigned stop_called;   /* idle cores, in this stop; the initiator's */
static uint64_t stop_timeouts; /* stops that were given up; the initiator's */
static uint64_t stop_patience_ns __attribute__((aligned(2 * ARCH_CACHE_LINE))) = BH_STOP_TIMEOUT_NS;

static bool stop_is_on(uint64_t number)
{
    return number & 1;
}

/* ---- what a core hands over ---- */

static void stop_publish_range(struct stop_core *me, uintptr_t lo, uintptr_t hi)
{
    BH_ASSERT(me->ranges_used < STOP_CORE_RANGES);
    me->ranges[me->ranges_used++] = (struct roots_range){lo, hi};
}

/* [sp, its top) holds the registers and this stack; interrupted_sp, if not 0, may be in another. */
static void stop_publish(struct stop_core *me, uintptr_t sp, uintptr_t interrupted_sp)
{
    uintptr_t top = bh_port_stack_top(sp);
    me->ranges_used = 0;
    stop_publish_range(me, sp, top);
    if (interrupted_sp != 0 && (interrupted_sp < sp || interrupted_sp > top))
        stop_publish_range(me, interrupted_sp - STOP_RED_ZONE_BYTES,
                           bh_port_stack_top(interrupted_sp));
}

void stop_each_range(void (*visit)(uintptr_t lo, uintptr_t hi, void *arg), void *arg)
{
    for (unsigned core = 0; core < bh_port_core_count(); core++) {
        const struct stop_core *it = &stop_cores[core];
        for (unsigned i = 0; i < it->ranges_used; i++)
            visit(it->ranges[i].lo, it->ranges[i].hi, arg);
    }
}

void stop_own_state(uintptr_t *lo, uintptr_t *hi)
{
    *lo = (uintptr_t)stop_cores;
    *hi = (uintptr_t)(stop_cores + BH_MAX_CORES);
}

/* ---- standing still ---- */

/* Until the stop is over: marks with the others, and waits. */
static void stop_wait_or_help(uint64_t number)
{
    unsigned round = 0;
    /* Acquire: pairs with stop_release(). What the collection did is seen from here on. */
    while (atomic_load_acquire(&stop_number) == number) {
        if (mark_help())
            round = 0;
        work_wait(round++);
    }
}

/* Stands still as long as there is a stop that this core does not stand still for already (which it
 * does when it is parked, and as the initiator). Interrupts off. */
static void stop_stand_still(uintptr_t sp, uintptr_t interrupted_sp)
{
    struct stop_core *me = &per_core_here(stop_cores);
    for (;;) {
        /* Acquire: pairs with stop_release(), for a core that leaves without having waited. */
        uint64_t number = atomic_load_acquire(&stop_number);
        if (!stop_is_on(number) || me->still_for == number || me->still_for == STOP_PARKED)
            return;
        stop_publish(me, sp, interrupted_sp);
        /* Release: pairs with stop_stands_still(). All this core did is seen before the mark. */
        atomic_store_release(&me->still_for, number);
        stop_wait_or_help(number);
    }
}

/* What a core that is parked idle does when it is called: as if it stood still. A call may come too
 * late, for a stop that is over or during the next one: in that nobody waits for it either, and
 * mark_help() lets it in or does not. */
static void stop_help_if_idle(void)
{
    const struct stop_core *me = &per_core_here(stop_cores);
    /* Acquire: pairs with stop_release(), though what is marked it sees by entering the mark. */
    uint64_t number = atomic_load_acquire(&stop_number);
    if (stop_is_on(number) && me->still_for == STOP_PARKED && me->idle)
        stop_wait_or_help(number);
}

static void stop_handle_signal(void *arg, uintptr_t sp)
{
    stop_stand_still(sp, *(const uintptr_t *)arg);
    stop_help_if_idle();
}

void stop_handle(uintptr_t interrupted_sp)
{
    uintptr_t irq = arch_irq_save();
    arch_call_with_registers(stop_handle_signal, &interrupted_sp);
    arch_irq_restore(irq);
}

static void stop_handle_poll(void *arg, uintptr_t sp)
{
    (void)arg;
    stop_stand_still(sp, 0);
}

void stop_poll(void)
{
    /* Relaxed: only whether a closer look is worth it; stop_stand_still() loads it again. */
    if (stop_is_on(atomic_load_relaxed(&stop_number)))
        arch_call_with_saved_registers(stop_handle_poll, NULL);
}

/* ---- the initiator ---- */

/* How long the initiator has waited. */
struct stop_patience {
    uint64_t start_ns;
    uint64_t polls;
    uint64_t parts_used;
};

/* Polls count only while the clock has not moved at all: then there may be none. One that a
 * hypervisor has set back has not moved either. */
static uint64_t stop_parts_used(struct stop_patience *patience)
{
    uint64_t now_ns = bh_port_now_ns();
    uint64_t waited_ns = now_ns > patience->start_ns ? now_ns - patience->start_ns : 0;
    patience->polls++;
    return waited_ns != 0 ? waited_ns / (stop_timeout_ns() / STOP_PATIENCE_PARTS)
                          : patience->polls / (STOP_MAX_POLLS / STOP_PATIENCE_PARTS);
}

static bool stop_stands_still(unsigned core, uint64_t number)
{
    /* At least acquire: pairs with the releases in stop_stand_still() and bh_gc_park().
     * Sequentially consistent for bh_gc_unpark(). */
    uint64_t still_for = atomic_load_seq_cst(&stop_cores[core].still_for);
    return still_for == number || still_for == STOP_PARKED;
}

/* False when the patience is used up. */
static bool stop_wait_for(unsigned core, uint64_t number, struct stop_patience *patience)
{
    while (!stop_stands_still(core, number)) {
        uint64_t parts = stop_parts_used(patience);
        if (parts >= STOP_PATIENCE_PARTS)
            return false;
        if (parts > patience->parts_used) {
            patience->parts_used = parts;
            bh_port_signal_core(core); /* the first may have come before the core listened */
        }
        work_wait((unsigned)patience->polls);
    }
    return true;
}

static bool stop_others(uint64_t number, unsigned me, unsigned *missing)
{
    unsigned count = bh_port_core_count();
    struct stop_patience patience = {.start_ns = bh_port_now_ns()};
    for (unsigned core = 0; core < count; core++) {
        if (core != me && !stop_stands_still(core, number))
            bh_port_signal_core(core);
    }
    for (unsigned core = 0; core < count; core++) {
        *missing = core;
        if (core != me && !stop_wait_for(core, number, &patience))
            return false;
    }
    return true;
}

void stop_call_idle(unsigned most)
{
    for (unsigned core = 0; core < bh_port_core_count() && stop_called < most; core++) {
        const struct stop_core *it = &stop_cores[core];
        /* Relaxed, both: who has unparked since takes the signal for a stop, as it should. */
        if (atomic_load_relaxed(&it->still_for) != STOP_PARKED || !atomic_load_relaxed(&it->idle))
            continue;
        bh_port_signal_core(core);
        stop_called++;
    }
}

unsigned stop_still_cores(void)
{
    unsigned still = stop_called;
    /* Relaxed, both: nobody but the initiator writes the number, and who stands still for it has
     * been seen to (stop_stands_still); who is parked may be about to look like running. */
    uint64_t number = atomic_load_relaxed(&stop_number);
    for (unsigned core = 0; core < bh_port_core_count(); core++)
        still += atomic_load_relaxed(&stop_cores[core].still_for) == number;
    return still - 1;
}

enum stop_result stop_world(uintptr_t sp, unsigned *missing)
{
    unsigned me = bh_port_core();
    BH_ASSERT(!arch_irq_enabled() && !stop_is_parked());
    /* Relaxed: a guess; the compare-and-swap decides. */
    uint64_t number = atomic_load_relaxed(&stop_number);
    uint64_t timeouts = atomic_load_relaxed(&stop_timeouts); /* an old one: this core asks again */
    /* Sequentially consistent for bh_gc_unpark(). Of two initiators one sees this fail. */
    if (stop_is_on(number) || !atomic_cas_seq_cst(&stop_number, &number, number + 1)) {
        stop_stand_still(sp, 0);
        return atomic_load_relaxed(&stop_timeouts) == timeouts ? STOP_LOST : STOP_GAVE_UP;
    }
    stop_called = 0;
    stop_publish(&stop_cores[me], sp, 0);
    /* Relaxed: read by this core alone, in stop_stand_still(): it stands still for its own stop. */
    atomic_store_relaxed(&stop_cores[me].still_for, number + 1);
    if (stop_others(number + 1, me, missing))
        return STOP_WON;
    atomic_store_relaxed(&stop_timeouts, timeouts + 1); /* the release puts it before the losers' */
    stop_release();
    return STOP_TIMED_OUT;
}

void stop_release(void)
{
    /* Relaxed: nobody but the initiator writes it during a stop. */
    uint64_t number = atomic_load_relaxed(&stop_number);
    BH_ASSERT(stop_is_on(number));
    /* Release: pairs with the waiting loops in stop_stand_still() and bh_gc_unpark(). */
    atomic_store_release(&stop_number, number + 1);
}

BH_COLD size_t stop_describe_late(char *line, unsigned core, uint64_t waited_ns,
                                  const char *outcome)
{
    char within[32] = "";
    if (waited_ns != 0)
        print_format(within, sizeof(within), " within %llu ms",
                     (unsigned long long)(stop_timeout_ns() / 1000000));
    return print_format(line, STOP_LINE_BYTES, "bareheap: gc: core %u did not stop%s: %s\n", core,
                        within, outcome);
}

uint64_t stop_timeout_ns(void)
{
    /* Relaxed: a figure. */
    return atomic_load_relaxed(&stop_patience_ns);
}

void stop_set_timeout_ns(uint64_t ns)
{
    BH_CHECK(ns >= STOP_PATIENCE_PARTS, "a stop timeout of %llu ns is none",
             (unsigned long long)ns);
    atomic_store_relaxed(&stop_patience_ns, ns); /* as above */
}

/* ---- parking ---- */

bool stop_is_parked(void)
{
    uintptr_t irq = arch_irq_save();
    bool parked = per_core_here(stop_cores).still_for == STOP_PARKED;
    arch_irq_restore(irq);
    return parked;
}

/* Copies the registers, which lie in the stack from sp up to about `frame`, out of it: that part of
 * the stack is used anew as soon as bh_gc_park() returns. */
static void stop_keep_registers(struct stop_core *me, uintptr_t sp, uintptr_t frame)
{
    uintptr_t top = bh_port_stack_top(sp);
    uintptr_t hi = frame + STOP_FRAME_REST_BYTES < top ? frame + STOP_FRAME_REST_BYTES : top;
    hi = bits_round_down(hi, sizeof(uintptr_t));
    uintptr_t lo = hi - sp > sizeof(me->registers) ? hi - sizeof(me->registers) : sp;
    roots_copy_words(me->registers, lo, hi);
    me->ranges_used = 0;
    stop_publish_range(me, frame, top);
    stop_publish_range(me, (uintptr_t)me->registers, (uintptr_t)(me->registers + STOP_PARK_WORDS));
}

static void stop_park(void *arg, uintptr_t sp)
{
    struct stop_core *me = &per_core_here(stop_cores);
    BH_CHECK(me->still_for != STOP_PARKED, "bh_gc_park() on core %u, which is parked",
             bh_port_core());
    stop_keep_registers(me, sp, (uintptr_t)arg);
    /* Release: pairs with stop_stands_still(). What this core wrote before it parked is seen. */
    atomic_store_release(&me->still_for, STOP_PARKED);
}

/* A core that may keep interrupts off cannot be asked for its cache. Most of it goes home while
 * interrupts may come; what their handlers have put there since, with interrupts off. From then on
 * it stays empty, which other cores rely on: a stop empties the caches of those that do not run. */
static uintptr_t stop_begin_park(void)
{
    bh_drain();
    uintptr_t irq = arch_irq_save();
    bh_drain();
    return irq;
}

__attribute__((noinline)) void bh_gc_park(void)
{
    uintptr_t irq = stop_begin_park();
    arch_call_with_saved_registers(stop_park, __builtin_frame_address(0));
    arch_irq_restore(irq);
}

__attribute__((noinline)) void bh_gc_park_idle(void)
{
    uintptr_t irq = stop_begin_park();
    /* Relaxed: read by who has seen still_for, or for a guess (stop_call_idle). */
    atomic_store_relaxed(&per_core_here(stop_cores).idle, true);
    arch_call_with_saved_registers(stop_park, __builtin_frame_address(0));
    arch_irq_restore(irq);
}

/*
 * Dekker's pattern: this core writes still_for and then reads stop_number, the initiator writes
 * stop_number and then reads still_for. All four are sequentially consistent, so there is one order
 * of them in which one of the two writes is first, and the other core's read sees it: either
 * the initiator does not count this core as parked, or this core sees the stop and parks again
 * [GC-4]. Acquire and release would allow both to read the old value. AArch64: a load by LDAR is
 * not performed before an older STLR (or STLXR of a compare-and-swap) of the same core.
 */
void bh_gc_unpark(void)
{
    uintptr_t irq = arch_irq_save();
    struct stop_core *me = &per_core_here(stop_cores);
    BH_CHECK(me->still_for == STOP_PARKED, "bh_gc_unpark() on core %u, which is not parked",
             bh_port_core());
    for (unsigned round = 0;;) {
        atomic_store_seq_cst(&me->still_for, 0);
        uint64_t number = atomic_load_seq_cst(&stop_number);
        if (!stop_is_on(number))
            break; /* the load is an acquire too: pairs with stop_release() of the last stop */
        /* Release: pairs with stop_stands_still(). The ranges are as bh_gc_park() left them. */
        atomic_store_release(&me->still_for, STOP_PARKED);
        /* Acquire: pairs with stop_release(). */
        while (atomic_load_acquire(&stop_number) == number)
            work_wait(round++);
    }
    me->ranges_used = 0;
    atomic_store_relaxed(&me->idle, false); /* as bh_gc_park_idle() */
    for (unsigned i = 0; i < STOP_PARK_WORDS; i++)
        me->registers[i] = 0; /* who looks for references with a debugger finds no old ones */
    arch_irq_restore(irq);
}
