/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the allocator through its public functions, on several cores played by one thread,
 * with interrupts whose handler allocates, page requests that fail, regions that come later.
 *
 * A script: cores, regions, release mode; then an operation per byte with its operands. The
 * handler has slots of its own, since it may come in the middle of any operation. At the end all
 * is freed: the heap must be as it was made.
 */
#include "alloc/room.h"
#include "kernel-lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/objects.h"
#include <bareheap/alloc.h>
#include <bareheap/port.h>
#include <string.h>

#define HANDLER_SLOTS   16 /* the last ones */
#define SCRIPT_SLOTS    (OBJECTS_SLOTS - HANDLER_SLOTS)
#define MIB             ((size_t)1 << 20)
#define SPAN_MOST_BYTES ((size_t)160 << 10)

/* Memory not yet given to the heap: the rest of it. */
static size_t ram_used;

static struct fuzz_script *script;
static unsigned cores;
static uint64_t failures; /* what bh_stats.failures must be */

/* ---- requests ---- */

/*
 * NULL is right when the script asked for it (a size that no heap has, interrupts off, page
 * requests that fail); else only when there is no run of pages for it.
 */
static void expect_null_is_right(size_t bytes, size_t align)
{
    struct bh_stats stats;
    failures++;
    if (bytes > MACHINE_RAM_BYTES || align > MACHINE_RAM_BYTES || machine_has_refused() ||
        !bh_port_irq_enabled())
        return;
    bh_get_stats(&stats);
    /* A span has more than one object, and pages for its bitmaps beside it. */
    FUZZ_CHECK(bytes + align + SPAN_MOST_BYTES > stats.largest_run_bytes / 2,
               "NULL for %zu bytes at %zu, and the largest run is %zu", bytes, align,
               stats.largest_run_bytes);
}

static void take(struct object *object, void *address, size_t bytes, size_t align)
{
    if (address)
        objects_born(object, address, bytes, align);
    else
        expect_null_is_right(bytes, align);
}

static void do_free(struct object *object)
{
    size_t bytes = object->bytes;
    bool sized = object->tag % 4 == 0;
    if (sized)
        bh_free_sized(objects_gone(object), bytes);
    else
        bh_free(objects_gone(object));
}

static void do_malloc(struct object *object)
{
    size_t bytes = fuzz_size(script);
    if (object->address)
        do_free(object);
    else
        take(object, bh_malloc(bytes), bytes, 1);
}

static void do_calloc(struct object *object)
{
    size_t bytes = fuzz_size(script);
    size_t count = 1 + fuzz_below(script, 4);
    if (object->address)
        do_free(object);
    void *address = bh_calloc(count, bytes);
    FUZZ_CHECK(!address || fuzz_is_zero(address, count * bytes), "calloc: %zu bytes are not zero",
               count * bytes);
    take(object, address, count * bytes, 1);
}

/* Meanwhile the oracle has no such object: a handler that comes behind the move may get its room.
 */
static void do_realloc(struct object *object)
{
    size_t bytes = fuzz_size(script);
    struct object before = *object;
    *object = (struct object){0};
    void *moved = bh_realloc(before.address, bytes);
    *object = before;
    if (!moved)
        expect_null_is_right(bytes, 1);
    else if (object->address)
        objects_moved(object, moved, bytes);
    else
        objects_born(object, moved, bytes, 1);
}

static void do_aligned(struct object *object)
{
    size_t align = (size_t)1 << fuzz_below(script, 22);
    size_t bytes = fuzz_size(script);
    if (object->address)
        do_free(object);
    take(object, bh_aligned_alloc(align, bytes), bytes, align);
}

/* What has to be NULL. */
static void do_absurd(struct object *object)
{
    static const size_t sizes[] = {SIZE_MAX, PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 15};
    size_t bytes = sizes[fuzz_below(script, 4)] - fuzz_byte(script);
    FUZZ_CHECK(!bh_malloc(bytes), "malloc(%zu)", bytes);
    FUZZ_CHECK(!bh_calloc(bytes, 2 + fuzz_byte(script)), "calloc(%zu)", bytes);
    FUZZ_CHECK(!bh_aligned_alloc(fuzz_byte(script) | 3, 8), "aligned to no power of two");
    FUZZ_CHECK(!bh_aligned_alloc(0, 8), "aligned to 0");
    FUZZ_CHECK(!object->address || !bh_realloc(object->address, bytes), "realloc(%zu)", bytes);
    failures += object->address ? 5 : 4;
}

