/* SPDX-License-Identifier: MIT */
/*
 * Checkmark: after every mark a second one, from scratch, by one core and with marks of its own
 * (census.c), must have found the same objects.
 *
 * 1. Before the mark, each object that a word of a root points into is noted.
 * 2. The collector marks.
 * 3. The second mark begins with what was noted and is still in a root. For some words of .bss and
 *    of stacks change in between: counters of the marking cores, what a parked core does. Any
 *    number may look like an address.
 * 4. An object that only the second mark reached was missed by the first, which would free it: a
 *    panic.
 * 5. One that only the first mark reached is garbage kept, by a mark set in error or by a word that
 *    has changed. The second kind has a few objects that no other such object refers to; more than
 *    CHECKMARK_STRAYS are a panic too.
 *
 * Where memory for the second marks is out, the cycle is not checked. Contents of objects do not
 * change in a stop, so that from equal roots both must come to the same end.
 *
 * No locks: all cores stand still. checkmark_census, in .bss, is NULL but between 1 and 5.
 */
#include "gc/checkmark.h"
#include "alloc/walk.h"
#include "gc/census.h"
#include "gc/collect.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include "kernel-lib/memory.h"
#include <bareheap/gc.h>

#define CHECKMARK_STRAYS 16

static struct census *checkmark_census;

static _Noreturn void checkmark_panic(const struct walk_object *object, const char *missed_by)
{
    char where[128];
    walk_describe(object->base, where, sizeof(where));
    bh_panic("bh_gc_set_checkmark: the %s mark missed %s", missed_by, where);
}

/* A found(): what a root led to before the mark as well. */
static void checkmark_root(struct census *census, const struct walk_object *object)
{
    if (census_is_seen(census, object))
        census_mark(census, object);
}

/* Point 4. */
static void checkmark_missed(const struct walk_object *object, void *arg)
{
    if (census_is_marked(arg, object) && !walk_is_marked(object))
        checkmark_panic(object, "first");
}

/* ---- point 5 ---- */

static bool checkmark_is_extra(const struct census *census, const struct walk_object *object)
{
    return walk_is_marked(object) && !census_is_marked(census, object);
}

static void checkmark_follow(const struct walk_object *object, void *arg)
{
    if (checkmark_is_extra(arg, object))
        census_scan_object(arg, object);
}

struct checkmark_strays {
    struct census *census;
    size_t count;
};

static void checkmark_count(const struct walk_object *object, void *arg)
{
    struct checkmark_strays *strays = arg;
    if (!checkmark_is_extra(strays->census, object) || census_is_seen(strays->census, object))
        return;
    if (++strays->count > CHECKMARK_STRAYS)
        checkmark_panic(object, "second");
}

/* Which objects that only the first mark reached does none of them refer to? */
static void checkmark_extra(struct census *census)
{
    struct checkmark_strays strays = {census, 0};
    memset(census->seen, 0, bitmap_words(census->granules) * sizeof(uint64_t));
    census->found = census_see;
    walk_each_object(checkmark_follow, census);
    walk_each_object(checkmark_count, &strays);
}

/* ---- the hook ---- */

static void checkmark_before(void)
{
    checkmark_census = census_new(CENSUS_COLLECTED);
    if (checkmark_census == NULL)
        return;
    checkmark_census->found = census_see;
    census_scan_roots(checkmark_census);
}

static void checkmark_after(struct census *census)
{
    census->found = checkmark_root;
    census_scan_roots(census);
    census_mark_rest(census);
    walk_each_object(checkmark_missed, census);
    checkmark_extra(census);
}

void checkmark_hook(bool marked)
{
    if (!marked)
        checkmark_before();
    if (!marked || checkmark_census == NULL)
        return;
    checkmark_after(checkmark_census);
    census_free(checkmark_census);
    checkmark_census = NULL;
}

void bh_gc_set_checkmark(bool on)
{
    /* Relaxed: code that is always there, and looked at once in a stop. */
    atomic_store_relaxed(&collect_mark_hook, on ? checkmark_hook : NULL);
}
