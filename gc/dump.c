/* SPDX-License-Identifier: MIT */
/*
 * A picture of the heap in lines of text, for tools/heapmap and for people: bh_gc_dump().
 *
 * 1. All cores are stopped, and what the last cycle left is swept, so that what is shown as used
 *    is used. Nothing else changes, nothing is allocated.
 * 2. Every page of every region is in one line: a span, a free run, or the library's own pages.
 * 3. Then the graph: what each kind of root points to, and each collected object with the objects
 *    that it points to. Of these references and objects there are at most BH_GC_DUMP_ITEMS in a
 *    dump; how many objects have been left out is said.
 * 4. Without a function to write to, the text is kept in pages of the page heap and logged after
 *    the release: who stands still may hold the log's lock [GC-3]. A first stop measures how many.
 *
 * The format, gc/README.md: every line is "hd", a word and fields, so that it can be found among
 * other lines; numbers are decimal, addresses hexadecimal without 0x.
 *
 * No state, no locks. Not here: the stop (inspect.c), walking the pages (alloc/walk.c), the picture
 * (tools/heapmap).
 */
#include "alloc/walk.h"
#include "gc/inspect.h"
#include "gc/roots.h"
#include "kernel-lib/bits.h"
#include "kernel-lib/check.h"
#include "kernel-lib/memory.h"
#include "kernel-lib/print.h"
#include <bareheap/gc.h>
#include <bareheap/port.h>

#define DUMP_VERSION     1
#define DUMP_LINE_BYTES  256
#define DUMP_WRAP_BYTES  140 /* a list goes on in another line from here */
#define DUMP_KIND_BYTES  16
#define DUMP_STOPS       6 /* tries to keep a heap that grows meanwhile */
#define DUMP_SLACK_BYTES ((size_t)8 << 10)

/* What the lines so far add up to. */
struct dump_totals {
    size_t span_pages;
    size_t free_pages;
    size_t unbacked_pages;
    size_t own_pages;
    size_t manual_objs; /* not free in their spans: handed out or in caches */
    size_t manual_bytes;
    size_t collected_objs;
    size_t collected_bytes;
};

struct dump {
    void (*write)(const char *text, size_t bytes, void *arg);
    void *arg;
    size_t items_left; /* of BH_GC_DUMP_ITEMS */
    size_t objs_cut;
    uint64_t lines;
    uintptr_t region_base; /* that the last run was in */
    uintptr_t last_target; /* of the list under way; 0: none yet */
    struct dump_totals totals;
    size_t head_bytes; /* what a list repeats in each of its lines */
    size_t length;
    char line[DUMP_LINE_BYTES];
};

/* ---- lines ---- */

static __attribute__((format(printf, 2, 3))) void dump_add(struct dump *dump, const char *format,
                                                           ...)
{
    va_list args;
    va_start(args, format);
    size_t room = sizeof(dump->line) - dump->length;
    dump->length += print_format_va(dump->line + dump->length, room, format, args);
    va_end(args);
    BH_ASSERT(dump->length < sizeof(dump->line));
}

static void dump_end(struct dump *dump)
{
    dump->line[dump->length++] = '\n';
    dump->write(dump->line, dump->length, dump->arg);
    dump->lines++;
    dump->length = 0;
}

/* ---- lists of objects that are pointed to ---- */

/* The list's head is in the line. */
static void dump_list_begin(struct dump *dump)
{
    dump->head_bytes = dump->length;
    dump->last_target = 0;
}

/* The line is written if it says more than its head; an object without references is its head. */
static void dump_list_end(struct dump *dump, bool is_empty_shown)
{
    if (dump->length > dump->head_bytes || is_empty_shown)
        dump_end(dump);
    dump->length = 0;
}

/* Rows of equal words are common, and one of them says it all. */
static void dump_list_add(struct dump *dump, uintptr_t target)
{
    if (target == dump->last_target || dump->items_left == 0)
        return;
    dump->last_target = target;
    dump->items_left--;
    if (dump->length >= DUMP_WRAP_BYTES) {
        size_t head_bytes = dump->head_bytes;
        dump_end(dump); /* leaves the line's bytes where they are */
        dump->length = head_bytes;
    }
    dump_add(dump, " %lx", (unsigned long)target);
}

/* ---- words that point to objects ---- */

static void dump_word(struct dump *dump, uintptr_t word)
{
    struct walk_object found;
    if (walk_find(word, &found))
        dump_list_add(dump, found.base);
}

