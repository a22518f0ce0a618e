/* SPDX-License-Identifier: MIT */
/*
 * A random graph of collected objects, and beside it a table that knows what is reachable.
 *
 * 1. A node is a collected object; its place in the table (its entry) has its address complemented,
 *    so that the table keeps nothing alive, its shape, and the nodes that its edges lead to.
 * 2. Cores move in the graph by real pointers only: from a root of their own along edges, never by
 *    the table. What a core can get at is reachable, so it has to be intact.
 * 3. An edge and its line in the table change together, under a lock; roots belong to a core.
 * 4. When all cores stand at a barrier one of them collects and compares (oracle_check()): what
 *    the table reaches is there, each word as it was written; what it does not reach is gone,
 *    but for a few that stray words hold.
 *
 * Words that are no edges hold a pattern that is no address. In nodes of which not all words are
 * scanned one of the others holds the address of a node that it must not keep alive.
 */
#ifndef TESTS_GC_ORACLE_H
#define TESTS_GC_ORACLE_H

#include "boards/board.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORACLE_EDGES 4

/* Where a core's roots are: words of these kinds, and pins. */
enum oracle_place { ORACLE_GLOBAL, ORACLE_STACK, ORACLE_RANGE, ORACLE_PLACES };
#define ORACLE_SLOTS 6   /* of globals and of stack */
#define ORACLE_ROW   160 /* of the range, which is more than a mark queue takes without a page */
#define ORACLE_PINS  4

/* A node as it begins; typed nodes are of this type, or rows of it, or have a tail. */
struct oracle_node {
    uint64_t tag; /* complement of number and generation */
    uintptr_t edges[ORACLE_EDGES];
    uintptr_t decoy;
};

/* One core's roots. Nodes are named by number + 1; 0 is none. */
struct oracle_core {
    volatile uintptr_t *words[ORACLE_PLACES];
    uint32_t nodes[ORACLE_PLACES][ORACLE_ROW];
    uint32_t pinned[ORACLE_PINS];
    uint32_t in_register;
} __attribute__((aligned(64)));

extern struct oracle_core oracle_cores[BOARD_MAX_CORES];

/* An empty table for so many cores. On one core, before the others begin. */
void oracle_begin(unsigned cores);

/* This core's roots: words of a global and of `stack`, which are empty, and of registered manual
 * memory, each with a new node. */
void oracle_enter(volatile uintptr_t stack[ORACLE_SLOTS]);
void oracle_leave(void);

/* A new node of a random shape, or NULL when this core's part of the table is full. It can be
 * collected as soon as the caller lets go of it. */
struct oracle_node *oracle_new(void);

/* Takes a node that oracle_new() made, and that nothing refers to, out of the table. */
void oracle_forget(const struct oracle_node *node);

/* Follows random edges from one of this core's roots, and expects each node to be intact. */
struct oracle_node *oracle_walk(void);

/* A random edge of `from`, which has edges, leads to `to` (NULL: nowhere) from now on. */
bool oracle_has_edges(const struct oracle_node *node);
void oracle_link(struct oracle_node *from, struct oracle_node *to);

/* A random root, pin, is this node from now on. */
void oracle_set_root(struct oracle_node *node);
void oracle_set_pin(struct oracle_node *node);

/* Number + 1 of a node; 0 for NULL. */
uint32_t oracle_name(const struct oracle_node *node);

/* What a check found. */
struct oracle_tally {
    uint64_t reachable;
    uint64_t dead;     /* unreachable since the last check */
    uint64_t retained; /* of which not gone */
};

/* After a collection, all other cores at a barrier. Adds to the tally. */
void oracle_check(struct oracle_tally *tally);

#endif
