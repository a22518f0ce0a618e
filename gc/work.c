/* SPDX-License-Identifier: MIT */
/*
 * Queues of pieces to scan, stealing, and the end of a mark.
 *
 * 1. Each worker has a queue of its own, which no other core touches: pushing and popping are plain
 *    stores and loads. First in, first out, because a span collects more grey objects while it
 *    waits. A span is in one queue at most (but for 4), so all of them together are no longer than
 *    the heap has spans, and roots.
 * 2. When its shelf is empty, a worker with two pieces or more puts the older half there, up to
 *    WORK_SHELF_PIECES; of a single long piece, the second half. As long as nobody steals that is
 *    done once.
 * 3. A worker without pieces takes back its shelf; when that is empty it looks over the ring and
 *    takes half of the first shelf that has something. It waits between two looks.
 * 4. The queue grows by pages of the page heap up to a limit for all together. If there are none
 *    left, a span keeps its flag (marker.c) but is in no queue, and this is noted: then the
 *    initiator looks for such spans, and may queue some a second time [GC-6].
 *
 * The end. work_active counts the workers that are active. Three rules:
 *   a. Only an active worker has pieces in its queue or on its shelf, or puts any there.
 *   b. A thief becomes active before it takes, and again inactive if it got nothing.
 *   c. A worker retires after its queue and then its shelf were seen empty, and its edges judged.
 * If work_active is 0, there is no piece anywhere, and none will come: Suppose there is one, in a
 * queue or on a shelf; its worker is active by a, so counted, unless it has retired; it has
 * not by c, unless a thief has taken the piece from the shelf since, which by b was counted
 * first. In terms of orders: the thief's addition comes before its store of shelf_used (release),
 * which the owner loads (acquire) before its subtraction: so in the one order that all changes of
 * work_active have, the addition is the earlier, and the number does not touch 0 in between. Who
 * then loads 0 by acquire sees all that any worker did, for each change is a release, and a chain
 * of read-modify-writes passes it on. A thief that comes too late and makes it 1 again for a moment
 * finds nothing. models/mark.pml is this as a model; taking out b or c makes it fail.
 *
 * Who may take part: work_gate is one word, open or not and the number of those inside. To enter is
 * a compare-and-swap of the whole word, so nobody is inside unseen when work_close() has taken the
 * open bit away and waits for the others: they leave when nobody is active. A core that never came
 * is not waited for.
 *
 * Lock: a worker's `lock` (LOCK_GC) protects its shelf. It is held for some copying, with
 * interrupts off, by cores that stand still for a stop, and no other is taken inside.
 * Not here: what a piece means, how it is scanned (marker.c).
 */
#include "gc/work.h"
#include "kernel-lib/check.h"
#include "kernel-lib/memory.h"
#include <bareheap/port.h>

#define WORK_SEGMENT_BYTES PAGE_BYTES
#define WORK_OPEN          ((uint32_t)1 << 31)

/* Looks at the others' shelves or at a number, before the port is told that we wait. */
#define WORK_LOOKS 64

static uint32_t work_active __attribute__((aligned(2 * ARCH_CACHE_LINE)));
static uint32_t work_gate __attribute__((aligned(2 * ARCH_CACHE_LINE)));
static uint32_t work_most; /* that may be inside; constant while the gate is open */
static size_t work_pages_left;

/* ---- the queue ---- */

/* One of the pages that all may take. */
static bool work_take_page(void)
{
    /* Relaxed: a count of nothing but itself. */
    size_t left = atomic_load_relaxed(&work_pages_left);
    while (left != 0) {
        if (atomic_cas_acquire(&work_pages_left, &left, left - 1))
            return true;
    }
    return false;
}

static struct work_segment *work_segment_new(void)
{
    if (!work_take_page())
        return NULL;
    struct work_segment *segment = walk_pages_alloc(WORK_SEGMENT_BYTES);
    if (segment == NULL)
        return NULL;
    segment->pieces = (struct work_piece *)(segment + 1);
    segment->room = (WORK_SEGMENT_BYTES - sizeof(*segment)) / sizeof(struct work_piece);
    return segment;
}

bool work_grow(struct worker *w)
{
    struct work_segment *segment = w->spare;
    if (segment != NULL)
        w->spare = segment->next;
    else
        segment = work_segment_new();
    if (segment == NULL)
        return false;
    segment->next = NULL;
    w->tail->next = segment;
    w->tail = segment;
    w->tail_used = 0;
    return true;
}

