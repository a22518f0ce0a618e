/* SPDX-License-Identifier: MIT */
/*
 * Guard pages of hardened builds: before and behind a large manual object lies a page of ours that
 * faults, where the port can make one (port.h, bh_port_guard).
 *
 *   | guard | object ...                | guard |
 *     a run   a span                      a run       three runs: the outer two SPAN_PRIVATE
 *
 * 1. A span that has them is marked RUN_GUARDED. When there is no room for them it is made without,
 *    before memory counts as out; so are objects under BH_GUARD_BYTES.
 * 2. A resize joins the page behind to the object, resizes, and parts the last page off again.
 * 3. The port is asked with no lock held: when pages are made guards before anybody has the object,
 *    and when they stop being guards after the object has left the page map. A page whose guard
 *    cannot be made is there all the same, just does not fault; one that cannot be made ordinary
 *    again stays a guard for ever.
 * 4. Asking takes long (Linux: two system calls each way, 8 us in a virtual machine), so objects
 *    that come back are kept for a while, guards and all: the stock. A request for as many pages
 *    takes one from there. The oldest go when the stock is full or over its budget. Meanwhile their
 *    heads are filled (harden.h): who writes to one is found out when it leaves the stock.
 *
 * Lock: the page heap's, for the stock. Spans in it are SPAN_PRIVATE and RUN_GUARDED.
 * Collected objects have no guards: the sweep that frees them may run while all cores are stopped.
 */
#ifndef ALLOC_GUARD_H
#define ALLOC_GUARD_H

#include "alloc/types.h"

/* A large manual span of `pages` pages at a multiple of align_pages, with guards or without; NULL
 * when memory is out. Not published. */
struct bh_span *guard_alloc(size_t pages, size_t align_pages);

/* Gives back a span that page_heap_take_large() has taken out of the page map. */
void guard_free(struct bh_span *span);

/* page_heap_resize() for a span with guards or without. */
bool guard_resize(struct bh_span *span, size_t pages);

/* Empties the stock. Any context. */
void guard_drain(void);

/* Bytes in the stock, guards not counted. A racy look, for statistics. */
size_t guard_stock_bytes(void);

#endif
