/* SPDX-License-Identifier: MIT */
/*
 * Marking: over everything that can be reached, by all cores that stand still.
 *
 * A word takes this way, at each stop of which something is fetched from memory for the next one,
 * a good while before it is looked at (Cher, Hosking, Vitek: "Software prefetching for mark-sweep
 * garbage collection", 2004):
 *
 * 1. Scan: a word of a root or an object that lies in a page of collected objects becomes an edge:
 *    {word, span}. The span's record is fetched.
 * 2. Aim, MARK_AIM edges later: the record says where the object's bits are. They are fetched.
 * 3. Judge, MARK_JUDGE edges later: if there is an object, and it was not marked, it is marked now
 * and counted and, if it can hold pointers, pushed on this core's stack (work.c).
 * 4. Look ahead: MARK_BATCH pieces are popped from the stack and fetched, and scanned when those
 *    of the batch before have been.
 *
 * Large pieces are scanned in parts of WORK_PART_BYTES, which others can take over. Roots are
 * pieces like others. Which words of a typed object are scanned its layout says.
 *
 * Who takes part: the core that collects, the initiator, and any other that stands still and
 * comes by (mark_help). The initiator waits for none of them to come. Without others, marks
 * are set without atomic operations. The others' markers lie in pages of the page heap, for the
 * time of a mark; if there are none the initiator marks alone [GC-6].
 *
 * Overflow: when nothing is left, and some marked objects could not be pushed, the marked objects
 * in that stretch of addresses are scanned again, stacks as they are; this repeats until a round
 * passes without. Each round that does not is paid for by at least one newly marked object, so it
 * ends. Objects that another core missed during a round are in the next.
 *
 * Invariants: an object is marked at most once, so pushed at most once but for overflow. After
 * mark_all() every object that a scanned word points into is marked, and all of every marked object
 * that can hold pointers was scanned; nothing in .bss remembers them.
 *
 * No locks here. Not here: which ranges are roots (roots.c), how pieces are shared and how the end
 * is found (work.c), what marks mean (alloc/).
 */
#include "gc/mark.h"
#include "gc/stop.h"
#include "gc/work.h"
#include "kernel-lib/check.h"
#include "kernel-lib/memory.h"
#include "kernel-lib/percore.h"

/* Powers of two, the edges' more than MARK_AIM + MARK_JUDGE. Measured: DECISIONS.md. */
#define MARK_EDGES 32
#define MARK_AIM   8
#define MARK_JUDGE 8
#define MARK_AHEAD 32
#define MARK_BATCH 16

#define MARK_STACK_SHARE 16 /* of the heap's pages */

/* A word that points into a page of the span; when it was aimed, the number of the object. */
struct mark_edge {
    uintptr_t at;
    struct bh_span *span;
};

/* A core that marks. */
struct marker {
    struct worker work;
    struct mark_totals totals;
    bool alone; /* no other core takes part in this mark */

    /* Edges from `judged` to `aimed` have been aimed, those up to `scanned` not yet. The numbers
     * only grow; edge i is at i % MARK_EDGES. */
    uint32_t scanned;
    uint32_t aimed;
    uint32_t judged;
    struct mark_edge edges[MARK_EDGES];

    /* Pieces from `entered` back to `left`, likewise. */
    uint32_t entered;
    uint32_t left;
    struct work_piece ahead[MARK_AHEAD];
};

static struct marker mark_initiator;
static struct marker *mark_helpers; /* by core; NULL when the initiator is alone */
static size_t mark_stack_pages = SIZE_MAX;
static unsigned mark_cores = UINT32_MAX;
static PER_CORE(struct mark_counts, mark_counts);

void mark_set_stack_pages(size_t pages)
{
    atomic_store_relaxed(&mark_stack_pages, pages); /* a figure */
}

void mark_set_cores(unsigned cores)
{
    BH_CHECK(cores >= 1, "mark_set_cores(%u): one core marks at least", cores);
    atomic_store_relaxed(&mark_cores, cores); /* a figure */
}

/* ---- judging ---- */

static inline void mark_found(struct marker *m, const struct bh_span *span, uint32_t idx)
{
    size_t bytes = span_object_bytes(span);
    m->totals.live_bytes += bytes;
    m->totals.live_objects++;
    if (span->kind >= KIND_SCAN)
        work_push(&m->work, span->base + (uintptr_t)idx * span->object_bytes, bytes, span->kind);
}

static inline void mark_judge(struct marker *m)
{
    const struct mark_edge *edge = &m->edges[m->judged++ % MARK_EDGES];
    uint32_t idx = (uint32_t)edge->at;
    if (walk_mark_index(edge->span, idx, m->alone))
        mark_found(m, edge->span, idx);
}