/* The oldest piece; NULL when there is none: then the queue begins anew. */
static struct work_piece *work_oldest(struct worker *w)
{
    if (w->head != w->tail && w->head_at == w->head->room) {
        struct work_segment *done = w->head;
        w->head = done->next;
        w->head_at = 0;
        done->next = w->spare;
        w->spare = done;
    }
    if (w->head == w->tail && w->head_at == w->tail_used) {
        w->head_at = w->tail_used = 0;
        return NULL;
    }
    return &w->head->pieces[w->head_at];
}

/* Cuts `bytes` off the beginning of a piece. */
static struct work_piece work_cut(struct work_piece *piece, size_t bytes)
{
    struct work_piece cut = {piece->at, (piece->what & ~WORK_BYTES) | bytes};
    piece->at += bytes;
    piece->what = (piece->what - bytes) | WORK_REST;
    return cut;
}

bool work_pop(struct worker *w, struct work_piece *piece)
{
    struct work_piece *oldest = work_oldest(w);
    if (oldest == NULL)
        return false;
    if (BH_UNLIKELY(work_bytes(*oldest) > WORK_PART_BYTES)) {
        *piece = work_cut(oldest, WORK_PART_BYTES);
        return true;
    }
    *piece = *oldest;
    w->head_at++;
    return true;
}

/* ---- shelves ---- */

static void work_set_shelf(struct worker *w, uint32_t used)
{
    /* Release: pairs with work_unshelve(), see the head of the file. */
    atomic_store_release(&w->shelf_used, used);
}

/* Half of the pieces in the oldest segment. With the lock. */
static void work_share_half(struct worker *w, size_t count)
{
    size_t half = count / 2 < WORK_SHELF_PIECES ? count / 2 : WORK_SHELF_PIECES;
    for (size_t i = 0; i < half; i++)
        w->shelf[i] = w->head->pieces[w->head_at++];
    work_set_shelf(w, (uint32_t)half);
}

/* The second half of a long piece, the only one in the oldest segment. With the lock. */
static void work_share_end(struct worker *w, struct work_piece *piece)
{
    size_t parts = work_bytes(*piece) / WORK_PART_BYTES;
    struct work_piece kept = work_cut(piece, parts / 2 * WORK_PART_BYTES);
    w->shelf[0] = *piece;
    *piece = kept;
    work_set_shelf(w, 1);
}

void work_share_slow(struct worker *w)
{
    struct work_piece *oldest = work_oldest(w);
    if (oldest == NULL)
        return;
    size_t count = (w->head == w->tail ? w->tail_used : w->head->room) - w->head_at;
    bool is_long = work_bytes(*oldest) >= 2 * WORK_PART_BYTES;
    if (count < 2 && !is_long)
        return;
    uintptr_t irq = spinlock_acquire(&w->lock);
    if (count >= 2)
        work_share_half(w, count);
    else
        work_share_end(w, oldest);
    spinlock_release(&w->lock, irq);
}

BH_STATIC_ASSERT(WORK_FIRST_PIECES >= WORK_SHELF_PIECES, "an empty queue has room for a shelf");

/* Moves the last `count` pieces of a shelf to a queue that is empty and at its beginning. */
static void work_move(struct worker *to, struct worker *from, uint32_t count)
{
    uint32_t used = from->shelf_used;
    while (count-- > 0) {
        struct work_piece piece = from->shelf[--used];
        to->tail->pieces[to->tail_used++] = piece;
    }
    work_set_shelf(from, used);
}

bool work_unshelve(struct worker *w)
{
    BH_ASSERT(w->tail_used == 0);
    /* Acquire: pairs with work_set_shelf() of the thief that took the last. */
    if (atomic_load_acquire(&w->shelf_used) == 0)
        return false;
    uintptr_t irq = spinlock_acquire(&w->lock);
    uint32_t used = w->shelf_used;
    work_move(w, w, used);
    spinlock_release(&w->lock, irq);
    return used != 0;
}

/* Half of what is on the shelf, or the last piece. */
static bool work_rob(struct worker *w, struct worker *victim)
{
    uintptr_t irq = spinlock_acquire(&victim->lock);
    uint32_t count = (victim->shelf_used + 1) / 2;
    work_move(w, victim, count);
    spinlock_release(&victim->lock, irq);
    w->steals += count;
    return count != 0;
}

