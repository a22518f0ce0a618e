/* SPDX-License-Identifier: MIT */
/*
 * Marking: depth first over everything that can be reached, with a stack of our own.
 *
 * 1. A piece of work is a range of memory to scan: {at, bytes}, not its end, since the end of an
 *    object is the address of the next one, and the stack may lie where roots are scanned.
 * 2. Every word of it that points into an object (walk_find) marks that object; who is the first to
 *    mark it (walk_mark) counts it, and pushes it if it can hold pointers.
 * 3. Large pieces are taken in parts of MARK_PART_BYTES, so that one array does not fill the
 *    stack with its elements and, later, can be shared.
 * 4. Between the stack and the scan there is a short queue: a piece that leaves the stack is
 *    prefetched and scanned MARK_AHEAD pieces later (Cher, Hosking, Vitek: "Software prefetching
 * for mark-sweep garbage collection", 2004).
 * 5. The stack grows by pages of the page heap up to a limit. If there are no more, the object
 * stays marked but is not pushed, and the span of addresses where this happened is noted [GC-6].
 *    When the stack is empty, the marked objects there are scanned again, with the stack as it is;
 *    this repeats until a round passes without an overflow. Each round that does not is
 *    paid for by at least one newly marked object, so it ends; no page and no entry more is needed
 *    than the MARK_FIRST_ENTRIES in .bss.
 *
 * Invariants: an object is marked at most once, so pushed at most once but for 5. After mark_all()
 * every object that a scanned word points into is marked, and every marked object of kind scan
 * was scanned; the stack, its pages and its first entries hold nothing.
 *
 * No locks: one core marks while all others stand still. walk_mark() is atomic already; for marking
 * on all cores each gets a struct marker, and segments of the stack are what they will exchange.
 * Not here: which ranges are roots (roots.c), what marks mean (alloc/).
 */
#include "gc/mark.h"
#include "alloc/walk.h"
#include "kernel-lib/check.h"
#include "kernel-lib/memory.h"

#define MARK_PART_BYTES    ((size_t)128 << 10)
#define MARK_AHEAD         8
#define MARK_FIRST_ENTRIES 64
#define MARK_STACK_SHARE   16 /* of the heap's pages */
#define MARK_SEGMENT_BYTES PAGE_BYTES

/* Scan [at, at + bytes). */
struct mark_work {
    uintptr_t at;
    size_t bytes;
};

/* A part of the stack: a page with its entries behind this head, or the first entries. */
struct mark_segment {
    struct mark_segment *below; /* older work */
    struct mark_segment *above; /* kept for when the stack grows again */
    struct mark_work *work;
    size_t room; /* entries */
};

struct marker {
    struct mark_totals totals;

    /* The stack: full segments below `top`, and work[0 .. top_used) of it. */
    struct mark_segment *top;
    size_t top_used;
    size_t pages_left; /* that it may still take */

    /* The queue: ahead_used pieces from ahead[ahead_first] on, around the end. */
    struct mark_work ahead[MARK_AHEAD];
    unsigned ahead_first;
    unsigned ahead_used;

    /* Marked objects that were not pushed: their addresses are in [missed_lo, missed_hi]. */
    uintptr_t missed_lo;
    uintptr_t missed_hi;

    struct mark_segment first;
    struct mark_work first_work[MARK_FIRST_ENTRIES];
};

static struct marker mark_marker;
static size_t mark_stack_pages = SIZE_MAX;

void mark_set_stack_pages(size_t pages)
{
    atomic_store_relaxed(&mark_stack_pages, pages); /* a figure */
}

/* ---- the stack ---- */

static struct mark_segment *mark_segment_new(struct marker *m)
{
    if (m->pages_left == 0)
        return NULL;
    struct mark_segment *segment = walk_pages_alloc(MARK_SEGMENT_BYTES);
    if (segment == NULL)
        return NULL;
    m->pages_left--;
    segment->below = m->top;
    segment->above = NULL;
    segment->work = (struct mark_work *)(segment + 1);
    segment->room = (MARK_SEGMENT_BYTES - sizeof(*segment)) / sizeof(struct mark_work);
    return segment;
}

/* Makes room in a stack whose top segment is full. */
static bool mark_grow(struct marker *m)
{
    if (m->top->above == NULL)
        m->top->above = mark_segment_new(m);
    if (m->top->above == NULL)
        return false;
    m->top = m->top->above;
    m->top_used = 0;
    return true;
}

/* The object at `at` is marked, and it has to be found again. */
static void mark_miss(struct marker *m, uintptr_t at)
{
    if (at < m->missed_lo)
        m->missed_lo = at;
    if (at > m->missed_hi)
        m->missed_hi = at;
}

