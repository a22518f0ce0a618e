# SPDX-License-Identifier: MIT
"""
What tools/mutate takes out of the collector, and the test that must notice.

`old` is in `file` exactly once. A test that has to be lucky to notice has several `tries`. Orders that
x86-64 keeps by itself are watched by ThreadSanitizer, which knows only those of the language.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutation:
    name: str
    what: str  # is taken out, in a few words
    file: str
    old: str
    new: str
    case: str  # the test, or a glob
    machine: str = "host"
    variant: str = ""
    cores: int = 2
    tries: int = 1


def _tsan(*args, **more):
    return Mutation(*args, **{"variant": "tsan-debug", "cores": 4, "tries": 3, **more})


ORACLE = "gc_oracle_collections_by_growth"

STOP = (
    _tsan("stop-publish-order", "the release when a core stands still", "gc/stop.c",
          "atomic_store_release(&me->still_for, number);",
          "atomic_store_relaxed(&me->still_for, number);", ORACLE),
    _tsan("stop-release-order", "the release that ends a stop", "gc/stop.c",
          "atomic_store_release(&stop_number, number + 1);",
          "atomic_store_relaxed(&stop_number, number + 1);", ORACLE),
    Mutation("stop-patience", "giving up on a core that does not answer", "gc/stop.c",
             "if (parts >= STOP_PATIENCE_PARTS)\n            return false;",
             "if (parts >= STOP_PATIENCE_PARTS)\n            return true;",
             "gc_core_that_does_not_stop_abandons_the_cycle"),
    Mutation("stop-poll", "standing still while waiting for a lock", "gc/stop.c",
             "arch_call_with_saved_registers(stop_handle_poll, NULL);", "(void)stop_handle_poll;",
             "gc_who_waits_for_a_lock_stands_still", cores=4),
    Mutation("stop-asks-again", "asking again after a stop that was for a look", "gc/collect.c",
             "while (cycle.result == STOP_LOST &&", "while (false && cycle.result == STOP_LOST &&",
             "gc_collection_that_comes_second_to_a_walk_is_run"),
    Mutation("stop-park-drain", "emptying the cache of a core that parks once more", "gc/stop.c",
             "    uintptr_t irq = arch_irq_save();\n    bh_drain();\n", "    uintptr_t irq = arch_irq_save();\n",
             "gc_parked_core_has_an_empty_cache_whatever_came_between"),
    Mutation("stop-stack", "the stack of a core that stands still", "gc/stop.c",
             "stop_publish_range(me, sp, top);", "stop_publish_range(me, top, top);",
             "gc_stack_of_another_core_is_a_root"),
    Mutation("stop-calls-idle", "helping when an idle core is called", "gc/stop.c",
             "    stop_help_if_idle();\n", "    (void)stop_help_if_idle;\n",
             "gc_idle_cores_help_with_large_heaps"),
)

PARK = (
    Mutation("park-unpark-waits", "waiting for the end of a stop that unparking comes into", "gc/stop.c",
             "        if (!stop_is_on(number))\n            break;",
             "        if (!stop_is_on(number) || true)\n            break;",
             "gc_unpark_in_a_stop_waits_for_its_end"),
    Mutation("park-registers", "the registers of a core that parks", "gc/stop.c",
             "    stop_publish_range(me, (uintptr_t)me->registers, (uintptr_t)(me->registers + STOP_PARK_WORDS));\n",
             "", "gc_pointer_in_a_register_of_a_core_that_parks"),
    Mutation("park-counts", "a parked core counts as stopped", "gc/stop.c",
             "return still_for == number || still_for == STOP_PARKED;",
             "return still_for == number;", "gc_parked_core_does_not_hold_up_a_collection"),
    _tsan("park-order", "the release when a core parks", "gc/stop.c",
          "/* Release: pairs with stop_stands_still(). What this core wrote before it parked is seen. */\n"
          "    atomic_store_release(&me->still_for, STOP_PARKED);",
          "    atomic_store_relaxed(&me->still_for, STOP_PARKED);",
          "gc_parking_and_collecting_in_any_order"),
)

REGISTERS = (
    Mutation("registers-saved-x86", "r15", "arch/x86_64/registers.S",
             "        pushq   %r15\n", "        pushq   $0\n", "gc_registers_are_stored"),
    Mutation("registers-saved-collector-x86", "r15 of the core that collects", "arch/x86_64/registers.S",
             "        pushq   %r15\n", "        pushq   $0\n",
             "gc_pointer_in_a_saved_register_of_the_core_that_collects"),
    Mutation("registers-scratch-x86", "r8", "arch/x86_64/registers.S",
             "        pushq   %r8\n", "        pushq   $0\n", "gc_registers_are_stored"),
    Mutation("registers-vector-x86", "all vector registers", "arch/x86_64/registers.S",
             "#define SAVE_VECTOR_REGISTERS save_vector_registers",
             "#define SAVE_VECTOR_REGISTERS", "gc_registers_are_stored"),
    Mutation("registers-saved-aarch64", "x26 and x27", "arch/aarch64/registers.S",
             "    stp     x26, x27, [sp, #80]\n", "    stp     xzr, xzr, [sp, #80]\n",
             "gc_registers_are_stored",
             machine="qemu-aarch64", variant="debug"),
    Mutation("registers-vector-aarch64", "q20 and q21", "arch/aarch64/registers.S",
             "    stp     q20, q21, [sp, #432]\n", "    stp     xzr, xzr, [sp, #432]\n",
             "gc_registers_are_stored", machine="qemu-aarch64", variant="debug"),
)

ROOTS = (
    Mutation("roots-registered", "registered ranges", "gc/roots.c",
             "for (size_t i = 0; i < roots_registered_count; i++)\n        roots_visit_global(to",
             "for (size_t i = roots_registered_count; i < roots_registered_count; i++)\n"
             "        roots_visit_global(to",
             "gc_bss_is_a_root"),
    Mutation("roots-cores", "stacks and registers of cores", "gc/roots.c",
             "    stop_each_range(roots_visit_core, &to);\n", "    (void)roots_visit_core;\n",
             "gc_stack_is_a_root"),
    Mutation("roots-pins", "pins", "gc/roots.c",
             "slots + roots_pins.room * sizeof(*roots_pins.slots));", "slots);",
             "gc_pins_hold_until_the_last_unpin"),
    Mutation("roots-pins-oracle", "pins", "gc/roots.c",
             "slots + roots_pins.room * sizeof(*roots_pins.slots));", "slots);", ORACLE, cores=4, tries=3),
    Mutation("roots-added-stacks", "stacks that were added", "gc/roots.c",
             "        roots_visit_added_stack(&to, stack);\n", "        (void)roots_visit_added_stack;\n",
             "gc_added_stack_is_a_root_from_its_pointer_up"),
    Mutation("roots-listed-stacks", "stacks that the port lists", "gc/roots.c",
             "    bh_port_for_each_stack(roots_visit_stack, &to);\n", "    (void)roots_visit_stack;\n",
             "gc_stack_that_the_port_lists_is_a_root"),
    Mutation("roots-manual", "manual objects that are scanned", "gc/roots.c",
             "        roots_manual_hook(&to);\n", "        (void)roots_manual_hook;\n",
             "gc_scanned_manual_objects_are_roots"),
    Mutation("roots-heap", "leaving the heap out of registered ranges", "gc/roots.c",
             "return walk_region(i - count, &own->lo, &own->hi);", "return false;",
             "gc_heap_in_a_registered_range_is_no_root"),
    Mutation("roots-in-region", "scanning a registered range inside of a region", "gc/roots.c",
             "own.lo < first.lo && !is_around)", "own.lo < first.lo && (is_around || true))",
             "gc_range_inside_of_a_region_is_a_root"),
    Mutation("stack-twice", "noticing that a stack is added twice", "gc/roots.c",
             "    bool added = stack_is_linked(stack);\n", "    bool added = false;\n", "gc_stack_added_twice"),
    Mutation("scanned-freed", "noticing that a scanned manual object was freed", "gc/roots.c",
             "        if (!walk_is_manual(object))\n", "        if (object == 1)\n", "misuse_free_of_a_scanned_object"),
    Mutation("pin-free", "noticing that a pinned object is freed", "gc/gc.c",
             "    if (pin_hook != NULL)\n", "    if (pin_hook == NULL && object == NULL)\n",
             "misuse_gc_free_of_a_pinned_object"),
)

SERVICES = (
    Mutation("special-free", "asking whether an object that gets a record is free", "gc/special.c",
             "    else if (!walk_is_allocated(address))\n", "    else if (address == 0)\n", "misuse_finalizer_of_a_free_object"),
    Mutation("special-unswept", "asking the marks of a span that is not swept", "alloc/sweep.c",
             "    const uint64_t *bits = span_is_unswept(span) ? span_mark_bits(span) : span->bits;\n    uint32_t idx",
             "    const uint64_t *bits = span->bits;\n    uint32_t idx",
             "misuse_finalizer_of_a_free_object_before_the_sweep"),
    Mutation("finalizer-contents", "what an object with a finalizer refers to", "gc/services.c",
             "    each_batch(SPECIAL_FINALIZER, visit_batch, &to);\n", "    (void)visit_batch;\n",
             "gc_finalizer_of_what_refers_runs_first"),
    Mutation("finalizer-argument", "the arguments of finalizers", "gc/services.c",
             "    visit_args(&to, SPECIAL_FINALIZER);\n", "", "gc_finalizer_argument_is_kept"),
    Mutation("finalizer-due", "objects whose finalizers are due", "gc/services.c",
             "    finalize_each_due(visit_due, &to);\n", "    (void)visit_due;\n", "gc_finalizer_argument_is_kept"),
    Mutation("cleanup-argument", "the arguments of cleanups", "gc/services.c",
             "    visit_args(&to, SPECIAL_CLEANUP);\n", "", "gc_cleanups_run_when_the_object_is_gone"),
    Mutation("finalizer-revives", "marking what is about to be finalized", "gc/services.c",
             "            mark_revived(&one->object, totals);\n", "            (void)mark_revived;\n",
             "gc_finalizer_may_resurrect"),
    Mutation("weak-clearing", "clearing weak references", "gc/services.c",
             "    each_batch(SPECIAL_WEAK, clear_weak, NULL);\n", "    (void)clear_weak;\n", "gc_weak_*"),
)

FIND = (
    Mutation("find-free-slot", "the check that a word's slot is allocated", "alloc/walk.h",
             "if (idx >= span->objs || !walk_is_object(span, idx))", "if (idx >= span->objs)",
             "gc_free_gives_back_at_once"),
    Mutation("find-class", "the check that a page is the collector's", "alloc/walk.h",
             "return page < map->pages && atomic_load_acquire(&map->class_of[page]) == PAGE_COLLECTED;",
             "return page < map->pages;", ORACLE, cores=4),
    Mutation("one-past-the-end", "the byte more that every object gets", "alloc/collected.c",
             "return size_class_for(bytes + 1);", "return size_class_for(bytes);",
             "gc_one_past_the_end_*"),
)

MARK = (
    _tsan("mark-bit", "the atomic operation that marks", "alloc/walk.h",
          "    if (!alone)\n        return bits & ~atomic_or_seq_cst(marks, bits);\n", "    (void)alone;\n",
          "gc_four_cores_share_the_marking"),
    Mutation("mark-overflow", "scanning again what did not fit the queue", "gc/mark.c",
             "    mark_missed(m);\n", "    (void)mark_missed;\n", "gc_mark_queue_without_a_page"),
    Mutation("mark-missed", "noting that something did not fit", "gc/marker.c",
             "    m->work.missed = true;\n", "", "gc_mark_queue_without_a_page"),
    Mutation("mark-pending-look", "looking at what became grey in the span that is visited", "gc/marker.c",
             "        m->look |= (uint64_t)1 << m->pending_word;\n", "        (void)m->look;\n", ORACLE, cores=4),
    Mutation("mark-pending-last", "setting the bits that are pending when the last words were scanned", "gc/marker.c",
             "    marker_scan_listed(m, listed);\n    marker_flush(m);\n", "    marker_scan_listed(m, listed);\n",
             ORACLE, cores=4),
    _tsan("mark-unqueue", "the atomic operation that takes a span out of its queue", "alloc/walk.h",
          "flags = atomic_and_seq_cst(&span->flags, (uint8_t)~both);",
          "span->flags = (uint8_t)(flags & ~both);", "gc_four_cores_share_the_marking"),
    Mutation("mark-rest", "the rest of a large object", "gc/work.c",
             "        *piece = work_cut(oldest, WORK_PART_BYTES);\n",
             "        *piece = work_cut(oldest, WORK_PART_BYTES);\n        w->head_at++;\n",
             "gc_large_objects_are_scanned_to_the_end"),
    Mutation("mark-last-edges", "judging the last edges of a mark", "gc/marker.c",
             "            marker_settle(m);\n", "            (void)marker_settle;\n", ORACLE, cores=4),
    Mutation("mark-layout-repeats", "elements of a typed array behind the first", "gc/marker.c",
             "if (first == layout->words && layout->repeats)", "if (m == NULL)", ORACLE, cores=4),
    Mutation("mark-thief-active", "a thief is active before it takes", "gc/work.c",
             "        (void)atomic_add_acq_rel(&work_active, 1); /* before it takes: see the head of the file */\n",
             "", "gc_four_cores_share_the_marking", cores=4),
    Mutation("mark-close", "waiting until the helpers have left", "gc/work.c",
             "for (unsigned round = 0; atomic_load_acquire(&work_gate) != 0; round++)\n        work_wait(round);",
             "(void)atomic_load_acquire(&work_gate);", "gc_four_cores_share_the_marking", variant="tsan-debug", cores=4, tries=3),
)

SWEEP = (
    Mutation("sweep-before-mark", "finishing the sweep before a mark", "gc/collect.c",
             "    walk_sweep_all();\n", "", ORACLE, cores=4),
    Mutation("sweep-cursors", "emptying the cursors before a mark", "alloc/sweep.c",
             "    for (unsigned core = 0; core < bh_port_core_count(); core++)\n        core_empty(core);\n",
             "", ORACLE, cores=4),
    Mutation("sweep-clears-marks", "clearing the old bits when they become mark bits", "alloc/sweep.c",
             "    memset(old_bits, 0, bitmap_words(span->objs) * sizeof(uint64_t));\n", "    (void)old_bits;\n",
             ORACLE, cores=4),
    Mutation("sweep-zeroes", "clearing memory that is used again", "alloc/collected.c",
             "        clear_run(cursor);\n", "        (void)clear_run;\n",
             "gc_objects_are_zero_after_reuse"),
)

PACE = (
    Mutation("pace-limiter", "asking the limiter", "gc/pace.c",
             "bool allows = limiter_allows(&pace.limiter, now_ns);",
             "bool allows = limiter_allows(&pace.limiter, now_ns) || true;", "pace_full_limiter_holds_back"),
    Mutation("pace-back-off", "beginning anew to back off after a cycle", "gc/pace.c",
             "    pace.requests = 0;\n", "", "gc_back_off_without_a_clock_doubles_until_a_cycle_is_completed"),
)

MUTATIONS = STOP + PARK + REGISTERS + ROOTS + SERVICES + FIND + MARK + SWEEP + PACE
