/* SPDX-License-Identifier: MIT */
/* Handing free pages to the kernel. The design is in scavenge.h. */
#include "alloc/scavenge.h"
#include "alloc/drain.h"
#include "alloc/page_heap.h"
#include "alloc/types.h"
#include "arch/arch.h"
#include <bareheap/alloc.h>

#define PIECE_PAGES   128  /* handed over at a time */
#define LOOK_PAGES    4096 /* class bytes looked at under the lock at a time */
#define STEP_LOOKS    4    /* looks, with or without a piece, in one bh_scavenge() */
#define DEFERRED_MOST 64
#define RETAINED_PART 10 /* of the pages in use, one in so many stays with us on top */
#define PACE          99 /* rest this many times as long as a step took: 1 % of the time */

#define DELAY_DEFAULT_NS 300000000000u /* five minutes */
#define WAIT_MIN_NS      1000000u      /* between two steps, and for a core that came second */
#define WAIT_EAGER_NS    1000000000u   /* looks for what was freed with interrupts off */

/*
 * How far a walk has come: in the run (pages, base) the pages [0, at) are still to be seen. It
 * takes pages with the class byte `take`, or all that are not released, and puts `mark` on
 * PAGE_FREE ones.
 */
struct walk {
    size_t pages;
    uintptr_t base;
    size_t at;
    uint8_t take; /* or TAKE_ALL, TAKE_NONE */
    uint8_t mark; /* PAGE_FREE: none */
};

#define TAKE_ALL  PAGE_FREE         /* whatever is not released */
#define TAKE_NONE PAGE_MANUAL_LARGE /* no free page has that */

static BH_COLD struct walk walk_begin(uint8_t take, uint8_t mark)
{
    return (struct walk){.pages = SIZE_MAX, .base = 0, .at = 0, .take = take, .mark = mark};
}

/* ---- pieces, under the lock ---- */

static BH_COLD uint8_t *class_bytes(const struct bh_span *run)
{
    return &pagemap_current->class_of[(run->base >> PAGE_SHIFT) - pagemap_current->first_page];
}

/* The run to go on with; NULL when all have been seen. */
static BH_COLD struct bh_span *walk_run(struct walk *walk)
{
    uintptr_t before = walk->at ? walk->base + 1 : walk->base;
    struct bh_span *run = run_tree_before(&page_heap.free_runs, walk->pages, before);
    if (run && (run->pages != walk->pages || run->base != walk->base)) {
        walk->pages = run->pages;
        walk->base = run->base;
        walk->at = run->pages;
    }
    return run;
}

static BH_COLD bool walk_takes(const struct walk *walk, uint8_t class_byte)
{
    return walk->take == TAKE_ALL ? class_byte != PAGE_RELEASED : class_byte == walk->take;
}

/* Pages that may be handed over at once. Gradual release keeps some. */
static BH_COLD size_t piece_most(const struct walk *walk)
{
    size_t held = page_heap.free_pages - page_heap_unbacked_pages_locked();
    size_t kept = walk->take == TAKE_ALL ? 0 : page_heap_used_pages_locked() / RETAINED_PART;
    size_t most = held > kept ? held - kept : 0;
    return most < PIECE_PAGES ? most : PIECE_PAGES;
}

/* Steps over what was never touched and has no memory behind it: a region may be nearly all of
 * that, and a look at its pages would touch the page map. */
static BH_COLD void walk_skip_virgin(struct walk *walk, const struct bh_span *run)
{
    uintptr_t end = run->base + ((uintptr_t)walk->at << PAGE_SHIFT);
    if (!page_heap.fresh_virgin || end <= page_heap.fresh_from || run->base >= page_heap.fresh_end)
        return;
    walk->at =
        page_heap.fresh_from > run->base ? (page_heap.fresh_from - run->base) >> PAGE_SHIFT : 0;
}

/* Goes down to pages that are to be taken and to where they begin, marking what it passes; returns
 * how many they are. */