ROOTS_RAW_READS static void dump_words(struct dump *dump, uintptr_t lo, uintptr_t hi)
{
    const volatile uintptr_t *word = (const volatile uintptr_t *)lo;
    for (; (uintptr_t)word < hi && dump->items_left > 0; word++)
        dump_word(dump, *word);
}

ROOTS_RAW_READS static void dump_typed_words(struct dump *dump, const struct walk_layout *layout,
                                             uintptr_t lo, uintptr_t hi)
{
    const volatile uintptr_t *word = (const volatile uintptr_t *)lo;
    for (size_t at = 0; (uintptr_t)word < hi && dump->items_left > 0; word++, at++) {
        if (at == layout->words && !layout->repeats)
            return;
        if (at == layout->words)
            at = 0; /* the next element */
        if (bitmap_test(layout->pointers, at))
            dump_word(dump, *word);
    }
}

static void dump_references(struct dump *dump, const struct walk_object *object)
{
    const struct bh_span *span = object->span;
    uintptr_t end = object->base + bits_round_down(span_object_bytes(span), sizeof(uintptr_t));
    if (span->kind >= KIND_TYPED)
        dump_typed_words(dump, walk_layout_of(span), object->base, end);
    else if (span->kind == KIND_SCAN)
        dump_words(dump, object->base, end);
}

/* ---- the graph ---- */

static void dump_root(enum roots_kind kind, uintptr_t lo, uintptr_t hi, void *arg)
{
    static const char *const names[ROOTS_KINDS] = {
        [ROOTS_GLOBAL] = "global",
        [ROOTS_STACK] = "stack",
        [ROOTS_PIN] = "pin",
        [ROOTS_SERVICE] = "service",
    };
    struct dump *dump = arg;
    dump_add(dump, "hd roots %s", names[kind]);
    dump_list_begin(dump);
    dump_words(dump, lo, hi);
    dump_list_end(dump, false);
}

static void dump_object(const struct walk_object *object, void *arg)
{
    struct dump *dump = arg;
    if (dump->items_left == 0) {
        dump->objs_cut++;
        return;
    }
    dump->items_left--;
    dump_add(dump, "hd obj %lx", (unsigned long)object->base);
    dump_list_begin(dump);
    dump_references(dump, object);
    dump_list_end(dump, true);
}

/* ---- the pages ---- */

/* "typed3" is the fourth layout of typed objects. */
static const char *dump_kind(const struct bh_span *span, char *text)
{
    static const char *const names[] = {
        [KIND_MANUAL] = "manual", [KIND_NOSCAN] = "noscan", [KIND_SCAN] = "scan"};
    if (span->kind < KIND_TYPED)
        return names[span->kind];
    print_format(text, DUMP_KIND_BYTES, "typed%u", span->kind - KIND_TYPED);
    return text;
}

static void dump_count_object(const struct walk_object *object, void *arg)
{
    (void)object;
    ++*(size_t *)arg;
}

/* Objects of a span that are in use, and the totals. */
static size_t dump_count(struct dump *dump, struct bh_span *span)
{
    struct dump_totals *totals = &dump->totals;
    bool manual = span->kind == KIND_MANUAL;
    size_t objs = (size_t)span->objs - span->free_objs;
    if (span->size_class == 0 && manual)
        objs = 1; /* a large one has no bitmap and counts nothing */
    if (!manual) {
        objs = 0;
        walk_each_object_of(span, dump_count_object, &objs);
    }
    *(manual ? &totals->manual_objs : &totals->collected_objs) += objs;
    *(manual ? &totals->manual_bytes : &totals->collected_bytes) += objs * span_object_bytes(span);
    return objs;
}

static void dump_span(struct dump *dump, struct bh_span *span)
{
    char text[DUMP_KIND_BYTES];
    size_t used = dump_count(dump, span);
    size_t objs = span->size_class == 0 ? 1 : span->objs;
    dump->totals.span_pages += span->pages;
    dump_add(dump, "hd span %lx %u %s %u %zu %zu %zu", (unsigned long)span->base, span->pages,
             dump_kind(span, text), span->size_class, span_object_bytes(span), objs, used);
    dump_end(dump);
}

