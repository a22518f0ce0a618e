/* SPDX-License-Identifier: MIT */
/*
 * A marker: small objects by span, so that memory is read in order of addresses, as far as there is
 * any, and what is read at random is bitmaps only ("Green Tea", M. Knyszek et al., Go 1.25, 2025).
 *
 * 1. A word that leads to a white object makes it grey: its mark bit is set, and its span is queued
 *    unless it is in somebody's queue. Objects are in no queue.
 * 2. A span that comes out of its queue is visited: its grey objects become black and are scanned,
 *    in order. What they refer to in the same span is looked at in this visit too, until nothing is
 *    left: in a list or a tree that was made in one go that is most of it.
 * 3. The longer a span waits, the more of its objects are grey: hence first in, first out. But
 *    if its marks were changed only once, the visit begins and mostly ends with that word.
 * 4. Bits to be set in the same word of marks in this span are gathered (`pending`) and set at
 *    once: with several markers, by one atomic operation.
 * 5. A word that points out of the span takes this way, at each stop of which something is fetched
 *    for the next one, a good while before it is looked at (Cher, Hosking, Vitek: "Software
 *    prefetching for mark-sweep garbage collection", 2004):
 *      found, in a page of collected objects: an edge {word, span}. The record is fetched.
 *      aimed, MARKER_AIM edges later: the record says where the object's bits are, which are
 *      fetched.
 *      judged, MARKER_JUDGE edges after it was found: as in 1.
 * 6. Large objects and roots are scanned in parts of WORK_PART_BYTES, which others can take over.
 *    Which words of a typed object are scanned its layout says.
 *
 * Invariants, while marking: a grey object that can hold pointers is in a span that is queued
 * (RUN_QUEUED), or lies in a word that the visit of its span will look at (`look`), or is pending.
 * An object becomes black once, by the marker that scans it, though two markers may visit a span at
 * once: it can be queued again as soon as the visit has begun.
 *
 * No locks. Not here: which ranges are roots (roots.c), queues and how the end is found (work.c),
 * what the bits mean and how they are changed (alloc/walk.h).
 */
#include "gc/marker.h"
#include "kernel-lib/check.h"

/* ---- from words to grey objects ---- */

static void marker_count(struct marker *m, size_t objects, size_t object_bytes)
{
    m->totals.live_objects += objects;
    m->totals.live_bytes += objects * object_bytes;
}

static void marker_queue(struct marker *m, struct bh_span *span, size_t word)
{
    if (!walk_queue(span, m->alone) || work_push(&m->work, (uintptr_t)span, word, WORK_SPAN))
        return;
    /* As a whole: an older piece that names another word may be taken for its own (mark_again). */
    walk_queue_whole(span);
    m->work.missed = true;
}

/* ---- in the span that is being visited ---- */

static void marker_flush(struct marker *m)
{
    uint64_t pending = m->pending;
    if (pending == 0)
        return; /* the word may be another span's */
    m->pending = 0;
    if (walk_mark_word(m->span, &m->marks[m->pending_word], pending, m->alone) != 0)
        m->look |= (uint64_t)1 << m->pending_word;
}

static __attribute__((noinline)) void marker_pend(struct marker *m, uint32_t word, uint64_t bit)
{
    if (word != m->pending_word)
        marker_flush(m);
    m->pending_word = word;
    m->pending |= bit;
}

/* Number idx is reached, perhaps a free slot. Most are marked already. */
BH_INLINE void marker_reach_here(struct marker *m, uint32_t idx)
{
    uint64_t bit = (uint64_t)1 << (idx % 64);
    if (bit & ~bitmap_word(m->marks, idx / 64))
        marker_pend(m, idx / 64, bit);
}

/* ---- in other spans ---- */

/* White objects have become grey. */
static void marker_grey(struct marker *m, struct bh_span *span, const uint64_t *marks)
{
    size_t word = (size_t)(marks - span_mark_bits(span));
    if (span->kind < KIND_SCAN)
        marker_count(m, 1, span_object_bytes(span));
    else if (span == m->span) /* it was found before the visit began */
        m->look |= (uint64_t)1 << word;
    else
        marker_queue(m, span, word);
}

/* Relaxed: who reads an old word tries to set a bit in vain. */
BH_INLINE void marker_judge(struct marker *m, uint64_t number)
{
    const struct marker_edge *edge = &m->edges[number % MARKER_EDGES];
    uint64_t *marks = (uint64_t *)edge->at; /* NOLINT: an address becomes memory */
    if ((edge->bit & ~atomic_load_relaxed(marks)) == 0)
        return;
    if (walk_mark_word(edge->span, marks, edge->bit, m->alone) == 0)
        return;
    if (!walk_is_queued_whole(edge->span))
        marker_grey(m, edge->span, marks);
}