static BH_COLD size_t walk_down(struct walk *walk, struct bh_span *run)
{
    uint8_t *class_of = class_bytes(run);
    size_t most = piece_most(walk);
    size_t n = 0;
    walk_skip_virgin(walk, run);
    if (most == 0)
        walk->take = TAKE_NONE; /* the rest is kept, but gets its marks */
    for (size_t looks = 0; walk->at > 0 && looks < LOOK_PAGES; looks++) {
        uint8_t *byte = &class_of[walk->at - 1];
        bool takes = walk_takes(walk, *byte);
        if (takes ? n == most : n > 0)
            break;
        n += takes;
        walk->at--;
        if (*byte == PAGE_FREE && !takes) {
            atomic_store_relaxed(byte, walk->mark); /* another way of saying free */
            run->flags |= RUN_MARKED;
        }
    }
    return n;
}

/* Takes the next piece that is to be handed over; false when all have been seen. *piece is NULL
 * when this look found none. */
static BH_COLD bool piece_take(struct walk *walk, struct bh_span **piece)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    struct bh_span *run = walk_run(walk);
    *piece = NULL;
    size_t pages = run ? walk_down(walk, run) : 0;
    if (pages)
        *piece = page_heap_cut_locked(run, walk->at, pages);
    spinlock_release(&page_heap.lock, irq);
    return run;
}

/* ---- handing over, with no lock held ---- */

static BH_COLD void put_back(struct bh_span *run)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    uint8_t *class_of = class_bytes(run);
    for (size_t i = 0; i < run->pages; i++)
        atomic_store_relaxed(&class_of[i], PAGE_RELEASED); /* another way of saying free */
    page_heap.released_pages += run->pages;
    run->flags |= RUN_MARKED;
    page_heap_join_locked(run);
    spinlock_release(&page_heap.lock, irq);
}

static BH_COLD size_t hand_over(struct bh_span *run)
{
    size_t bytes = (size_t)run->pages << PAGE_SHIFT;
    bh_port_pages_released((void *)run->base, bytes); /* NOLINT: an address becomes memory */
    put_back(run);
    return bytes;
}

BH_COLD size_t scavenge_all(void)
{
    struct walk walk = walk_begin(TAKE_ALL, PAGE_FREE);
    struct bh_span *piece;
    size_t bytes = 0;
    page_heap_hand_over();
    while (piece_take(&walk, &piece))
        if (piece)
            bytes += hand_over(piece);
    return bytes;
}

/* ---- eager release ---- */

/* Settings, each by itself: read and written without a lock. */
static uint32_t release_mode = BH_RELEASE_GRADUAL;
static uint64_t delay_ns = DELAY_DEFAULT_NS;

/* Under the lock: the run goes out of sight, neither free nor in the page map. */
static BH_COLD bool defer(struct bh_span *run)
{
    if (atomic_load_relaxed(&release_mode) != BH_RELEASE_EAGER ||
        page_heap.deferred_runs == DEFERRED_MOST)
        return false;
    span_set_state(run, SPAN_PRIVATE);
    run->tree.left = page_heap.deferred;
    atomic_store_relaxed(&page_heap.deferred, run);
    page_heap.deferred_runs++;
    return true;
}

/* Under the lock: a deferred run, or NULL. */
static BH_COLD struct bh_span *deferred_pop(void)
{
    struct bh_span *run = page_heap.deferred;
    if (!run)
        return NULL;
    atomic_store_relaxed(&page_heap.deferred, run->tree.left);
    page_heap.deferred_runs--;
    return run;
}

static BH_COLD bool undefer(void)
{
    struct bh_span *run;
    bool any = page_heap.deferred;
    while ((run = deferred_pop()))
        page_heap_join_locked(run);
    return any;
}

/* What is to be handed over next: the end of a deferred run, if it is a long one. */
static BH_COLD struct bh_span *deferred_take(void)
{
    /* Relaxed: what a look misses now, the next one finds. */
    if (!atomic_load_relaxed(&page_heap.deferred))
        return NULL;
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    struct bh_span *run = page_heap.deferred;
    if (run && run->pages > LOOK_PAGES)
        run = page_heap_split_locked(run, run->pages - LOOK_PAGES);
    else
        run = deferred_pop();
    spinlock_release(&page_heap.lock, irq);
    return run;
}

static BH_COLD void hand_over_deferred(void)
{
    struct bh_span *run;
    while (arch_irq_enabled() && (run = deferred_take()))
        hand_over(run);
}