static inline void mark_aim(struct marker *m)
{
    struct mark_edge *edge = &m->edges[m->aimed++ % MARK_EDGES];
    edge->at = walk_index(edge->span, edge->at);
    walk_prefetch_bits(edge->span, (uint32_t)edge->at);
}

/* Aims and judges all edges there are; false when there were none. */
static bool mark_settle(struct marker *m)
{
    if (m->judged == m->scanned)
        return false;
    while (m->aimed != m->scanned)
        mark_aim(m);
    while (m->judged != m->scanned)
        mark_judge(m);
    return true;
}

/* ---- scanning ---- */

static inline void mark_word(struct marker *m, uintptr_t word)
{
    struct bh_span *span = walk_span_of(word);
    if (span == NULL)
        return;
    walk_prefetch_span(span);
    m->edges[m->scanned++ % MARK_EDGES] = (struct mark_edge){word, span};
    if (m->scanned - m->aimed > MARK_AIM)
        mark_aim(m);
    if (m->aimed - m->judged > MARK_JUDGE)
        mark_judge(m);
}

/* Volatile: roots are memory of any type, and a parked core may write its own meanwhile. */
ROOTS_RAW_READS static void mark_scan_all(struct marker *m, uintptr_t at, size_t bytes)
{
    const volatile uintptr_t *word = (const volatile uintptr_t *)at;
    const volatile uintptr_t *end = word + bytes / sizeof(*word);
    while (word < end)
        mark_word(m, *word++);
}

/* The words in [at, at + 8 * bits of `pointers`) whose bits are set. */
ROOTS_RAW_READS static void mark_scan_set(struct marker *m, uintptr_t at, uint64_t pointers)
{
    const volatile uintptr_t *words = (const volatile uintptr_t *)at;
    for (; pointers != 0; pointers &= pointers - 1)
        mark_word(m, words[bits_lowest(pointers)]);
}

/* As the layout says, whose word `first` is at `at`. */
static void mark_scan_layout(struct marker *m, uintptr_t at, size_t bytes,
                             const struct walk_layout *layout, size_t first)
{
    size_t left = bytes / sizeof(uintptr_t);
    while (left > 0 && first < layout->words) {
        size_t count = 64 - first % 64;
        count = count < layout->words - first ? count : layout->words - first;
        count = count < left ? count : left;
        uint64_t pointers = layout->pointers[first / 64] >> (first % 64);
        mark_scan_set(m, at, pointers & (UINT64_MAX >> (64 - count)));
        at += count * sizeof(uintptr_t);
        left -= count;
        first += count;
        if (first == layout->words && layout->repeats)
            first = 0;
    }
}

static void mark_scan_typed(struct marker *m, struct work_piece piece)
{
    const struct walk_layout *layout = walk_layouts[work_kind(piece) - KIND_TYPED];
    size_t first = 0;
    if (piece.what & WORK_REST) {
        first = (work_at(piece) - walk_span_of(work_at(piece))->base) / sizeof(uintptr_t);
        first = layout->repeats ? first % layout->words : first; /* once per part, not per object */
    }
    mark_scan_layout(m, work_at(piece), work_bytes(piece), layout, first);
}

static void mark_scan(struct marker *m, struct work_piece piece)
{
    m->totals.scanned_bytes += work_bytes(piece);
    if (BH_LIKELY(work_kind(piece) == KIND_SCAN))
        mark_scan_all(m, work_at(piece), work_bytes(piece));
    else
        mark_scan_typed(m, piece);
}

/* Many at once: each fetch may have to wait for the page tables first, and those waits overlap only
 * when little else is between them. */
static void mark_look_ahead(struct marker *m)
{
    struct work_piece piece;
    while (m->entered - m->left < MARK_AHEAD && work_pop(&m->work, &piece)) {
        __builtin_prefetch((const void *)work_at(piece)); /* NOLINT: an address becomes memory */
        m->ahead[m->entered++ % MARK_AHEAD] = piece;
    }
}

/* Until this core has nothing left but what is on its shelf. */
static void mark_drain(struct marker *m)
{
    do {
        for (;;) {
            if (!m->alone)
                work_share(&m->work);
            if (m->entered - m->left <= MARK_AHEAD - MARK_BATCH)
                mark_look_ahead(m);
            if (m->entered == m->left)
                break;
            mark_scan(m, m->ahead[m->left++ % MARK_AHEAD]);
        }
    } while (mark_settle(m));
}

/* ---- with others ---- */

/* An active worker, until it is not. */
static void mark_work(struct marker *m)
{
    do
        mark_drain(m);
    while (work_unshelve(&m->work));
    work_retire();
}

/* One that is not, until none is. */
static void mark_work_of_others(struct marker *m)
{
    while (work_steal(&m->work))
        mark_work(m);
}

bool mark_help(void)
{
    if (!work_enter())
        return false;
    mark_work_of_others(&mark_helpers[bh_port_core()]);
    work_leave();
    return true;
}

