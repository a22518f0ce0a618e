/* SPDX-License-Identifier: MIT */
/*
 * The collector: a non-moving mark-sweep garbage collector on the allocator's spans.
 *
 * Collected objects live in the same regions as manual ones. Roots are the registered ranges
 * (the image's .data and .bss), the stack and all registers of every core, every stack the port
 * lists, and pinned objects. A word anywhere in a root or in a scanned object that points into
 * an object, or one past its end, keeps it alive; in typed objects only the words that the type
 * says. One past the end of a typed object is outside of it: they are not padded. Manual objects
 * are not scanned, unless bh_gc_scan_manual() was asked to: a collected object whose only reference
 * is in other bh_malloc'd memory is garbage.
 *
 * Allocating is legal in interrupt handlers and with interrupts off; it then never starts a
 * collection and never waits for one: it returns NULL when memory is out.
 *
 * Who may call what. No function may be called from an NMI. Finalizers and cleanups run where the
 * kernel calls bh_gc_run_finalizers(), and may call everything. A core that is parked may call
 * bh_handle_signal() and bh_gc_unpark(), nothing else.
 *
 *                                         interrupts off,  before        takes    may collect,
 *                                         in a handler     bh_init()     memory   stop or wait
 *   alloc...                              yes              NULL          yes      interrupts on
 *   set_finalizer add_cleanup             yes              panic (1)     yes      no
 *     weak_create pin scan_manual
 *   free                                  yes              panic (1)     no       no
 *   remove_cleanup weak_get weak_destroy  yes              nothing yet   no       no
 *     unpin unscan_manual
 *   add_root remove_root add_stack        yes              yes           no       no
 *     remove_stack set_percent set_limit
 *     set_trace set_pacer_trace get_stats
 *     set_checkmark keep_alive
 *   set_stress                            yes              yes           no       interrupts on
 *   work                                  yes              false         no       interrupts on
 *   collect walk                          false            false         no       yes
 *   dump report_leaks                     false, SIZE_MAX  the same      yes      yes
 *   run_finalizers                        panic            0             no       no (2)
 *   park park_idle                        yes              yes           no       no
 *   unpark                                yes              yes           no       yes
 *
 * A handler is one that has left interrupts off. "Takes memory": pages of the heap, if need be;
 * without any it says so (NULL, false, 0), and no collection is tried but by alloc. "May collect":
 * also wait while another core does. Where it says no, a lock of the library is all that is waited
 * for, for a moment (pin and scan_manual hold theirs while their table doubles).
 *   (1) Of what is no object, as later too; free, pin and scan_manual take NULL.
 *   (2) What it calls may.
 */
#ifndef BAREHEAP_GC_H
#define BAREHEAP_GC_H

#include <bareheap/config.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A zeroed object of `bytes`, scanned conservatively: every aligned word may be a pointer. */
void *bh_gc_alloc(size_t bytes);

/*
 * A zeroed object that holds no pointers and is never scanned. Under 16 bytes several share a
 * block, aligned to their size's natural alignment only.
 */
void *bh_gc_alloc_noscan(size_t bytes);

/*
 * The same, but its contents are whatever was there, as with bh_malloc(): for a buffer that is
 * filled anyway, which in a large object (over 64 KiB) saves the zeroing.
 */
void *bh_gc_alloc_buffer(size_t bytes);

/*
 * Types: which words of an object may be pointers.
 *
 *   struct node { struct node *left, *right; long key; };
 *   static BH_GC_TYPE(node_type, struct node,
 *                     BH_GC_POINTER(struct node, left) | BH_GC_POINTER(struct node, right));
 *   struct node *node = bh_gc_alloc_typed(&node_type);
 *
 * One per type, at file scope: its bitmap must live as long as the program. The three below refuse
 * at compile time what is not aligned or reaches beyond the 64th word. The type may be larger, if
 * the rest of it has no pointers; else it has a bitmap of its own:
 * BH_GC_TYPE_LARGE(variable, type, ...words of the bitmap, lowest first).
 *
 *   BH_GC_POINTER    a member that is a pointer; refuses what is none
 *   BH_GC_POINTERS   a member that is an array of pointers; refuses others
 *   BH_GC_WORD       a member of a pointer's size, of any type: a uintptr_t with a tag, an array of
 *                    one pointer. Tags must not lead out of the object: only low bits.
 */