static BH_COLD void verify_deferred(void)
{
    size_t runs = 0;
    for (const struct bh_span *run = page_heap.deferred; run; run = run->tree.left, runs++)
        BH_CHECK(run->state == SPAN_PRIVATE, "[ALLOC-13] deferred run 0x%zx is in use",
                 (size_t)run->base);
    BH_CHECK(runs == page_heap.deferred_runs, "[ALLOC-13] %zu deferred runs, but %zu counted", runs,
             page_heap.deferred_runs);
}

static const struct page_heap_eager eager_functions = {
    .defer = defer,
    .undefer = undefer,
    .hand_over = hand_over_deferred,
    .verify = verify_deferred,
};

BH_COLD void bh_set_release(enum bh_release mode)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    atomic_store_relaxed(&release_mode, (uint32_t)mode);
    if (mode == BH_RELEASE_EAGER)
        atomic_store_relaxed(&page_heap_eager, &eager_functions); /* see there */
    else
        undefer();
    spinlock_release(&page_heap.lock, irq);
}

BH_COLD void bh_set_release_delay(uint64_t ns)
{
    atomic_store_relaxed(&delay_ns, ns);
}

/* ---- gradual release ---- */

/* Who holds `busy` has the rest. */
static struct {
    uint32_t busy;
    bool under_way;   /* a pass is; else the next one begins at due_ns */
    uint8_t mark;     /* what this pass leaves, or the last one left */
    uint64_t due_ns;  /* of bh_port_now_ns() */
    struct walk walk; /* of this pass */
} passes = {.mark = PAGE_IDLE};

/* A pass begins: it takes what has the mark of the one before, and leaves the other. */
static BH_COLD void pass_begin(void)
{
    uint8_t before = passes.mark;
    passes.mark = before == PAGE_IDLE ? PAGE_IDLE_LAST : PAGE_IDLE;
    passes.walk = walk_begin(before, passes.mark);
    passes.under_way = true;
}

/* A few looks of the pass that is under way; false when it has come to its end. */
static BH_COLD bool pass_go_on(void)
{
    struct bh_span *piece;
    for (unsigned i = 0; i < STEP_LOOKS; i++) {
        if (!piece_take(&passes.walk, &piece))
            return false;
        if (piece)
            hand_over(piece);
    }
    return true;
}

static BH_COLD uint64_t shorter(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

/* The looks of a pass that is under way or due now; returns how long until there is more to do. */
static BH_COLD uint64_t pass_step(void)
{
    if (!passes.under_way)
        pass_begin();
    passes.under_way = pass_go_on();
    uint64_t end_ns = bh_port_now_ns();
    uint64_t pause_ns = atomic_load_relaxed(&delay_ns);
    passes.due_ns = end_ns + pause_ns < end_ns ? UINT64_MAX : end_ns + pause_ns;
    return passes.under_way || pause_ns < WAIT_MIN_NS ? WAIT_MIN_NS : pause_ns;
}

/* The pace comes before the next look after caches: it holds for both. */
static BH_COLD uint64_t gradual_step(void)
{
    uint64_t start_ns = bh_port_now_ns();
    uint64_t look_ns = drain_idle(start_ns);
    if (!passes.under_way && start_ns < passes.due_ns)
        return shorter(passes.due_ns - start_ns, look_ns);
    uint64_t pause_ns = shorter(pass_step(), look_ns);
    uint64_t end_ns = bh_port_now_ns();
    uint64_t rest_ns = end_ns > start_ns ? PACE * (end_ns - start_ns) : 0;
    return rest_ns > pause_ns ? rest_ns : pause_ns;
}

/* What idle cores had cached may end in pages that are handed over at once. */
static BH_COLD uint64_t eager_step(void)
{
    uint64_t look_ns = drain_idle(bh_port_now_ns());
    hand_over_deferred();
    return shorter(look_ns, WAIT_EAGER_NS);
}

BH_COLD uint64_t bh_scavenge(void)
{
    uint32_t mode = atomic_load_relaxed(&release_mode);
    if (mode == BH_RELEASE_NEVER)
        return UINT64_MAX;
    /* Acquire: pairs with the release below. Two cores do not step at once: the pace is for all. */
    if (!arch_irq_enabled() || atomic_exchange_acquire(&passes.busy, 1))
        return WAIT_MIN_NS;
    uint64_t wait_ns = mode == BH_RELEASE_EAGER ? eager_step() : gradual_step();
    atomic_store_release(&passes.busy, 0); /* pairs with the exchange above */
    return wait_ns;
}
