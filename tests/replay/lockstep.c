/* SPDX-License-Identifier: MIT */
/*
 * The cores that walk a trace together.
 *
 * 1. Each core has a cursor of its own, steps over every event and executes those of its threads.
 * 2. A death waits until the object's birth, maybe another core's, has been executed.
 * 3. No core gets more than `window` events ahead of the slowest, so what lives at the same time
 *    here is about what lived at the same time in the program.
 * 4. A rendezvous stops all of them between two events: core 0 waits for the others, calls the
 *    mode's rendezvous(), and lets them go.
 * 5. Whoever waits does so here, with interrupts on: a collection may stop it, and it comes to a
 *    rendezvous that is asked for meanwhile. After a few turns it rests between two ticks of a
 *    timer, because under emulation many cores share few processors.
 * 6. A core without threads is never started: it sleeps in the board's idle loop.
 *
 * No core waits for ever: the slowest waits for nobody's progress, and for a birth only at an
 * earlier event, which its core has passed. A stopped run (replay.stopped) ends every wait.
 * Locks: none. Each `at` is written by its own core only.
 */
#include "arch/arch.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include "tests/replay/replay.h"
#include <bareheap/port.h>

#define PUBLISH_EVERY  32      /* events between two stores of a core's place */
#define PROGRESS_LINES 40      /* per run */
#define SPIN_TURNS     100     /* of a wait, before this core rests */
#define TICK_NS        1000000 /* the longest rest */

struct walker {
    uint64_t at;    /* an event not after the one this core is at; UINT64_MAX when done */
    uint64_t limit; /* own: may go on below this without looking at the others */
} __attribute__((aligned(ARCH_CACHE_LINE)));

static struct walker walkers[BOARD_MAX_CORES];
static uint32_t rendezvous_wanted;
static uint32_t rendezvous_arrived; /* cores besides core 0 */
static uint32_t rendezvous_round;
static uint32_t finished_cores;
static uint64_t collect_every;

static bool run_stopped(void)
{
    /* Relaxed: only ends loops; nothing is read on the strength of it. */
    return atomic_load_relaxed(&replay.stopped) != 0;
}

/* One turn of a waiting loop: short at first, later until this core's next tick. */
static void rest(unsigned *turns)
{
    if (++*turns < SPIN_TURNS)
        arch_pause();
    else
        board_rest();
}

/* Interrupts end a rest; that is all it has to do. */
static void tick(void)
{
}

/* ---- Rendezvous ---- */

static void rendezvous_lead(void)
{
    /* Acquire: pairs with the arrivals' adds; all that the other cores did is seen by the mode. */
    unsigned turns = 0;
    while (atomic_load_acquire(&rendezvous_arrived) != replay.cores - 1 && !run_stopped())
        rest(&turns);
    if (!run_stopped())
        replay.mode->rendezvous();
    /* Relaxed: the others read both only after they have seen the new round. */
    atomic_store_relaxed(&rendezvous_arrived, 0);
    atomic_store_relaxed(&rendezvous_wanted, 0);
    /* Release: pairs with the load in rendezvous_follow(). */
    atomic_store_release(&rendezvous_round, rendezvous_round + 1);
}

static void rendezvous_follow(void)
{
    /* Relaxed: the round cannot change before this core has arrived. */
    uint32_t round = atomic_load_relaxed(&rendezvous_round);
    unsigned turns = 0;

    atomic_add_acq_rel(&rendezvous_arrived, 1); /* pairs with the load in rendezvous_lead() */
    while (atomic_load_acquire(&rendezvous_round) == round && !run_stopped())
        rest(&turns);
}

static void rendezvous_poll(void)
{
    /* Acquire: pairs with the release in lockstep_ask(). */
    if (BH_LIKELY(atomic_load_acquire(&rendezvous_wanted) == 0))
        return;
    if (bh_port_core() == 0)
        rendezvous_lead();
    else
        rendezvous_follow();
}

void lockstep_ask(void)
{
    atomic_store_release(&rendezvous_wanted, 1); /* pairs with the load in rendezvous_poll() */
}

/*
 * One turn of a loop that waits for another core: meets the others if that is asked for. False when
 * the run has been stopped and what is waited for may never come.
 */
static bool wait_turn(unsigned *turns)
{
    rendezvous_poll();
    rest(turns);
    return !run_stopped();
}

/* ---- The window ---- */

static uint64_t slowest_event(void)
{
    uint64_t slowest = UINT64_MAX;
    for (unsigned core = 0; core < replay.cores; core++) {
        /* Relaxed: a distance; what was done on the way is published object by object. */
        uint64_t at = atomic_load_relaxed(&walkers[core].at);
        slowest = at < slowest ? at : slowest;
    }
    return slowest;
}

