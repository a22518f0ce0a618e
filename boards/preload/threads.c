/* SPDX-License-Identifier: MIT */
/*
 * Threads as cores.
 *
 * 1. A thread starts with the empty cache, so its first allocation is a miss, and every miss goes
 *    through bh_port_irq_save(). There it takes a slot: no fast path asks whether it has one.
 * 2. While a thread is inside, its slot says so (gate.h). That is all "interrupts off" comes to
 * here: nothing interrupts a thread that would allocate.
 * 3. When a thread ends, the destructor of a thread-specific key empties its cache and gives the
 *    slot back. The emptied cache stays with the slot for the next thread.
 * 4. What a thread frees after that (other destructors, the C library), and all that threads do
 *    when the slots have run out, goes by the shared slot: such threads keep the empty cache, so
 *    that every call is a miss, and they hold the shared slot's lock while inside.
 * 5. A fork closes the gate first. So the child finds no lock held and every cache whole: it takes
 *    the other threads' caches home and gives their slots back, and nothing is lost.
 */
#define _GNU_SOURCE
#include "boards/preload/gate.h"
#include "boards/preload/preload.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include <bareheap/alloc.h>
#include <bareheap/port.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>

/* What a thread knows of itself. Initial-exec: at a fixed offset from the thread pointer, so that
 * reading it never allocates. */
static __thread struct {
    uint32_t slot;   /* SLOT_NONE before its first miss, and when it has ended */
    uint32_t depth;  /* how often it is inside; 0: outside */
    uint32_t visits; /* how often it came out */
    bool shared;     /* its slot is the shared one */
    bool ended;      /* it gave its slot back: whatever comes now goes by the shared one */
} self __attribute__((tls_model("initial-exec"))) = {.slot = SLOT_NONE};

/* The library's slot of a core, by which the fast paths go (config.h, BH_PROTECT_NONE). */
extern __thread void *bh_core_slot __attribute__((tls_model("initial-exec")));

static void *no_cache; /* what bh_core_slot is in a thread that never allocated */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t end_key;
static bool end_key_works;
static uint32_t threads_began;

/* How long a fork waits for other threads: about a second of bh_port_wait(). */
#define FORK_ROUNDS 20000

/* Times out of the library between two looks at the clock. */
#define VISITS_PER_TICK 256

unsigned bh_port_core(void)
{
    return self.slot;
}

/* --- A fork --------------------------------------------------------------------------- */

static BH_COLD void close_gate(unsigned rounds)
{
    gate_close_begin();
    (void)bh_port_irq_save();
    gate_close(self.slot, rounds);
}

static BH_COLD void fork_prepare(void)
{
    memory_tick_hold(FORK_ROUNDS);
    close_gate(FORK_ROUNDS);
}

static BH_COLD void fork_parent(void)
{
    gate_open();
    memory_tick_release();
    bh_port_irq_restore(0);
}

/* As the thread whose slot it was, empties its cache. One that was not waited for any longer may
 * have left its cache half changed: that one is lost, and the slot with it; nobody waits for it. */
static BH_COLD void forget_slot(uint32_t slot)
{
    uint32_t own = self.slot;
    if (slot == own || slot_is_shared(slot))
        return;
    /* Relaxed, both: this is the only thread there is. */
    if (atomic_load_relaxed(&gate_slots[slot].inside)) {
        atomic_store_relaxed(&gate_slots[slot].inside, 0);
        return;
    }
    self.slot = slot;
    bh_drain();
    self.slot = own;
    slot_give(slot);
}

static BH_COLD void fork_child(void)
{
    slot_each_taken(forget_slot);
    gate_open_alone(self.slot);
    memory_tick_release();
    bh_port_irq_restore(0);
}

/* --- A thread's first miss and its end ------------------------------------------------ */

/* The thread's key is destroyed: it ends. But it may still allocate and free. */
static void thread_end(void *arg)
{
    uint32_t slot = self.slot;
    (void)arg;
    uintptr_t inside = bh_port_irq_save(); /* once, rather than for every class */
    bh_drain();
    bh_port_irq_restore(inside);
    bh_core_slot = no_cache;
    self.slot = SLOT_NONE;
    self.ended = true;
    slot_give(slot);
}

/* Once, in the first thread that misses. Nothing here allocates. */
static BH_COLD void watch_threads_and_forks(void)
{
    end_key_works = pthread_key_create(&end_key, thread_end) == 0;
    (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* The value means nothing but that there is something to destroy. For a key past the first
 * few the C library allocates: the thread has its slot by then. */
static BH_COLD bool watch_end(void)
{
    int error = errno; /* free() may be the first to miss */
    (void)pthread_once(&once, watch_threads_and_forks);
    bool watched = end_key_works && pthread_setspecific(end_key, &self) == 0;
    errno = error;
    return watched;
}

/* Another thread than the first begins: from here on locks are for more than one. */
static BH_COLD void end_solitude(void)
{
    close_gate(UINT_MAX);
    gate.alone = false;
    gate_open();
    bh_port_irq_restore(0);
}

static BH_COLD void take_slot(void)
{
    uint32_t slot = self.ended ? SLOT_NONE : slot_take();
    self.shared = slot == SLOT_NONE;
    self.slot = self.shared ? slot_shared() : slot;
    atomic_fence_seq_cst(); /* pairs with gate_close() */
}

static BH_COLD void share_slot(void)
{
    bh_core_slot = no_cache;
    slot_give(self.slot);
    self.shared = true;
    self.slot = slot_shared();
}

/* Outside, with no slot yet. */
static BH_COLD void thread_begin(void)
{
    atomic_store_relaxed(&no_cache, bh_core_slot); /* relaxed: the same for all threads */
    take_slot();
    /* Relaxed: only who is first matters. */
    if (atomic_add_relaxed(&threads_began, 1) == 0)
        gate_init();
    else if (gate.alone)
        end_solitude();
    if (self.shared)
        return;
    bh_core_init();
    if (!watch_end())
        share_slot(); /* one of its own would never be given back */
}

/* --- Inside: what the library takes for interrupts off -------------------------------- */

static void enter(void)
{
    if (BH_UNLIKELY(self.slot == SLOT_NONE))
        thread_begin();
    if (BH_UNLIKELY(self.shared))
        gate_enter_shared();
    else
        gate_enter(self.slot);
}

static void leave(void)
{
    if (BH_LIKELY(!self.shared)) {
        gate_leave(self.slot);
        return;
    }
    bh_core_slot = no_cache; /* the library made the shared slot's cache this thread's */
    gate_leave_shared();
}

uintptr_t bh_port_irq_save(void)
{
    if (self.depth == 0)
        enter();
    self.depth++;
    compiler_barrier();
    return 0;
}

void bh_port_irq_restore(uintptr_t state)
{
    (void)state;
    compiler_barrier();
    self.depth--;
    if (self.depth > 0)
        return;
    leave();
    self.visits++;
    if (BH_UNLIKELY(self.visits % VISITS_PER_TICK == 0))
        memory_tick();
}

bool bh_port_irq_enabled(void)
{
    return self.depth == 0;
}

bool bh_port_alone(void)
{
    return gate.alone;
}