/* ---- the machine ---- */

static void do_switch(struct object *object)
{
    (void)object;
    machine_switch((unsigned)fuzz_below(script, cores));
}

/* One request or free with interrupts off. */
static void do_masked(struct object *object)
{
    uintptr_t irq = bh_port_irq_save();
    if (fuzz_byte(script) % 2)
        do_malloc(object);
    else
        do_realloc(object);
    bh_port_irq_restore(irq);
}

static unsigned handler_slot;

static void handler(void)
{
    struct object *object = &objects[SCRIPT_SLOTS + handler_slot++ % HANDLER_SLOTS];
    if (object->address)
        do_free(object);
    else
        take(object, bh_malloc(handler_slot * 37 % 700), handler_slot * 37 % 700, 1);
}

static void do_interrupt(struct object *object)
{
    (void)object;
    machine_arm_interrupt((unsigned)fuzz_below(script, 12), handler);
}

static void do_faults(struct object *object)
{
    (void)object;
    unsigned after = (unsigned)fuzz_below(script, 8);
    machine_arm_faults(after, 1 + (unsigned)fuzz_below(script, 4));
}

/* A further piece of RAM, up to 1 MiB, behind a gap. */
static bool add_region(void)
{
    size_t gap = fuzz_word(script) % 20000 / 16 * 16;
    size_t bytes = (fuzz_word(script) * 16) % MIB;
    if (ram_used + gap + bytes > MACHINE_RAM_BYTES)
        return false;
    enum bh_status status = bh_add_region(machine_ram + ram_used + gap, bytes);
    FUZZ_CHECK(status == BH_OK || status == BH_TOO_SMALL || status == BH_TOO_FAR ||
                   status == BH_TOO_MANY_REGIONS,
               "bh_add_region: %s", bh_status_text(status));
    ram_used += status == BH_OK ? gap + bytes : 0;
    return status == BH_OK;
}

static void do_add_region(struct object *object)
{
    (void)object;
    add_region();
}

static bool wanted(size_t bytes)
{
    (void)bytes;
    return fuzz_more(script) && fuzz_byte(script) % 4 == 0 && add_region();
}

/* ---- giving back, looking ---- */

static void do_release(struct object *object)
{
    static const enum bh_release modes[] = {BH_RELEASE_NEVER, BH_RELEASE_GRADUAL, BH_RELEASE_EAGER};
    unsigned choice = (unsigned)fuzz_below(script, 8);
    (void)object;
    if (choice < 3)
        bh_set_release(modes[choice]);
    else if (choice < 5)
        bh_release_pages();
    machine_advance(fuzz_word(script) << 22);
    bh_scavenge();
}

static void do_drain(struct object *object)
{
    unsigned choice = (unsigned)fuzz_below(script, 8);
    (void)object;
    if (choice < 4)
        bh_drain_core(choice % cores);
    else if (choice < 6)
        bh_drain();
    else
        room_reclaim();
}

static void check_stats(void)
{
    struct bh_stats s;
    size_t bytes;
    uintptr_t irq = bh_port_irq_save(); /* the handler would change all of it */
    uint64_t failed = failures;
    size_t live = objects_live(&bytes);
    bh_get_stats(&s);
    bh_port_irq_restore(irq);
    FUZZ_CHECK(s.region_bytes == s.metadata_bytes + s.heap_bytes + s.free_page_bytes,
               "regions %zu, metadata %zu, heap %zu, free %zu", s.region_bytes, s.metadata_bytes,
               s.heap_bytes, s.free_page_bytes);
    FUZZ_CHECK(s.manual_objects == live, "%zu objects live, but %zu in the statistics", live,
               s.manual_objects);
    FUZZ_CHECK(s.manual_bytes >= bytes && s.heap_bytes >= s.manual_bytes + s.cached_bytes,
               "asked for %zu, manual %zu, cached %zu, heap %zu", bytes, s.manual_bytes,
               s.cached_bytes, s.heap_bytes);
    FUZZ_CHECK(s.free_page_bytes >= s.released_bytes && s.free_page_bytes >= s.largest_run_bytes &&
                   s.heap_peak_bytes >= s.heap_bytes,
               "free %zu, released %zu, largest run %zu, peak %zu, heap %zu", s.free_page_bytes,
               s.released_bytes, s.largest_run_bytes, s.heap_peak_bytes, s.heap_bytes);
    FUZZ_CHECK(s.failures >= failed, "%llu failures counted, and there were %llu",
               (unsigned long long)s.failures, (unsigned long long)failed);
}