/* The tail behind the last object has no bit. */
BH_INLINE void marker_aim(struct marker *m, uint64_t number)
{
    struct marker_edge *edge = &m->edges[number % MARKER_EDGES];
    const struct bh_span *span = edge->span;
    uint32_t idx = walk_index(span, edge->at);
    bool inside = idx < span->objs;
    uint64_t *marks = &span_mark_bits(span)[inside ? idx / 64 : 0];
    walk_prefetch_words(span, marks);
    edge->bit = (uint64_t)inside << (idx % 64);
    edge->at = (uintptr_t)marks;
}

/* Edges from `from` on, but none that were settled. */
static uint64_t marker_unsettled(const struct marker *m, uint64_t last)
{
    return m->found - m->settled < last ? m->settled : m->found - last;
}

/* Aims and judges all edges there are. */
static void marker_settle(struct marker *m)
{
    for (uint64_t i = marker_unsettled(m, MARKER_AIM); i != m->found; i++)
        marker_aim(m, i);
    for (uint64_t i = marker_unsettled(m, MARKER_JUDGE); i != m->found; i++)
        marker_judge(m, i);
    m->settled = m->found;
}

static __attribute__((noinline)) void marker_find(struct marker *m, uintptr_t word)
{
    if (!walk_is_collected(word))
        return;
    uint64_t number = m->found++;
    struct marker_edge *edge = &m->edges[number % MARKER_EDGES];
    edge->at = word;
    edge->span = walk_span_at(word);
    walk_prefetch_span(edge->span);
    if (BH_UNLIKELY(number - m->settled < MARKER_JUDGE)) {
        if (number - m->settled >= MARKER_AIM)
            marker_aim(m, number - MARKER_AIM);
        return;
    }
    marker_aim(m, number - MARKER_AIM);
    marker_judge(m, number - MARKER_JUDGE);
}

BH_INLINE void marker_word(struct marker *m, uintptr_t word)
{
    uintptr_t offset = word - m->base;
    if (offset < m->bytes)
        marker_reach_here(m, (uint32_t)((offset * m->reciprocal) >> 32));
    else if (walk_is_near(word))
        marker_find(m, word);
}

/* ---- scanning ---- */

/* Much of what is scanned conservatively is zero. */
static void marker_scan_all(struct marker *m, uintptr_t at, size_t bytes)
{
    const size_t step = sizeof(uintptr_t);
    const uintptr_t end = at + bytes;
    for (; end - at >= 4 * step; at += 4 * step) {
        uintptr_t words[4] = {roots_word(at), roots_word(at + step), roots_word(at + 2 * step),
                              roots_word(at + 3 * step)};
        if ((words[0] | words[1] | words[2] | words[3]) == 0)
            continue;
        for (size_t i = 0; i < 4; i++)
            marker_word(m, words[i]);
    }
    for (; at < end; at += step)
        marker_word(m, roots_word(at));
}

/* The words in [at, at + 8 * bits of `pointers`) whose bits are set. */
BH_INLINE void marker_scan_set(struct marker *m, uintptr_t at, uint64_t pointers)
{
    for (; pointers != 0; pointers &= pointers - 1)
        marker_word(m, roots_word(at + bits_lowest(pointers) * sizeof(uintptr_t)));
}

/* As the layout says, whose word `first` is at `at`. */
static void marker_scan_layout(struct marker *m, uintptr_t at, size_t bytes,
                               const struct walk_layout *layout, size_t first)
{
    size_t left = bytes / sizeof(uintptr_t);
    while (left > 0 && first < layout->words) {
        size_t count = 64 - first % 64;
        count = count < layout->words - first ? count : layout->words - first;
        count = count < left ? count : left;
        uint64_t pointers = layout->pointers[first / 64] >> (first % 64);
        marker_scan_set(m, at, pointers & (UINT64_MAX >> (64 - count)));
        at += count * sizeof(uintptr_t);
        left -= count;
        first += count;
        if (first == layout->words && layout->repeats)
            first = 0;
    }
}

/* ---- stretches: roots and large objects ---- */

static void marker_scan_typed(struct marker *m, struct work_piece piece)
{
    const struct walk_layout *layout = walk_layouts[work_kind(piece) - KIND_TYPED];
    size_t first = 0;
    if (piece.what & WORK_REST) {
        first = (work_at(piece) - walk_span_of(work_at(piece))->base) / sizeof(uintptr_t);
        first = layout->repeats ? first % layout->words : first; /* once per part, not per object */
    }
    marker_scan_layout(m, work_at(piece), work_bytes(piece), layout, first);
}

static void marker_scan(struct marker *m, struct work_piece piece)
{
    m->totals.scanned_bytes += work_bytes(piece);
    if (work_kind(piece) == KIND_SCAN)
        marker_scan_all(m, work_at(piece), work_bytes(piece));
    else
        marker_scan_typed(m, piece);
}

