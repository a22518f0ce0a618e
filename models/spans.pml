/* SPDX-License-Identifier: MIT */
/*
 * How several cores mark and scan small objects, span by span: gc/marker.c and the marking part of
 * alloc/walk.h as a model. tools/models runs it; each step that is not in an atomic block may come
 * in between any two steps of other cores.
 *
 * 1. An object has two bits. alloc alone: white. alloc and mark: grey, it has to be scanned. mark
 *    alone: black, somebody has claimed it. Neither: a free slot.
 * 2. A span has two flags. QUEUED: somebody will look at the word that an entry {span, word} names.
 *    MANY: at all words instead. Who clears the flags looks next.
 * 3. In whose queue an entry is, and in which order, is left out: any worker takes any entry at any
 *    time, which is more than queues and thieves can do. How all know the end is models/mark.pml.
 * 4. The graph is chosen while it is scanned: an object, and the roots that each worker begins
 *    with, refer to up to POINTERS slots, free ones too, and a worker follows up to FOLLOWED in
 *    all. As an object is scanned once, that is every graph with so many edges.
 * 5. -DOVERFLOW: there may be no room for an entry. The span stays QUEUED, and becomes MANY; when
 *    nobody has anything left, worker 0 queues all spans that are QUEUED, while others go on
 *    marking. Thus a span may get an entry too many, and who takes that one clears the flags
 *    for another, or for a marker that had no room again. MANY makes up for it.
 *
 * Properties: at the end what was referred to is black, all else as it was, and no span has flags;
 * an object is scanned once; no free slot is marked; without OVERFLOW a span has one entry at most,
 * so that a queue has room enough with a place for each span; and nothing deadlocks.
 *
 * SPIN's memory is sequentially consistent. Two pairs of accesses in the code have to be so, a
 * change and then a load of something else: a marker's mark and its look at the flags, a scanner's
 * clearing of the flags and its look at the marks. If either load comes early, the marker may see
 * flags that are about to be cleared, and the scanner no mark. All else needs release and acquire
 * at most: who changes the flags is seen by who clears them, as each changes what the other left.
 *    x86-64: a locked instruction lets no later load pass, so the changes are fences already.
 *    AArch64: the store of a load-exclusive and store-exclusive pair may come later than a load
 *    that follows, acquire and release or not. Either the store is STLXR and the load LDAR, which
 *    stay in order (what seq_cst makes of the two), or DMB ISH is between them.
 * A store that waits in a buffer while the next load is served is that load going first. So are
 * -DMARK_WITHOUT_FENCE and -DCLEAR_WITHOUT_FENCE modelled: the load may go first or not.
 *
 * What must fail, so that we know the model can: these two; -DFLAGS_TESTED_FIRST (the flags, then
 * the mark); -DCLEARED_AFTER (the flags, after the words were looked at); -DCLAIMS_WITH_A_STORE;
 * -DNOT_MANY (nobody sets it); -DMANY_ALONE (it is set without QUEUED, which may be gone);
 * -DLEFT_TO_OTHERS (a span that anybody scans is not queued); -DLOOKED_LATE (a word counts as looked
 * at when its objects have been scanned); -DOVERFLOW -DMISSED_ALONE (a missed span is not MANY).
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef SPANS
#define SPANS 2
#endif
#ifndef BITS
#define BITS 1 /* of a word; of two, the last one of a span is a free slot */
#endif
#ifndef POINTERS
#define POINTERS 2
#endif
#ifndef FOLLOWED
#define FOLLOWED 3
#endif
#define WORDS       2 /* of a span */
#define NONE        255
#define QUEUED      1
#define MANY        2
#define ALL         ((1 << WORDS) - 1) /* words, as a set */
#define WORD(at)    (1 << ((at) % WORDS))
#define FREE(at)    (BITS > 1 && (at) % WORDS == WORDS - 1 -> 1 << (BITS - 1) : 0)
#define OBJECTS(at) ((1 << BITS) - 1 - FREE(at))
#define ENTRIES(at) (entries[(at) / WORDS * WORDS] + entries[(at) / WORDS * WORDS + 1])
#if SPANS > 1
#define WAITING (ENTRIES(0) + ENTRIES(WORDS))
#else
#define WAITING ENTRIES(0)
#endif

#if defined(NOT_MANY)
#define MORE QUEUED
#elif defined(MANY_ALONE)
#define MORE MANY
#else
#define MORE (QUEUED | MANY)
#endif
#ifdef LEFT_TO_OTHERS
#define IS_LEFT(span) (scanners[span] != 0)
#else
#define IS_LEFT(span) false
#endif
#ifdef OVERFLOW
#define OVERFLOWS true
#else
#define OVERFLOWS false
#endif
#ifdef MISSED_ALONE
#define IF_MISSED 0
#else
#define IF_MISSED (QUEUED | MANY)
#endif