/* Before event `index` on the core of `me`: waits until the others are near. */
static bool window_enter(struct walker *me, uint64_t index)
{
    if (index % PUBLISH_EVERY == 0)
        atomic_store_relaxed(&me->at, index); /* relaxed: see slowest_event() */
    unsigned turns = 0;
    while (index >= me->limit) {
        atomic_store_relaxed(&me->at, index); /* relaxed: see slowest_event() */
        me->limit = slowest_event() + replay.options.window;
        if (index >= me->limit && !wait_turn(&turns))
            return false;
    }
    return true;
}

/* ---- Events ---- */

/* The object that `event` ends, once it is there; NULL when the run has been stopped. */
static struct replay_object *object_that_ends(const struct trace_event *event)
{
    struct replay_object *object = &replay.objects[event->old_id];

    unsigned turns = 0;
    /* Acquire: pairs with the release in publish_birth(), perhaps on another core. */
    while (atomic_load_acquire(&object->state) == OBJECT_UNBORN)
        if (!wait_turn(&turns))
            return NULL;
    return object;
}

static void publish_birth(struct replay_object *object)
{
    /* Release: pairs with the load in object_that_ends(): base, size and contents are there. */
    atomic_store_release(&object->state, OBJECT_LIVE);
}

static bool execute_birth(const struct trace_event *event, uint64_t index)
{
    struct replay_object *object = &replay.objects[event->id];
    bool ok;

    object->bytes = event->bytes;
    object->born_event = (uint32_t)index;
    if (event->op == TRACE_REALLOC) {
        struct replay_object *old = object_that_ends(event);
        ok = old != NULL && replay.mode->resize(event, old, object);
    } else {
        ok = replay.mode->birth(event, object);
    }
    if (!ok) {
        if (!run_stopped())
            report_out_of_memory(event->bytes, index);
        return false;
    }
    publish_birth(object);
    replay.mode->after_birth();
    return true;
}

static bool execute(const struct trace_event *event, uint64_t index)
{
    if (event->op != TRACE_FREE)
        return execute_birth(event, index);
    struct replay_object *object = object_that_ends(event);
    if (object == NULL)
        return false;
    replay.mode->death(object);
    return true;
}

/* Flips a byte of some live object, for the test that such damage is found. For traces of one
 * thread: another core might be freeing the object. */
static void corrupt_one(void)
{
    for (uint32_t id = replay.trace.births; id-- > 0;) {
        struct replay_object *object = &replay.objects[id];
        if (object->state != OBJECT_LIVE || object->bytes < 64)
            continue;
        ((uint8_t *)object->base)[object->bytes / 2] ^= 0x10;
        return;
    }
}

/* What core 0 does besides its events: progress, and damage when asked for. */
static void lead_event(uint64_t index)
{
    if (index % (replay.trace.events / PROGRESS_LINES + 1) == 0)
        report_progress(index, replay.trace.events);
    if (replay.options.corrupt != 0 && index == replay.trace.events / 2)
        corrupt_one();
}

static void walk_events(unsigned core)
{
    struct trace_cursor cursor;
    struct trace_event event;

    trace_start(&cursor, &replay.trace);
    while (!run_stopped() && trace_next(&cursor, &event)) {
        uint64_t index = cursor.done - 1;
        rendezvous_poll();
        if (!window_enter(&walkers[core], index))
            return;
        if (core == 0)
            lead_event(index);
        if (event.thread % replay.cores != core)
            continue;
        if (!execute(&event, index))
            return;
        if (index % collect_every == collect_every - 1)
            replay.mode->collect();
    }
}

static void wait_for_all(void)
{
    unsigned turns = 0;

    atomic_add_acq_rel(&finished_cores, 1); /* pairs with the load below */
    while (atomic_load_acquire(&finished_cores) != replay.cores && wait_turn(&turns))
        ;
}

/* What each core that takes part does. */
static void walk_trace(void *arg)
{
    unsigned core = (unsigned)(uintptr_t)arg;

    if (replay.cores > 1)
        board_timer_start(TICK_NS, tick);
    walk_events(core);
    rendezvous_poll();
    atomic_store_relaxed(&walkers[core].at, UINT64_MAX); /* relaxed: see slowest_event() */
    wait_for_all();
    if (replay.cores > 1)
        board_timer_stop();
}

void lockstep_run(void)
{
    collect_every = replay.trace.events / (replay.options.collects + 1) + 1;
    for (unsigned core = 0; core < replay.cores; core++)
        walkers[core].limit = replay.options.window;
    for (unsigned core = 1; core < replay.cores; core++)
        board_start(core, walk_trace, (void *)(uintptr_t)core);
    board_start(0, walk_trace, NULL);
    for (unsigned core = 1; core < replay.cores; core++)
        board_wait(core);
}