/* Its parts are for anybody; without room for one more piece, for this core. */
static void marker_visit_large(struct marker *m, struct bh_span *span)
{
    size_t bytes = span_object_bytes(span);
    if (walk_claim_word(span, 0, m->alone) == 0)
        return;
    marker_count(m, 1, bytes);
    if (!work_push(&m->work, span->base, bytes, span->kind))
        marker_scan(
            m, (struct work_piece){span->base, (uint64_t)span->kind << WORK_KIND_SHIFT | bytes});
}

/* ---- spans of small objects ---- */

/* Takes the grey objects of a word of the marks, and fetches them; returns how many are listed. */
static size_t marker_list(struct marker *m, uint32_t word, size_t listed)
{
    uint64_t grey = walk_claim_word(m->span, word, m->alone);
    uintptr_t first = m->base + (uintptr_t)word * 64 * m->span->object_bytes;
    for (; grey != 0; grey &= grey - 1) {
        uintptr_t at = first + bits_lowest(grey) * (uintptr_t)m->span->object_bytes;
        __builtin_prefetch((const void *)at); /* NOLINT: an address becomes memory */
        m->listed[listed++] = at;
    }
    return listed;
}

static void marker_scan_listed(struct marker *m, size_t listed)
{
    size_t bytes = m->span->object_bytes;
    marker_count(m, listed, bytes);
    m->totals.scanned_bytes += listed * bytes;
    if (m->span->kind == KIND_SCAN) {
        for (size_t i = 0; i < listed; i++)
            marker_scan_all(m, m->listed[i], bytes);
        return;
    }
    const struct walk_layout *layout = walk_layout_of(m->span);
    uint64_t pointers = layout->pointers[0];
    if (layout->words <= 64 && !layout->repeats) {
        for (size_t i = 0; i < listed; i++)
            marker_scan_set(m, m->listed[i], pointers);
        return;
    }
    for (size_t i = 0; i < listed; i++)
        marker_scan_layout(m, m->listed[i], bytes, layout, 0);
}

/* Takes some of the words to look at, and scans what is grey there. */
static void marker_scan_some(struct marker *m)
{
    size_t listed = 0;
    for (; m->look != 0 && listed < MARKER_BATCH; m->look &= m->look - 1)
        listed = marker_list(m, bits_lowest(m->look), listed);
    marker_scan_listed(m, listed);
    marker_flush(m);
}

static void marker_visit_small(struct marker *m, struct bh_span *span, uint64_t look)
{
    m->span = span;
    m->base = span->base;
    m->bytes = (uintptr_t)span->objs * span->object_bytes;
    m->reciprocal = span->reciprocal;
    m->marks = span_mark_bits(span);
    m->look = look;
    while (m->look != 0)
        marker_scan_some(m);
    m->span = NULL;
    m->bytes = 0;
}

BH_STATIC_ASSERT(SIZE_CLASS_MAX_OBJS <= 64 * 64, "a bit for each word of a span's marks");

static uint64_t marker_all_words(const struct bh_span *span)
{
    return UINT64_MAX >> (64 - bitmap_words(span->objs));
}

static void marker_visit(struct marker *m, struct bh_span *span, uint32_t word)
{
    bool many = walk_unqueue(span, m->alone);
    if (span->size_class == 0)
        marker_visit_large(m, span);
    else
        marker_visit_small(m, span, many ? marker_all_words(span) : (uint64_t)1 << word);
}

/* ---- the queue ---- */

static void marker_piece(struct marker *m, struct work_piece piece)
{
    if (work_kind(piece) == WORK_SPAN)
        marker_visit(m, (struct bh_span *)work_at(piece), /* NOLINT: an address becomes memory */
                     (uint32_t)work_bytes(piece));
    else
        marker_scan(m, piece);
}

/* Edges are settled when there is nothing else to do: it may lead to more. */
void marker_drain(struct marker *m)
{
    struct work_piece piece;
    for (;;) {
        if (!work_pop(&m->work, &piece)) {
            marker_settle(m);
            if (!work_pop(&m->work, &piece))
                return;
        }
        marker_piece(m, piece);
        if (!m->alone)
            work_share(&m->work);
    }
}

void marker_push_surely(struct marker *m, uintptr_t at, size_t bytes, unsigned kind)
{
    if (work_push(&m->work, at, bytes, kind))
        return;
    marker_drain(m);
    bool pushed = work_push(&m->work, at, bytes, kind);
    BH_ASSERT(pushed);
}

void marker_push_missed(struct marker *m, struct bh_span *span)
{
    walk_queue_whole(span);
    marker_push_surely(m, (uintptr_t)span, 0, WORK_SPAN);
}