struct bh_gc_type {
    size_t bytes;             /* of an object, or of an element */
    const uint64_t *pointers; /* bit i % 64 of word i / 64: the i-th word may be a pointer */
    const char *name;         /* for who looks: bh_gc_walk() */
    uint32_t layout;          /* the library's own: 0 until the first allocation */
};

/*
 * The macros are for C alone: they declare types inside of sizeof, and point to a literal that
 * lives on. C++ writes the bitmap itself:
 *
 *   static const uint64_t node_pointers[] = {1 << 0 | 1 << 1};
 *   static bh_gc_type node_type = {sizeof(node), node_pointers, "node", 0};
 */
#ifndef __cplusplus
#define BH_GC_POINTER(type, member)                              \
    BH_GC_RUN(type, member,                                      \
              BH_GC_IS_POINTER(((type *)0)->member) &&           \
                  sizeof(((type *)0)->member) == sizeof(void *), \
              " is no pointer")
#define BH_GC_POINTERS(type, member) \
    BH_GC_RUN(type, member, BH_GC_IS_POINTER(((type *)0)->member[0]), " is no array of pointers")
#define BH_GC_WORD(type, member) \
    BH_GC_RUN(type, member, sizeof(((type *)0)->member) == sizeof(void *), " is no word")

/* A bit for each word of a member. */
#define BH_GC_RUN(type, member, is_right, what)                                                  \
    (~(uint64_t)0 >> (64 - sizeof(((type *)0)->member) / sizeof(void *) +                        \
                      0 * sizeof(struct {                                                        \
                          _Static_assert(is_right, #member what);                                \
                          _Static_assert(offsetof(type, member) % sizeof(void *) == 0,           \
                                         #member " is not aligned");                             \
                          _Static_assert(offsetof(type, member) + sizeof(((type *)0)->member) <= \
                                             64 * sizeof(void *),                                \
                                         #member " is beyond the 64th word: BH_GC_TYPE_LARGE");  \
                          int nothing;                                                           \
                      })) << offsetof(type, member) / sizeof(void *))

/* An array counts as a pointer too, but is of another type than what it becomes as an operand. */
#define BH_GC_IS_POINTER(value)                                              \
    (__builtin_classify_type(value) == __builtin_classify_type((void *)0) && \
     __builtin_types_compatible_p(__typeof__(value), __typeof__(((void)0, (value)))))

#define BH_GC_TYPE(variable, type, pointer_words) BH_GC_TYPE_LARGE(variable, type, pointer_words)
#define BH_GC_TYPE_LARGE(variable, type, ...) \
    struct bh_gc_type variable = {            \
        sizeof(type), (const uint64_t[(sizeof(type) + 511) / 512]){__VA_ARGS__}, #type, 0}
#endif

/*
 * A zeroed object of the type; `count` of them in a row; one with `tail_bytes` behind it that hold
 * no pointers. NULL when memory is out or the size overflows. Not padded: a pointer one past the
 * end does not keep them alive.
 */
void *bh_gc_alloc_typed(struct bh_gc_type *type);
void *bh_gc_alloc_typed_array(struct bh_gc_type *type, size_t count);
void *bh_gc_alloc_typed_tail(struct bh_gc_type *type, size_t tail_bytes);

/*
 * Gives `object` (its first byte) back at once, for an owner who knows that nothing refers to it.
 * A hint for tiny noscan objects, which share a block and stay until it dies. A pinned one is a
 * panic: first bh_gc_unpin(). Finalizer and cleanups are dropped, weak references become NULL.
 */
void bh_gc_free(void *object);

/*
 * Runs a whole cycle: on return everything unreachable at the call is free. False when it
 * could not: interrupts off, as in most interrupt handlers, no heap yet (bh_init()), or a core did
 * not stop in time (nothing was freed then).
 */
bool bh_gc_collect(void);

/*
 * [lo, hi) is scanned from now on as a root; lo and hi are rounded inward to words. False when the
 * table (BH_GC_MAX_ROOTS) is full. Removing takes the same lo.
 * The heap's own regions are left out of it, those that are added later too: a heap that is a
 * `static char heap[]` may lie in a range that is all of .data and .bss. Memory of bh_malloc(), a
 * range inside of one region, is scanned.
 */
#define BH_GC_MAX_ROOTS 64
bool bh_gc_add_root(const void *lo, const void *hi);
bool bh_gc_remove_root(const void *lo);

/*
 * Keeps an object alive, wherever its references are, until as many unpins. Both take its first
 * byte (of a tiny noscan object, which shares a block, the address that the pin had); NULL does
 * nothing, other addresses are a panic. So is bh_gc_free() of a pinned object. False when memory
 * is out.
 */
bool bh_gc_pin(void *object);
void bh_gc_unpin(void *object);

/* Stacks that no core runs on now, beside those that the port lists: the kernel keeps one of these
 * per task and stores the stack pointer in it when it switches away. 0: a core runs on it, whose
 * registers say how far it is used. Linked in until it is removed. The record is zero, but for what
 * the kernel sets, when it is added for the first time; to add it twice is a panic. */
struct bh_gc_stack {
    const void *lo; /* the used part is [sp, hi) */
    const void *hi;
    uintptr_t sp;
    struct bh_gc_stack *next, *prev; /* the library's own */
};
void bh_gc_add_stack(struct bh_gc_stack *stack);
void bh_gc_remove_stack(struct bh_gc_stack *stack);

/*
 * A bh_malloc'd object is scanned as a root from now on, until as many calls of the other. It must
 * not be freed meanwhile, nor resized by bh_realloc(), which may move it: unscan it first, and scan
 * what bh_realloc() returns. Else the collector scans whatever is there now; a collection that
 * notices panics. NULL does nothing; what is no manual object is a panic. False when memory is out.
 */
bool bh_gc_scan_manual(void *object);
void bh_gc_unscan_manual(void *object);

/*
 * When `object` (its first byte: what is none is a panic, here and below) is found unreachable,
 * finalize(object, arg) is called once, by bh_gc_run_finalizers(); the object is alive again
 * meanwhile, and may be stored anywhere. It is free when a later cycle finds it unreachable again.
 * What it refers to is kept for the finalizer; so of two objects with finalizers of which one
 * refers to the other, that one's runs first, and objects with finalizers in a ring are never freed
 * (as Go). `arg` is scanned. NULL takes the finalizer away; a new one replaces it. False when
 * memory is out.
 */
bool bh_gc_set_finalizer(void *object, void (*finalize)(void *object, void *arg), void *arg);

/*
 * When `object` (its first byte) is found unreachable, cleanup(arg) is called once, by
 * bh_gc_run_finalizers(), after the object's finalizer if it has one and stays unreachable. Any
 * number per object. `arg` is kept alive, so it must not lead to the object. The handle is for
 * bh_gc_remove_cleanup(); 0 when memory is out.
 */
uint64_t bh_gc_add_cleanup(void *object, void (*cleanup)(void *arg), void *arg);
bool bh_gc_remove_cleanup(uint64_t handle);

/*
 * Runs up to `most` finalizers and cleanups that are due, finalizers first, each in the order in
 * which the cycle found them; returns how many. Interrupts on (off, or parked, is a panic), no lock
 * held; from a task or an idle loop of the kernel's choice; they may allocate, collect, and set
 * finalizers.
 * bh_port_finalizers_due() says when there is something to do.
 */
size_t bh_gc_run_finalizers(size_t most);

/*
 * A weak reference: bh_gc_weak_get() is the object, which the caller then holds, or NULL once a
 * cycle has found it unreachable (before its finalizer runs). The reference is manual memory, good
 * until it is destroyed; NULL when memory is out. Any core, also while a collection begins.
 */
struct bh_gc_weak;
struct bh_gc_weak *bh_gc_weak_create(void *object);
void *bh_gc_weak_get(const struct bh_gc_weak *weak);
void bh_gc_weak_destroy(struct bh_gc_weak *weak);

/*
 * The heap may grow by `percent` of what was live after the last cycle before the next one
 * starts (100 at first). Negative: only on demand or when memory is out. Returns the old value.
 * None starts before the heap has the minimum size, which follows the memory given: 64 KiB up to
 * 2 MiB of it, 4 MiB from 128 MiB on, 12 MiB of 6 GiB, 64 MiB at most (gc/pace.c). A lower limit
 * (bh_gc_set_limit) lowers it.
 */
int bh_gc_set_percent(int percent);

/*
 * A soft limit for all memory of the heap in use, manual objects and what caches hold included: the
 * goal is set so that it is not passed, and bh_malloc() too may run a cycle to keep to it. When
 * that would take more than half of the cores' time, the heap passes it instead. It does so too
 * when what lives is over it, and with interrupts off. The half is of cycles for the limit: those
 * because memory is out are not counted, as instead of each there would be a NULL. SIZE_MAX (the
 * value at the start): none. Returns the old value.
 */
size_t bh_gc_set_limit(size_t bytes);

/*
 * Between park and unpark this core counts as stopped: it may keep interrupts off for long, or
 * sleep, but neither it nor its interrupt handlers may touch collected memory or call a function of
 * this library other than bh_handle_signal(). (An idle core whose handlers allocate need not
 * park: it takes the stop interrupt.) Its stack and registers at the call stay roots, the stack
 * where it is: the function that parks must not return before it has unparked. Park empties the
 * core's cache, as bh_drain() does. Unpark waits,
 * interrupts off, for a stop that is under way. Not nested.
 */
void bh_gc_park(void);
void bh_gc_unpark(void);

/*
 * bh_gc_park() for a core with nothing to do, around the wait of an idle loop. A short collection
 * leaves it alone, as waking it would take longer; for a long one it may be sent the stop
 * interrupt, and helps to mark in bh_handle_signal() until that collection is over. Unpark ends it.
 */
void bh_gc_park_idle(void);

/*
 * What an idle loop may do for the collector: sweeps up to `pages` pages; when all is swept, and
 * there has been no cycle for two minutes, runs one (not with interrupts off, nor with a negative
 * percentage). False when nothing is left to do.
 */
bool bh_gc_work(size_t pages);

/*
 * Counters since bh_init(). Durations are in nanoseconds of bh_port_now_ns(); a pause is the time
 * from the request to stop to the release, the stop its beginning, until all stood still. Stops
 * that collect nothing (walk, dump, leak report) are in no figure.
 */
struct bh_gc_stats {
    uint64_t cycles;           /* completed collections */
    uint64_t forced_cycles;    /* of which by bh_gc_collect() */
    uint64_t growth_cycles;    /* because the heap was at its goal */
    uint64_t limit_cycles;     /* because the limit would have been passed */
    uint64_t memory_cycles;    /* because memory was out */
    uint64_t periodic_cycles;  /* because there had been none for two minutes */
    uint64_t limiter_skips;    /* left out: the collector would have taken half the time */
    uint64_t abandoned_cycles; /* a core did not stop; nothing was freed. Not among `cycles` */
    uint64_t abandoned_ns;     /* waited for those, in no other figure */
    uint64_t pause_total_ns;   /* of all complete cycles */
    uint64_t pause_max_ns;     /* the longest of those */
    uint64_t pause_last_ns;
    uint64_t stop_max_ns; /* of all complete cycles: until all stood still */
    uint64_t stop_last_ns;
    size_t live_bytes;        /* marked by the last cycle */
    size_t goal_bytes;        /* collected heap at which the next one starts */
    size_t heap_bytes;        /* handed out or reserved for handing out, now */
    uint64_t marked_objects;  /* by the last cycle */
    uint64_t scanned_bytes;   /* by the last cycle, roots included */
    uint64_t mark_overflows;  /* rounds of looking for spans that no mark queue had room for */
    uint64_t mark_steals;     /* pieces of work that one core took from another */
    uint64_t allocated_bytes; /* ever, whole runs */
    uint64_t freed_bytes;     /* ever: by sweeping and by hand */
    size_t limit_bytes;       /* SIZE_MAX: none */
    uint64_t gc_cpu_ns;       /* all cores' time in pauses */
    uint64_t finalizers_run;
    uint64_t cleanups_run;
    size_t finalizers_due; /* now, cleanups included */
    size_t finalizers_set; /* objects that have one, now */
    size_t weak_references;
    size_t stack_bytes;           /* scanned by the last cycle */
    size_t global_bytes;          /* likewise */
    uint64_t last_end_ns;         /* of the last cycle, by bh_port_now_ns(); 0: none yet */
    uint64_t pauses_ns[32];       /* the last pauses, the newest at (cycles - 1) % 32 */
    uint64_t pause_histogram[32]; /* pauses by log2 of their microseconds */
};
void bh_gc_get_stats(struct bh_gc_stats *stats);

/* A line per cycle through bh_port_log(), in the format of Go's gctrace; but heaps under 10 MB are
 * in KB, which tools that read gctrace do not take for a cycle. Off at first. */
void bh_gc_set_trace(bool on);

/* A line per cycle about the goal and how it came about. Off at first. */
void bh_gc_set_pacer_trace(bool on);

/* What bh_gc_walk() shows. */
enum bh_gc_kind { BH_GC_CONSERVATIVE, BH_GC_NOSCAN, BH_GC_TYPED };
struct bh_gc_object {
    void *base;
    size_t bytes; /* its room */
    enum bh_gc_kind kind;
    /* BH_GC_TYPED: a type that has this layout, the first that was allocated. Types with the same
     * pointers in as many words share one, and no object says of which it is. Else NULL. */
    const struct bh_gc_type *type;
};

/* Calls visit for every collected object, in the order of their addresses, in a stop: `visit` must
 * not allocate, lock or log. What is unreachable but not yet found so is shown as well. False: no
 * stop, as with bh_gc_collect(). */
bool bh_gc_walk(void (*visit)(const struct bh_gc_object *object, void *arg), void *arg);

/*
 * Looks, in a stop, for manual objects that nothing refers to: no root, no collected object that is
 * alive, no manual object that is found. Logs each (at most `most`) with its size and, in debug
 * builds, who allocated it. Returns how many there are; SIZE_MAX when it could not look (as
 * bh_gc_collect(), or no memory for its marks).
 */
size_t bh_gc_report_leaks(size_t most);

/*
 * Writes a picture of the heap, in a stop, for tools/heapmap: `write` gets it in pieces, and must
 * not allocate, lock or log, so it copies them into memory that is there already:
 *   if (bytes <= room - used) memcpy(room_for_text + used, text, bytes), used += bytes;
 * NULL: through bh_port_log(), a line at a time, after the stop; that needs memory to keep the text
 * in. False as bh_gc_collect(), and without that memory.
 */
bool bh_gc_dump(void (*write)(const char *text, size_t bytes, void *arg), void *arg);

/* Test aids. Every n-th collected allocation that may collect does; 0: none. After every mark a
 * second one from scratch, by one core, must find the same objects, or panics. */
void bh_gc_set_stress(unsigned every_nth);
void bh_gc_set_checkmark(bool on);

/* Keeps `object` alive up to this point of the program: a use the compiler cannot remove. */
static inline void bh_gc_keep_alive(const void *object)
{
    __asm__ volatile("" : : "r"(object) : "memory");
}

#ifdef __cplusplus
}
#endif

#endif