static void do_look(struct object *object)
{
    (void)object;
    check_stats();
    uintptr_t irq = bh_port_irq_save();
    bh_heap_verify();
    bh_port_irq_restore(irq);
    objects_check_all();
    if (fuzz_byte(script) % 4 == 0)
        bh_reset_peak();
}

/* ---- a script ---- */

static void make_heap(void)
{
    struct bh_region regions[3];
    size_t count = 1 + fuzz_below(script, 3);
    cores = 1 + (unsigned)fuzz_below(script, MACHINE_CORES);
    ram_used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t gap = fuzz_byte(script) * 16u;
        size_t bytes = ((size_t)96 << 10) + fuzz_byte(script) * (i ? 1040u : 12000u);
        regions[i] = (struct bh_region){
            .base = machine_ram + ram_used + gap, .bytes = bytes, .zeroed = count % 2};
        ram_used += bits_round_up(gap + bytes, 16);
    }
    machine_set_cores(0); /* a port that cannot count */
    FUZZ_CHECK(bh_init(regions, count) == BH_TOO_MANY_CORES, "bh_init: a heap for no core");
    machine_set_cores(cores);
    enum bh_status status = bh_init(regions, count);
    FUZZ_CHECK(status == BH_OK, "bh_init: %s", bh_status_text(status));
    machine_pages_wanted = wanted;
}

/* Nothing is live: drained, the heap has no page in use. */
static void unmake_heap(void)
{
    struct bh_stats stats;
    machine_arm_faults(0, 0);
    machine_arm_interrupt(0, NULL);
    machine_pages_wanted = NULL;
    for (struct object *object = objects; object < objects + OBJECTS_SLOTS; object++)
        if (object->address)
            do_free(object);
    for (unsigned core = 0; core < cores; core++) {
        machine_switch(core);
        room_reclaim();
    }
    bh_set_release(BH_RELEASE_NEVER); /* what waits to be handed over becomes free */
    bh_heap_verify();
    bh_get_stats(&stats);
    FUZZ_CHECK(stats.heap_bytes == 0, "%zu bytes of spans are left, %zu of objects, %zu cached",
               stats.heap_bytes, stats.manual_bytes, stats.cached_bytes);
}

static void (*const operations[32])(struct object *object) = {
    do_malloc,  do_malloc,  do_malloc,    do_malloc,    do_malloc, do_malloc,  do_malloc,
    do_malloc,  do_malloc,  do_malloc,    do_malloc,    do_malloc, do_malloc,  do_realloc,
    do_realloc, do_realloc, do_realloc,   do_calloc,    do_calloc, do_aligned, do_aligned,
    do_masked,  do_masked,  do_interrupt, do_interrupt, do_switch, do_switch,  do_drain,
    do_release, do_faults,  do_look,      do_absurd,
};

void fuzz_run(struct fuzz_script *the_script)
{
    script = the_script;
    objects_reset();
    handler_slot = 0;
    failures = 0;
    make_heap();
    while (fuzz_more(script)) {
        unsigned choice = fuzz_byte(script);
        struct object *object = &objects[fuzz_below(script, SCRIPT_SLOTS)];
        machine_forget_refused();
        if (choice >= 252)
            do_add_region(object);
        else
            operations[choice % 32](object);
    }
    check_stats();
    unmake_heap();
}