/* ---- the end ---- */

void work_retire(void)
{
    (void)atomic_add_acq_rel(&work_active, (uint32_t)-1); /* see the head of the file */
}

static bool work_look_around(struct worker *w)
{
    for (struct worker *victim = w->next; victim != w; victim = victim->next) {
        /* Relaxed: a hint. The lock decides. */
        if (atomic_load_relaxed(&victim->shelf_used) == 0)
            continue;
        (void)atomic_add_acq_rel(&work_active, 1); /* before it takes: see the head of the file */
        if (work_rob(w, victim))
            return true;
        work_retire();
    }
    return false;
}

bool work_steal(struct worker *w)
{
    for (unsigned round = 0;; round++) {
        if (work_look_around(w))
            return true;
        /* Acquire: pairs with work_retire() of every worker. */
        if (atomic_load_acquire(&work_active) == 0)
            return false;
        work_wait(round);
    }
}

/* A core that waits for long must not take the processor from one that works: under a
 * hypervisor, or where threads play the cores, there may be fewer processors than cores. */
void work_wait(unsigned round)
{
    arch_pause();
    if (round >= WORK_LOOKS)
        bh_port_wait(round - WORK_LOOKS);
}

/* ---- who takes part ---- */

bool work_enter(void)
{
    /* Acquire: pairs with work_open(); work_most is this gate's. */
    uint32_t gate = atomic_load_acquire(&work_gate);
    while ((gate & WORK_OPEN) && (gate & ~WORK_OPEN) < atomic_load_relaxed(&work_most)) {
        /* Acquire, also when it fails: pairs with work_open(); ring and workers are seen. */
        if (atomic_cas_acq_rel(&work_gate, &gate, gate + 1))
            return true;
    }
    return false;
}

void work_leave(void)
{
    /* Release: pairs with work_close(). */
    (void)atomic_add_acq_rel(&work_gate, (uint32_t)-1);
}

void work_open(unsigned most)
{
    /* Relaxed: ordered by the release below. */
    atomic_store_relaxed(&work_most, most);
    atomic_store_release(&work_gate, WORK_OPEN); /* pairs with work_enter() */
}

void work_close(void)
{
    (void)atomic_and_release(&work_gate,
                             ~WORK_OPEN); /* nobody relies on it: a closed gate is one */
    /* Acquire: pairs with work_leave(). What those inside did is seen, and it was their last. */
    for (unsigned round = 0; atomic_load_acquire(&work_gate) != 0; round++)
        work_wait(round);
}

/* ---- a mark ---- */

static void work_init(struct worker *w)
{
    spinlock_init(&w->lock, LOCK_GC, "gc work");
    w->first.pieces = w->first_pieces;
    w->first.room = WORK_FIRST_PIECES;
    w->head = w->tail = &w->first;
}

void work_begin(struct worker *initiator, size_t pages)
{
    work_init(initiator);
    initiator->next = initiator;
    /* Relaxed: nobody else takes part yet. */
    atomic_store_relaxed(&work_pages_left, pages);
    atomic_store_relaxed(&work_active, 1);
}

void work_add(struct worker *initiator, struct worker *worker)
{
    work_init(worker);
    worker->next = initiator->next;
    initiator->next = worker;
}

void work_stop_growing(void)
{
    atomic_store_relaxed(&work_pages_left, 0); /* nobody is active */
}

bool work_take_missed(struct worker *initiator)
{
    bool missed = false;
    struct worker *w = initiator;
    do {
        missed |= w->missed;
        w->missed = false;
        w = w->next;
    } while (w != initiator);
    if (missed)
        (void)atomic_add_acq_rel(&work_active, 1); /* nobody was: those who looked have left */
    return missed;
}

static void work_free(const struct worker *w, struct work_segment *segment)
{
    while (segment != NULL) {
        struct work_segment *next = segment->next;
        if (segment != &w->first)
            walk_pages_free(segment);
        segment = next;
    }
}

void work_end(struct worker *w)
{
    BH_ASSERT(w->head == w->tail && w->tail_used == 0 && w->shelf_used == 0);
    work_free(w, w->head);
    work_free(w, w->spare);
    memset(w, 0, sizeof(*w));
}