/* By word of all spans, or by span */
byte alloc[SPANS * WORDS];
byte mark[SPANS * WORDS];
byte flags[SPANS];
byte entries[SPANS * WORDS];
byte work = WORKERS; /* entries, and workers that have something */
bool missed;
bool over;

/* For the properties: what something scanned refers to, what was scanned; for a mutant, who scans */
byte referred[SPANS * WORDS];
byte scanned[SPANS * WORDS];
#ifdef LEFT_TO_OTHERS
byte scanners[SPANS];
#endif

/* ---- marking ---- */

inline set_flags(which)
{
    atomic { seen = flags[at / WORDS]; flags[at / WORDS] = seen | which }
}

/* An entry for the span, whose flag we have set */
inline push()
{
    if
    :: atomic { assert(OVERFLOWS || ENTRIES(at) == 0); entries[at]++; work++ }
#ifdef OVERFLOW
    :: set_flags(IF_MISSED); missed = true
#endif
    fi
}

/* walk_queue(). `seen`: the flags, after the mark */
inline queue_span()
{
    if
    :: (seen & QUEUED) == 0 -> wanted = QUEUED
    :: (seen & QUEUED) != 0 && (seen & MANY) == 0 -> wanted = MORE
    :: (seen & QUEUED) != 0 && (seen & MANY) != 0 -> wanted = 0
    fi;
    if
    :: wanted != 0 -> set_flags(wanted)
    :: else
    fi;
    if
    :: wanted == QUEUED && (seen & QUEUED) != 0 -> /* somebody was faster */
       wanted = MORE;
       set_flags(wanted)
    :: else
    fi;
    if
    :: (wanted & QUEUED) != 0 && (seen & QUEUED) == 0 -> push()
    :: else
    fi;
    wanted = 0
}

/* marker_flush(): marks what is pending, bits of the word `at`. */
inline flush()
{
    pending = pending & alloc[at];
    if
    :: pending != 0 ->
#if defined(FLAGS_TESTED_FIRST) || defined(MARK_WITHOUT_FENCE)
       if
       :: early = flags[at / WORDS]
#ifdef MARK_WITHOUT_FENCE
       :: skip
#endif
       fi;
#endif
       atomic {
           assert((pending & ~OBJECTS(at)) == 0);
           seen = mark[at];
           mark[at] = seen | pending;
           pending = pending & ~seen
       };
       if
       :: pending != 0 && at / WORDS == mine -> look = look | WORD(at)
       :: pending != 0 && at / WORDS != mine && !IS_LEFT(at / WORDS) ->
          if
          :: early == NONE -> seen = flags[at / WORDS]
          :: early != NONE -> seen = early
          fi;
          queue_span()
       :: else
       fi
    :: else
    fi;
    atomic { at = NONE; pending = 0; seen = 0; early = NONE }
}

inline settle()
{
    if
    :: at != NONE -> flush()
    :: else
    fi
}

/* marker_reach(): a pointer to any slot. Marked ones are passed over, others are pending. */
inline point()
{
    atomic {
        slot = 0;
        do
        :: slot < SPANS * WORDS * BITS - 1 -> slot++
        :: break
        od;
        to = slot / BITS;
        slot = 1 << (slot % BITS);
        referred[to] = referred[to] | (slot & OBJECTS(to));
        if
        :: (mark[to] & slot) != 0 -> to = NONE; slot = 0
        :: else
        fi
    };
    if
    :: to != NONE ->
       if
       :: at != NONE && at != to -> flush()
       :: else
       fi;
       atomic { at = to; pending = pending | slot; to = NONE; slot = 0 }
    :: else
    fi
}

/* ---- scanning ---- */

/* An object, or roots */
inline scan()
{
    left = POINTERS;
    do
    :: left > 0 && to_follow > 0 -> left--; to_follow--; point()
    :: left = 0; break
    od
}

/* walk_claim_word(): takes the grey objects of `word`; which does not matter. */
inline claim()
{
    claimed = mark[mine * WORDS + word];
#ifdef CLEAR_WITHOUT_FENCE
    if
    :: early_marks[word] != NONE -> claimed = early_marks[word]
    :: skip
    fi;
#endif
#ifdef CLAIMS_WITH_A_STORE
    seen = alloc[mine * WORDS + word];
    claimed = claimed & seen;
    alloc[mine * WORDS + word] = seen & ~claimed;
    seen = 0;
#endif
    atomic {
#ifndef CLAIMS_WITH_A_STORE
        claimed = claimed & alloc[mine * WORDS + word];
        alloc[mine * WORDS + word] = alloc[mine * WORDS + word] & ~claimed;
#endif
        assert((scanned[mine * WORDS + word] & claimed) == 0);
        scanned[mine * WORDS + word] = scanned[mine * WORDS + word] | claimed;
        do
        :: claimed != 0 -> claimed = claimed & (claimed - 1); listed++
        :: claimed == 0 -> break
        od
    }
}