static void dump_run(const struct walk_run *run, void *arg)
{
    struct dump *dump = arg;
    if (run->region_base != dump->region_base) {
        dump->region_base = run->region_base;
        dump_add(dump, "hd region %lx %zu", (unsigned long)run->region_base, run->region_bytes);
        dump_end(dump);
    }
    if (run->span != NULL) {
        dump_span(dump, run->span);
        return;
    }
    *(run->is_free ? &dump->totals.free_pages : &dump->totals.own_pages) += run->pages;
    dump->totals.unbacked_pages += run->unbacked_pages;
    dump_add(dump, run->is_free ? "hd free %lx %zu %zu" : "hd own %lx %zu",
             (unsigned long)run->base, run->pages, run->unbacked_pages);
    dump_end(dump);
}

/* ---- head and end ---- */

static void dump_head(struct dump *dump, const struct bh_gc_stats *gc)
{
    dump_add(dump, "hd bareheap %u %zu", DUMP_VERSION, PAGE_BYTES);
    dump_end(dump);
    dump_add(dump, "hd gc %llu %zu %zu %zu %u", (unsigned long long)gc->cycles, gc->live_bytes,
             gc->goal_bytes, gc->heap_bytes, bh_port_core_count());
    dump_end(dump);
}

/* The allocator's own account beside the sum of the lines. */
static void dump_foot(struct dump *dump)
{
    const struct dump_totals *totals = &dump->totals;
    struct bh_stats stats;
    bh_get_stats(&stats);
    dump_add(dump, "hd cut %zu", dump->objs_cut);
    dump_end(dump);
    dump_add(dump, "hd totals %zu %zu %zu %zu %zu %zu %zu %zu", totals->span_pages,
             totals->free_pages, totals->unbacked_pages, totals->own_pages, totals->manual_objs,
             totals->manual_bytes, totals->collected_objs, totals->collected_bytes);
    dump_end(dump);
    dump_add(dump, "hd stats %zu %zu %zu %zu %zu %zu %zu", stats.region_bytes, stats.metadata_bytes,
             stats.heap_bytes, stats.heap_peak_bytes, stats.free_page_bytes, stats.released_bytes,
             stats.cached_bytes);
    dump_end(dump);
    dump_add(dump, "hd end %llu", (unsigned long long)dump->lines + 1);
    dump_end(dump);
}

/* ---- the stop ---- */

static void dump_all(void *arg)
{
    struct dump *dump = arg;
    struct bh_gc_stats gc;
    walk_sweep_all();
    bh_gc_get_stats(&gc);
    dump_head(dump, &gc);
    walk_each_run(dump_run, dump);
    roots_each(dump_root, dump);
    walk_each_object(dump_object, dump);
    dump_foot(dump);
}

static bool dump_in_stop(void (*write)(const char *text, size_t bytes, void *arg), void *arg)
{
    struct dump dump = {.write = write, .arg = arg, .items_left = BH_GC_DUMP_ITEMS};
    return inspect_in_stop(dump_all, &dump);
}

/* ---- to the log ---- */

/* `used` is what there was to keep, also when that is more than the room. */
struct dump_text {
    char *text;
    size_t room;
    size_t used;
};

static void dump_keep(const char *text, size_t bytes, void *arg)
{
    struct dump_text *kept = arg;
    if (kept->used + bytes <= kept->room)
        memcpy(kept->text + kept->used, text, bytes);
    kept->used += bytes;
}

static void dump_log_lines(const struct dump_text *kept)
{
    size_t start = 0;
    for (size_t i = 0; i < kept->used; i++) {
        if (kept->text[i] != '\n')
            continue;
        bh_port_log(kept->text + start, i + 1 - start);
        start = i + 1;
    }
}

/* A stop that keeps what fits; then pages for all that there was. False: no stop or no memory. */
static bool dump_keep_all(struct dump_text *kept)
{
    for (unsigned stops = 0; stops < DUMP_STOPS; stops++) {
        kept->used = 0;
        if (!dump_in_stop(dump_keep, kept))
            return false;
        if (kept->used <= kept->room)
            return true;
        if (kept->text != NULL)
            walk_pages_free(kept->text);
        kept->room = kept->used + kept->used / 8 + DUMP_SLACK_BYTES;
        kept->text = walk_pages_alloc(kept->room);
        if (kept->text == NULL)
            return false;
    }
    return false;
}

static bool dump_log(void)
{
    struct dump_text kept = {NULL, 0, 0};
    bool complete = dump_keep_all(&kept);
    if (complete)
        dump_log_lines(&kept);
    if (kept.text != NULL)
        walk_pages_free(kept.text);
    return complete;
}

bool bh_gc_dump(void (*write)(const char *text, size_t bytes, void *arg), void *arg)
{
    return write != NULL ? dump_in_stop(write, arg) : dump_log();
}
