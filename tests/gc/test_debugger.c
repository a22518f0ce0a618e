/* SPDX-License-Identifier: MIT */
/*
 * A heap for a debugger to look at: tests/debugger/selftest stops at debugger_stop(), and then at
 * debugger_marked(), in the stop of a collection, and asks tools/gdb/bareheap.py about these
 * objects.
 */
#include "gc/collect.h"
#include "tests/gc/gc_test.h"
#include <bareheap/alloc.h>

/* Roots only by being registered; complements are none. */
struct node *debugger_root;
uintptr_t debugger_held;    /* ~address: by debugger_root->left->right, nothing else */
uintptr_t debugger_garbage; /* ~address */
uintptr_t debugger_manual;  /* ~address of manual memory */
uintptr_t debugger_typed;   /* ~address: by the pointer of a typed object, nothing else */
uintptr_t debugger_pinned;  /* ~address */
uintptr_t debugger_scanned; /* ~address: by manual memory, which is scanned */
uintptr_t debugger_arg;     /* ~address: by being the argument of a cleanup */
uintptr_t debugger_number;  /* ~address: an integer of that object has it, which is no pointer */

struct pair {
    uintptr_t number;
    struct node *node;
};
static BH_GC_TYPE(pair_type, struct pair, BH_GC_POINTER(struct pair, node));

void debugger_stop(void);
void debugger_marked(void);

__attribute__((noinline, used)) void debugger_stop(void)
{
    __asm__ volatile("" : : : "memory");
}

__attribute__((noinline, used)) void debugger_marked(void)
{
    __asm__ volatile("" : : : "memory");
}

/* All that is alive is black here, or grey. */
static void debugger_mark_hook(bool marked)
{
    if (marked)
        debugger_marked();
}

static void debugger_collect(void)
{
    void (*old)(bool marked) = collect_mark_hook;
    collect_mark_hook = debugger_mark_hook;
    test_collect();
    collect_mark_hook = old;
}

static __attribute__((noinline)) void debugger_make_typed(uint64_t magic)
{
    struct pair *pair = bh_gc_alloc_typed(&pair_type);
    REQUIRE(pair != NULL);
    pair->node = test_node(magic, 5);
    pair->number = (uintptr_t)test_node(magic, 6);
    debugger_typed = test_hide(pair->node);
    debugger_number = ~pair->number;
    debugger_root->right = (struct node *)pair; /* NOLINT: whatever it is, it is kept */
}

static uint64_t debugger_cleanup;

static void debugger_never(void *arg)
{
    (void)arg;
}

static __attribute__((noinline)) void debugger_make_services(uint64_t magic)
{
    struct node *pinned = test_node(magic, 7);
    struct node *scanned = test_node(magic, 8);
    struct node *arg = test_node(magic, 9);
    void **manual = test_show(debugger_manual);
    *manual = scanned;
    EXPECT(bh_gc_pin(pinned) && bh_gc_scan_manual(manual));
    debugger_cleanup = bh_gc_add_cleanup(debugger_root, debugger_never, arg);
    EXPECT(debugger_cleanup != 0);
    debugger_pinned = test_hide(pinned);
    debugger_scanned = test_hide(scanned);
    debugger_arg = test_hide(arg);
}

/* In a frame that is gone when the debugger stops. */
static __attribute__((noinline)) void debugger_make(void)
{
    uint64_t magic = test_magic();
    test_node(magic, 0); /* may be the heap's first page, whose address the page heap has */
    debugger_root = test_node(magic, 1);
    debugger_root->left = test_node(magic, 2);
    struct node *held = test_node(magic, 3);
    debugger_root->left->right = (struct node *)((char *)held + 8); /* inside it */
    debugger_held = test_hide(held);
    debugger_garbage = test_hide(test_node(magic, 4));
    debugger_manual = test_hide(bh_malloc(100));
    debugger_make_typed(magic);
    debugger_make_services(magic);
}

TEST(debugger_stops_here)
{
    test_begin();
    EXPECT(bh_gc_add_root(&debugger_root, &debugger_root + 1));
    debugger_make();
    test_wipe_stack();
    bh_heap_verify(); /* leaves other things in the registers than addresses of ours */
    debugger_stop();
    debugger_collect();
    EXPECT(test_is_alive(debugger_held));
    EXPECT(bh_gc_remove_root(&debugger_root));
    EXPECT(bh_gc_remove_cleanup(debugger_cleanup));
    bh_gc_unpin(test_show(debugger_pinned));
    bh_gc_unscan_manual(test_show(debugger_manual));
    bh_free(test_show(debugger_manual));
    debugger_root = NULL;
}