/* marker_scan_some(): claims the objects of some words, then scans them. */
inline scan_some()
{
    do
    :: look == 0 || listed > 0 -> break /* it may go on as well */
    :: look != 0 && listed == 0 ->
       word = ((look & 1) != 0 -> 0 : 1);
#ifdef LOOKED_LATE
       claim();
       if
       :: listed > 0 -> break
       :: else -> look = look & ~(1 << word)
       fi
#else
       look = look & ~(1 << word);
       claim()
#endif
    od;
#ifdef CLEAR_WITHOUT_FENCE
    early_marks[0] = NONE;
    early_marks[1] = NONE;
#endif
    do
    :: listed > 0 -> listed--; scan()
    :: listed == 0 -> break
    od;
    settle();
#ifdef LOOKED_LATE
    look = look & ~(1 << word)
#endif
}

/* marker_visit_small(): until there is no word in the span to look at. */
inline scan_span()
{
    do
    :: look == 0 -> break
    :: look != 0 -> scan_some()
    od;
    word = 0
}

/* walk_unqueue() */
inline clear_flags()
{
    atomic { seen = flags[mine]; flags[mine] = 0 }
}

/* marker_visit(): an entry was taken, of the span `mine` and the word in `look`. */
inline visit()
{
#ifdef LEFT_TO_OTHERS
    scanners[mine]++;
#endif
#ifdef CLEAR_WITHOUT_FENCE
    early_marks[0] = mark[mine * WORDS];
    early_marks[1] = mark[mine * WORDS + 1];
#endif
#ifdef CLEARED_AFTER
    seen = flags[mine];
#else
    clear_flags();
#endif
    atomic { look = ((seen & MANY) != 0 -> ALL : look); seen = 0 };
    scan_span();
#ifdef CLEARED_AFTER
    clear_flags();
    seen = 0;
#endif
#ifdef LEFT_TO_OTHERS
    scanners[mine]--;
#endif
    mine = NONE
}

/* ---- workers ---- */

/* mark_again(): of the span `missing` */
inline queue_missed()
{
    if
    :: (flags[missing] & QUEUED) != 0 ->
       flags[missing] = flags[missing] | MANY;
       atomic { entries[missing * WORDS]++; work++; missing++ }
    :: (flags[missing] & QUEUED) == 0 -> missing++
    fi
}

inline check()
{
    d_step {
        do
        :: slot == SPANS * WORDS -> break
        :: slot < SPANS * WORDS ->
           assert(mark[slot] == referred[slot]);
           assert(scanned[slot] == mark[slot]);
           assert(alloc[slot] == (OBJECTS(slot) & ~mark[slot]));
           assert(flags[slot / WORDS] == 0);
           slot++
        od
    }
}

/* Any entry; a worker that has had nothing has its share of `work` now. */
#define TAKE(entry) \
    :: entries[entry] > 0 -> entries[entry]--; mine = entry / WORDS; look = WORD(entry)

inline take()
{
    if
    TAKE(0)
    TAKE(1)
#if SPANS > 1
    TAKE(2)
    TAKE(3)
#endif
    fi;
    work = work - busy;
    busy = true
}

proctype worker(byte me)
{
    bool busy = true;
    byte mine = NONE; /* the span that it scans */
    byte look;        /* at which words yet */
    byte word;
    byte claimed;
    byte listed;    /* objects to scan */
    byte at = NONE; /* the word that has bits pending */
    byte pending;
    byte seen;
    byte wanted;
    byte early = NONE;
    byte to = NONE;
    byte slot;
    byte left;
    byte to_follow = FOLLOWED;
    byte missing = SPANS;
#ifdef CLEAR_WITHOUT_FENCE
    byte early_marks[WORDS];
#endif

    scan();
    do
    :: atomic { WAITING > 0 -> take() }; visit()
    :: busy && missing == SPANS -> settle(); atomic { busy = false; work-- }
    :: missing < SPANS -> queue_missed()
    :: atomic { me == 0 && work == 0 && missed -> missed = false; missing = 0; busy = true; work++ }
    :: atomic { me == 0 && work == 0 && !missed -> over = true; check() }; break
    :: over -> break
    od
}

init
{
    byte i;
    atomic {
        do
        :: i == SPANS * WORDS -> break
        :: i < SPANS * WORDS -> alloc[i] = OBJECTS(i); i++
        od;
        i = 0;
        do
        :: i == WORKERS -> break
        :: i < WORKERS -> run worker(i); i++
        od
    }
}
