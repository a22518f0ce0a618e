/* SPDX-License-Identifier: MIT */
/*
 * The graph through which, and only through which, the objects of mode "gc" are reachable. All of
 * it is collected memory but one word in .bss, the root:
 *
 *   root -> anchor -> 16 buckets -> 64 chain heads each -> object <-> object <-> cell <-> ...
 *                                                                               |
 *                                                                             object
 *
 * 1. A chain is a doubly linked ring through its objects. Where in an object the two links lie
 *    depends on its id: at the first byte or in the last whole words, so that half of all links are
 *    interior pointers.
 * 2. An object that is not scanned, or has no room for links, hangs off a cell, a collected object
 *    of its own with links and one reference: to the first byte, the middle, or the first
 *    byte behind the object, by id; all of these must keep it alive.
 * 3. Removing takes a node out of its ring and leaves it linked to itself alone: a dropped object
 *    that something still points at must not keep its former neighbours.
 *
 * Locks: one per chain, around the linking only; nothing allocates under it.
 */
#ifndef TESTS_REPLAY_GRAPH_H
#define TESTS_REPLAY_GRAPH_H

#include "tests/replay/replay.h"

/* Makes anchor and buckets. False when memory is out. */
bool graph_start(void);

/* Which kind an object gets: a quarter of all, and half of the small ones, are not scanned. */
bool graph_is_noscan(uint32_t id, uint64_t bytes);

/* Links a fresh object, whose base and bytes are set, and sets its node. False when memory for a
 * cell is out. */
bool graph_insert(struct replay_object *object);

/* Drops the only reference to the object. */
void graph_remove(struct replay_object *object);

/* The bytes [from, to) of the object that hold links; an empty range when it hangs off a cell. */
void graph_links(const struct replay_object *object, size_t *from, size_t *to);

/* The cell that the object hangs off; NULL when it has its links inside. */
void *graph_cell(const struct replay_object *object);

/* Calls visit for the anchor and every bucket. */
void graph_each_own(void (*visit)(const void *object));

/* Walks all chains; the number of nodes in them. To be called while nobody changes the graph. */
uint64_t graph_count(void);

#endif
