/* SPDX-License-Identifier: MIT */
/* Guard pages. See guard.h. */
#include "alloc/guard.h"
#include "alloc/budget.h"
#include "alloc/harden.h"
#include "alloc/page_heap.h"
#include "alloc/span.h"
#include "kernel-lib/port_defaults.h"

static bool is_wanted(size_t pages)
{
    return pages << PAGE_SHIFT >= BH_GUARD_BYTES && port_has_guard();
}

static bool is_guarded(const struct bh_span *span)
{
    return span->flags & RUN_GUARDED;
}

static void *pages_of(const struct bh_span *run)
{
    return (void *)run->base; /* NOLINT: an address becomes memory */
}

static void guard_on(struct bh_span *run)
{
    run->flags |= RUN_GUARD;
    (void)bh_port_guard(pages_of(run), PAGE_BYTES, true); /* false: a gap that does not fault */
}

static void guard_off_and_free(struct bh_span *run)
{
    if (bh_port_guard(pages_of(run), PAGE_BYTES, false))
        page_heap_free(run);
}

/* ---- the guards of a span ---- */

/* The page before: a record per page, in one array, and it is of the same region. */
static struct bh_span *guard_before(struct bh_span *span)
{
    return span - 1;
}

static struct bh_span *guard_behind(struct bh_span *span)
{
    return span + span->pages;
}

/* Leaves the last of the first align_pages pages as the guard; what is before that goes back. */
static struct bh_span *part_guard_before(struct bh_span *run, size_t align_pages)
{
    struct bh_span *guard = run;
    if (align_pages > 1) {
        guard = page_heap_part(run, align_pages - 1);
        page_heap_free(run);
    }
    return page_heap_part(guard, 1);
}

static struct bh_span *alloc_guarded(size_t pages, size_t align_pages)
{
    if (pages > PTRDIFF_MAX >> PAGE_SHIFT || align_pages > PTRDIFF_MAX >> PAGE_SHIFT)
        return NULL; /* the sum must not wrap */
    struct bh_span *run = page_heap_alloc(align_pages + pages + 1, align_pages);
    if (!run)
        return NULL;
    struct bh_span *span = part_guard_before(run, align_pages);
    page_heap_part(span, pages);
    span_make_large(span, KIND_MANUAL);
    span->flags |= RUN_GUARDED;
    guard_on(guard_before(span));
    guard_on(guard_behind(span));
    return span;
}

/* Out of the page map, and nobody else's. */
static void free_guarded(struct bh_span *span)
{
    guard_off_and_free(guard_before(span));
    guard_off_and_free(guard_behind(span));
    page_heap_free(span);
}

/* ---- the stock, under the page heap's lock ---- */

#define STOCK_SPANS 32

/* The oldest first. */
static struct bh_span *stock[STOCK_SPANS];
static size_t stock_count;
static size_t stock_bytes; /* of the spans, guards not counted */

/* Relaxed: only the lock's holder changes it, and who looks without it wants a figure. */
static void stock_count_bytes(size_t more)
{
    atomic_store_relaxed(&stock_bytes, stock_bytes + more);
}

static struct bh_span *stock_remove(size_t i)
{
    struct bh_span *span = stock[i];
    stock_count--;
    for (; i < stock_count; i++)
        stock[i] = stock[i + 1];
    stock_count_bytes(-span_object_bytes(span));
    return span;
}

static struct bh_span *stock_find(size_t pages)
{
    for (size_t i = stock_count; i-- > 0;)
        if (stock[i]->pages == pages)
            return stock_remove(i);
    return NULL;
}

/* Makes room for `bytes` more; those that have to go for it are put into `out`. */
static void stock_make_room(size_t bytes, struct list *out)
{
    size_t most = budget_guard_bytes();
    while (stock_count > 0 && (stock_count == STOCK_SPANS || stock_bytes + bytes > most))
        list_push(out, &stock_remove(0)->link);
}

/* ---- the stock ---- */

static void free_list(struct list *spans)
{
    while (!list_is_empty(spans)) {
        struct bh_span *span = container_of(spans->next, struct bh_span, link);
        list_remove(&span->link);
        harden_check_head(span->base, span_object_bytes(span));
        free_guarded(span);
    }
}

static struct bh_span *stock_take(size_t pages)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    struct bh_span *span = stock_find(pages);
    spinlock_release(&page_heap.lock, irq);
    if (!span)
        return NULL;
    harden_check_head(span->base, span_object_bytes(span));
    span->flags &= (uint8_t)~RUN_ZEROED;
    return span;
}

static void stock_put(struct bh_span *span)
{
    struct list out;
    list_init(&out);
    harden_fill_head(span->base); /* before another core can take it */
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    stock_make_room(span_object_bytes(span), &out);
    stock[stock_count++] = span;
    stock_count_bytes(span_object_bytes(span));
    spinlock_release(&page_heap.lock, irq);
    free_list(&out);
}

void guard_drain(void)
{
    struct list out;
    list_init(&out);
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    while (stock_count > 0)
        list_push(&out, &stock_remove(0)->link);
    spinlock_release(&page_heap.lock, irq);
    free_list(&out);
}

size_t guard_stock_bytes(void)
{
    return atomic_load_relaxed(&stock_bytes); /* a statistic */
}

/* ---- interface ---- */

static struct bh_span *stocked_or_new(size_t pages, size_t align_pages)
{
    struct bh_span *span = align_pages == 1 ? stock_take(pages) : NULL;
    return span ? span : alloc_guarded(pages, align_pages);
}

struct bh_span *guard_alloc(size_t pages, size_t align_pages)
{
    struct bh_span *span = is_wanted(pages) ? stocked_or_new(pages, align_pages) : NULL;
    return span ? span : span_new_large(pages, align_pages, KIND_MANUAL);
}

void guard_free(struct bh_span *span)
{
    if (!is_guarded(span))
        page_heap_free(span);
    else if (span_object_bytes(span) > budget_guard_bytes() / 2)
        free_guarded(span); /* never empty the stock for one */
    else
        stock_put(span);
}

bool guard_resize(struct bh_span *span, size_t pages)
{
    if (!is_guarded(span))
        return page_heap_resize(span, pages);
    struct bh_span *behind = guard_behind(span);
    if (!bh_port_guard(pages_of(behind), PAGE_BYTES, false))
        return false;
    size_t old_pages = span->pages;
    page_heap_attach(span, behind);
    bool done = page_heap_resize(span, pages + 1);
    span->flags |= RUN_GUARDED; /* joined runs have what they have in common */
    guard_on(page_heap_part(span, done ? pages : old_pages));
    return done;
}
