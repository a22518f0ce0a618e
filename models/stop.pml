/* SPDX-License-Identifier: MIT */
/*
 * The stop protocol of gc/stop.c as a model. tools/models runs it; each step below that is not in an
 * atomic block may come in between any two steps of other cores.
 *
 * 1. Cores run: they touch the heap, take a lock of the library (interrupts off, comes to its
 *    end), take a lock of the kernel and maybe park with it held, park, ask for a collection.
 * 2. A core that is interrupted, or that waits for the kernel's lock, sees the stop at any later time.
 * 3. -DABANDON: an initiator may run out of patience whenever a core has not answered.
 *
 * Properties: while one collects, no other core touches the heap, holds the library's lock or
 * collects [GC-1, GC-2, GC-3]; and nothing deadlocks: every core comes to its last action, in
 * which it answers stops for ever (checked without ABANDON, which would end any wait).
 *
 * What must fail, so that we know the model can: -DNO_POLL (waiting for the kernel's lock without
 * looking for the stop) deadlocks; -DUNPARK_LOOKS_FIRST (the load before the store, as plain
 * release and acquire would allow) and -DSTILL_IS_A_FLAG (still_for without the stop's number, which
 * nobody has to take back) let a core run in a collection.
 */
#ifndef CORES
#define CORES 3
#endif
#ifndef ACTIONS
#define ACTIONS 2
#endif
#define PARKED 255
#define NOBODY 255

byte stop_number;
byte still_for[CORES];
bool running[CORES];     /* may touch the heap */
bool collecting;
byte kernel_lock = NOBODY;
byte library_lock = NOBODY;

#ifdef STILL_IS_A_FLAG
#define STANDS_STILL(core, number) (still_for[core] != 0)
#define MARK(number)               1
#else
#define STANDS_STILL(core, number) (still_for[core] == number || still_for[core] == PARKED)
#define MARK(number)               number
#endif
#define IS_ON(number) (number % 2 == 1)

/* stop_stand_still() */
inline stand_still()
{
    do
    :: seen = stop_number;
       if
       :: IS_ON(seen) && still_for[me] != MARK(seen) && still_for[me] != PARKED ->
          running[me] = false;
          still_for[me] = MARK(seen);
          stop_number != seen
       :: else -> break
       fi
    od;
    running[me] = true
}

inline touch_heap()
{
    assert(running[me] && !collecting)
}

/* Interrupts off from taking to releasing; the wait does not poll. */
inline use_library()
{
    atomic { library_lock == NOBODY -> library_lock = me };
    touch_heap();
    library_lock = NOBODY
}

inline lock_kernel()
{
    do
    :: atomic { kernel_lock == NOBODY -> kernel_lock = me }; break
#ifndef NO_POLL
    :: kernel_lock != NOBODY && IS_ON(stop_number) && still_for[me] != MARK(stop_number) ->
       stand_still()
#endif
    od
}

inline park()
{
    running[me] = false;
    still_for[me] = PARKED
}

/* bh_gc_unpark() */
inline unpark()
{
    do
    :: skip;
#ifdef UNPARK_LOOKS_FIRST
       seen = stop_number;
       still_for[me] = 0;
#else
       still_for[me] = 0;
       seen = stop_number;
#endif
       if
       :: IS_ON(seen) -> still_for[me] = PARKED; stop_number != seen
       :: else -> break
       fi
    od;
    running[me] = true
}

/* stop_world(), a cycle, stop_release() */
inline collect()
{
    seen = stop_number;
    won = false;
    if
    :: !IS_ON(seen) ->
       atomic {
           if
           :: stop_number == seen -> stop_number = seen + 1; won = true
           :: else
           fi
       }
    :: else
    fi;
    if
    :: won ->
       seen = seen + 1;
       still_for[me] = MARK(seen);
       other = 0;
       do
       :: other == CORES -> break
       :: other == me -> other++
       :: other < CORES && other != me ->
          if
          :: STANDS_STILL(other, seen) -> other++
#ifdef ABANDON
          :: !STANDS_STILL(other, seen) -> goto release
#endif
          fi
       od;
       assert(!collecting && library_lock == NOBODY);
       collecting = true;
       other = 0;
       do
       :: other == CORES -> break
       :: other < CORES -> assert(other == me || !running[other]); other++
       od;
       collecting = false;
release:
       stop_number = seen + 1
    :: else -> stand_still()
    fi;
    seen = 0;
    other = 0;
    won = false
}

active [CORES] proctype core()
{
    byte me = _pid;
    byte seen;
    byte other;
    byte actions;
    bool won;

    running[me] = true;
    do
    :: actions == ACTIONS -> break
    :: actions < ACTIONS ->
       actions++;
       if
       :: skip; use_library() /* skip: or who cannot have the lock would choose not to wait */
       :: skip; lock_kernel(); touch_heap(); kernel_lock = NOBODY
       :: skip; lock_kernel(); park(); unpark(); touch_heap(); kernel_lock = NOBODY
       :: park(); unpark(); touch_heap()
       :: collect(); touch_heap()
       fi
    :: IS_ON(stop_number) -> stand_still(); touch_heap()
    od;
end:
    do
    :: IS_ON(stop_number) && still_for[me] != MARK(stop_number) -> stand_still(); touch_heap()
    od
}
