/* SPDX-License-Identifier: MIT */
/*
 * How parallel marking ends: gc/work.c and gc/mark.c as a model. tools/models runs it; each step that
 * is not in an atomic block may come in between any two steps of other cores.
 *
 * Worker 0 is the initiator. Pieces are only counted, in a queue or on a shelf: which comes out first
 * does not matter here, nor what a piece is. Scanning one finds up to two of the objects that nobody
 * has marked yet, each of which becomes a piece. (Of spans, where some become one: spans.pml.) A queue
 * holds QUEUE pieces, and what is found beyond that is missed, and found again by the initiator's next
 * round. Helpers come and go as they like, or never come.
 *
 * Properties: who sees the end sees no piece anywhere; when the mark is over all pieces were scanned
 * and nothing is missed [GC-6]; nobody looks at a worker after it was freed; and nothing deadlocks,
 * so the initiator waits for no helper that does not come.
 *
 * What must fail, so that we know the model can: -DTHIEF_COUNTS_LATE (active after it took),
 * -DRETIRES_WITH_A_SHELF (without having looked there), -DCLOSE_DOES_NOT_WAIT, -DROUND_NOT_COUNTED (the
 * initiator begins a round without becoming active).
 */
#ifndef WORKERS
#define WORKERS 3
#endif
#ifndef OBJECTS
#define OBJECTS 6
#endif
#define QUEUE 2

byte unmarked = OBJECTS;
byte missed;
byte pieces; /* in all queues and shelves, and those being scanned */
byte queue[WORKERS];
byte shelf[WORKERS];
byte active_workers; /* work_active */
bool open;           /* work_gate */
byte inside;
bool freed;
bool over; /* the stop */

/* An object is marked first by one, and pushed or missed by that one. */
inline push()
{
    if
    :: queue[me] < QUEUE -> queue[me]++; pieces++
    :: else -> missed++
    fi
}

inline scan()
{
    atomic {
        queue[me]--;
        do
        :: found < 2 && unmarked > 0 -> unmarked--; found++; push()
        :: break
        od;
        found = 0;
        pieces--
    }
}

inline share()
{
    if
    :: shelf[me] == 0 && queue[me] >= 2 ->
       atomic { shelf[me] = queue[me] / 2; queue[me] = queue[me] - shelf[me] }
    :: else
    fi
}

/* mark_work(): active until it retires */
inline work()
{
    do
    :: queue[me] > 0 -> share(); scan()
    :: queue[me] == 0 ->
#ifdef RETIRES_WITH_A_SHELF
       break
#else
       if
       :: shelf[me] == 0 -> break
       :: shelf[me] != 0 -> atomic { queue[me] = shelf[me]; shelf[me] = 0 }
       fi
#endif
    od;
    active_workers--
}

/* work_rob(), in the lock */
inline rob()
{
    atomic {
        taken = (shelf[victim] + 1) / 2;
        shelf[victim] = shelf[victim] - taken;
        queue[me] = queue[me] + taken
    }
}

/* work_steal() and mark_work() until nobody is active */
inline work_of_others()
{
    do
    :: assert(!freed);
       victim = 0;
       do
       :: victim == WORKERS -> break
       :: victim < WORKERS && (victim == me || shelf[victim] == 0) -> victim++
       :: victim < WORKERS && victim != me && shelf[victim] != 0 ->
#ifdef THIEF_COUNTS_LATE
          rob();
          if
          :: taken > 0 -> active_workers++; break
          :: else -> victim++
          fi
#else
          active_workers++;
          rob();
          if
          :: taken > 0 -> break
          :: else -> active_workers--; victim++
          fi
#endif
       od;
       if
       :: victim < WORKERS -> work()
       :: atomic { victim == WORKERS && active_workers == 0 -> assert(pieces == 0) }; break
       :: victim == WORKERS && active_workers != 0
       fi
    od
}

/* mark_missed(), a round: what was missed is scanned, the rest of the round done as usual. */
inline again()
{
    do
    :: missed == 0 -> break
    :: missed > 0 ->
       if
       :: queue[me] == QUEUE -> share(); scan()
       :: queue[me] < QUEUE -> atomic { missed--; queue[me]++; pieces++ }
       fi
    od
}

proctype initiator()
{
    byte me = 0;
    byte victim;
    byte taken;
    byte found;

    active_workers = 1;
    open = true;
    push();
    do
    :: work();
       work_of_others();
       assert(pieces == 0);
       if
       :: missed == 0 -> break
       :: missed > 0 ->
#ifndef ROUND_NOT_COUNTED
          active_workers++;
#endif
          again();
#ifdef ROUND_NOT_COUNTED
          active_workers++
#endif
       fi
    od;
    open = false;
#ifndef CLOSE_DOES_NOT_WAIT
    inside == 0;
#endif
    freed = true;
    assert(pieces == 0 && missed == 0);
    over = true
}

proctype helper(byte me)
{
    byte victim;
    byte taken;
    byte found;

    do
    :: over -> break
    :: atomic { open -> inside++ };
       work_of_others();
       assert(!freed);
       inside--
    :: break /* parked, or never scheduled */
    od
}

init
{
    byte i = 1;
    atomic {
        run initiator();
        do
        :: i == WORKERS -> break
        :: i < WORKERS -> run helper(i); i++
        od
    }
}