/* What the initiator does: all there is to do, with whoever helps. */
static void mark_to_the_end(struct marker *m)
{
    mark_work(m);
    mark_work_of_others(m);
}

/* ---- roots ---- */

/* A root cannot be missed and found again: it waits for room. */
static void mark_push_surely(struct marker *m, uintptr_t at, size_t bytes, unsigned kind)
{
    if (work_is_full(&m->work))
        mark_drain(m);
    work_push(&m->work, at, bytes, kind);
}

static void mark_root(enum roots_kind kind, uintptr_t lo, uintptr_t hi, void *arg)
{
    struct marker *m = arg;
    m->totals.root_bytes[kind] += hi - lo;
    mark_push_surely(m, lo, hi - lo, KIND_SCAN);
}

/* ---- overflow ---- */

/* A round of rescanning: the objects in [lo, hi]. */
struct mark_round {
    struct marker *marker;
    uintptr_t lo;
    uintptr_t hi;
};

static void mark_again(const struct walk_object *object, void *arg)
{
    const struct mark_round *round = arg;
    if (object->base < round->lo || object->base > round->hi)
        return;
    if (object->span->kind < KIND_SCAN || !walk_is_marked(object))
        return;
    mark_push_surely(round->marker, object->base, span_object_bytes(object->span),
                     object->span->kind);
}

static void mark_missed(struct marker *m)
{
    struct mark_round round = {.marker = m};
    work_stop_growing(); /* walk_each_object() wants the heap's runs to stay as they are */
    while (work_take_missed(&m->work, &round.lo, &round.hi)) {
        m->totals.overflows++;
        walk_each_object(mark_again, &round);
        mark_to_the_end(m);
    }
}

/* ---- a whole mark ---- */

static size_t mark_most_pages(void)
{
    size_t share = walk_region_bytes() / PAGE_BYTES / MARK_STACK_SHARE;
    size_t most = atomic_load_relaxed(&mark_stack_pages); /* a figure */
    return most < share ? most : share;
}

/* How many cores may help: of those that are there, as many as wanted. */
static unsigned mark_most_helpers(void)
{
    unsigned there = stop_still_cores();
    unsigned wanted = atomic_load_relaxed(&mark_cores) - 1; /* a figure */
    return there < wanted ? there : wanted;
}

/* Markers for the others, if there is memory for them. */
static void mark_invite(struct marker *m, unsigned most)
{
    unsigned count = bh_port_core_count();
    if (most == 0)
        return;
    mark_helpers = walk_pages_alloc(count * sizeof(*mark_helpers));
    if (mark_helpers == NULL)
        return;
    memset(mark_helpers, 0, count * sizeof(*mark_helpers));
    for (unsigned core = 0; core < count; core++)
        work_add(&m->work, &mark_helpers[core].work);
    m->alone = false;
    work_open(most);
}

/* Adds up what one core did, and lets go of what its marker holds. */
static void mark_end_one(struct marker *m, unsigned core, struct mark_totals *totals)
{
    mark_counts[core].objects += m->totals.live_objects;
    mark_counts[core].scanned_bytes += m->totals.scanned_bytes;
    mark_counts[core].steals += m->work.steals;
    totals->live_bytes += m->totals.live_bytes;
    totals->live_objects += m->totals.live_objects;
    totals->scanned_bytes += m->totals.scanned_bytes;
    totals->overflows += m->totals.overflows;
    totals->steals += m->work.steals;
    for (unsigned kind = 0; kind < ROOTS_KINDS; kind++)
        totals->root_bytes[kind] += m->totals.root_bytes[kind];
    work_end(&m->work);
}

static void mark_end(struct marker *m, struct mark_totals *totals)
{
    unsigned count = bh_port_core_count();
    *totals = (struct mark_totals){0};
    for (unsigned core = 0; core < count; core++)
        mark_counts[core] = (struct mark_counts){0};
    for (unsigned core = 0; mark_helpers != NULL && core < count; core++)
        mark_end_one(&mark_helpers[core], core, totals);
    mark_end_one(m, bh_port_core(), totals);
    if (mark_helpers != NULL)
        walk_pages_free(mark_helpers);
    mark_helpers = NULL;
    memset(m, 0, sizeof(*m)); /* as roots, old edges would keep garbage alive */
}

void mark_all(struct mark_totals *totals)
{
    struct marker *m = &mark_initiator;
    m->alone = true;
    work_begin(&m->work, mark_most_pages());
    mark_invite(m, mark_most_helpers());
    roots_each(mark_root, m);
    mark_to_the_end(m);
    mark_missed(m);
    if (!m->alone)
        work_close();
    mark_end(m, totals);
}

struct mark_counts mark_counts_of(unsigned core)
{
    return mark_counts[core];
}