static inline void mark_push(struct marker *m, uintptr_t at, size_t bytes)
{
    if (BH_UNLIKELY(m->top_used == m->top->room) && !mark_grow(m)) {
        mark_miss(m, at);
        return;
    }
    m->top->work[m->top_used++] = (struct mark_work){at, bytes};
}

/* Takes the newest piece, or the first part of it; the rest stays where it is. */
static inline bool mark_pop(struct marker *m, struct mark_work *work)
{
    if (m->top_used == 0) {
        if (m->top->below == NULL)
            return false;
        m->top = m->top->below;
        m->top_used = m->top->room;
    }
    struct mark_work *newest = &m->top->work[m->top_used - 1];
    *work = *newest;
    if (BH_LIKELY(work->bytes <= MARK_PART_BYTES)) {
        m->top_used--;
        return true;
    }
    work->bytes = MARK_PART_BYTES;
    newest->at += MARK_PART_BYTES;
    newest->bytes -= MARK_PART_BYTES;
    return true;
}

/* ---- scanning ---- */

static inline void mark_word(struct marker *m, uintptr_t word)
{
    struct walk_object object;
    if (!walk_find(word, &object) || !walk_mark(&object))
        return;
    m->totals.live_bytes += span_object_bytes(object.span);
    m->totals.live_objects++;
    if (object.span->kind == KIND_SCAN)
        mark_push(m, object.base, span_object_bytes(object.span));
}

/* Volatile: roots are memory of any type, and a parked core may write its own meanwhile. */
ROOTS_RAW_READS static void mark_scan(struct marker *m, struct mark_work work)
{
    const volatile uintptr_t *word = (const volatile uintptr_t *)work.at;
    const volatile uintptr_t *end = word + work.bytes / sizeof(*word);
    m->totals.scanned_bytes += work.bytes;
    while (word < end)
        mark_word(m, *word++);
}

static void mark_look_ahead(struct marker *m, struct mark_work work)
{
    __builtin_prefetch((const void *)work.at);
    m->ahead[(m->ahead_first + m->ahead_used++) % MARK_AHEAD] = work;
}

/* Until stack and queue are empty. */
static void mark_drain(struct marker *m)
{
    struct mark_work work;
    for (;;) {
        while (m->ahead_used < MARK_AHEAD && mark_pop(m, &work))
            mark_look_ahead(m, work);
        if (m->ahead_used == 0)
            return;
        work = m->ahead[m->ahead_first];
        m->ahead_first = (m->ahead_first + 1) % MARK_AHEAD;
        m->ahead_used--;
        mark_scan(m, work);
    }
}

/* ---- roots ---- */

static void mark_root(enum roots_kind kind, uintptr_t lo, uintptr_t hi, void *arg)
{
    struct marker *m = arg;
    m->totals.root_bytes[kind] += hi - lo;
    mark_push(m, lo, hi - lo); /* the stack is empty: it fits */
    mark_drain(m);
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
    if (object->span->kind != KIND_SCAN || !walk_is_marked(object))
        return;
    mark_push(round->marker, object->base, span_object_bytes(object->span)); /* empty: it fits */
    mark_drain(round->marker);
}

static void mark_missed(struct marker *m)
{
    m->pages_left = 0; /* walk_each_object() wants the heap's runs to stay as they are */
    while (m->missed_lo <= m->missed_hi) {
        struct mark_round round = {m, m->missed_lo, m->missed_hi};
        m->missed_lo = UINTPTR_MAX;
        m->missed_hi = 0;
        m->totals.overflows++;
        walk_each_object(mark_again, &round);
    }
}

/* ---- a whole mark ---- */

static size_t mark_most_pages(void)
{
    size_t share = walk_region_bytes() / PAGE_BYTES / MARK_STACK_SHARE;
    size_t most = atomic_load_relaxed(&mark_stack_pages); /* a figure */
    return most < share ? most : share;
}

static void mark_begin(struct marker *m)
{
    m->first.work = m->first_work;
    m->first.room = MARK_FIRST_ENTRIES;
    m->top = &m->first;
    m->pages_left = mark_most_pages();
    m->missed_lo = UINTPTR_MAX;
}

/* Gives the pages back, and clears what is in .bss: as roots, old entries would keep garbage. */
static void mark_end(struct marker *m)
{
    BH_ASSERT(m->top == &m->first && m->top_used == 0 && m->ahead_used == 0);
    struct mark_segment *above;
    for (struct mark_segment *segment = m->first.above; segment != NULL; segment = above) {
        above = segment->above;
        walk_pages_free(segment);
    }
    memset(m, 0, sizeof(*m));
}

void mark_all(struct mark_totals *totals)
{
    struct marker *m = &mark_marker;
    mark_begin(m);
    roots_each(mark_root, m);
    mark_missed(m);
    *totals = m->totals;
    mark_end(m);
}
