/* SPDX-License-Identifier: MIT */
/* What is recorded beside objects: a store of records and a hash from objects to them. How:
 * special.c. */
#ifndef GC_SPECIAL_H
#define GC_SPECIAL_H

#include "kernel-lib/list.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum special_kind {
    SPECIAL_FINALIZER, /* at most one that is set per object, and one that is due */
    SPECIAL_CLEANUP,   /* any number */
    SPECIAL_WEAK,      /* one, shared by all references to the object */
    SPECIAL_KINDS
};

/* A record is named by a number: its chunk's, shifted, and its place there. 0: none. */

#define SPECIAL_PLACE_BITS 10
#define SPECIAL_RECORDS    1016 /* so that `object` ends with the first page */

struct special_link {
    uint32_t next;
    uint32_t prev; /* 0: the first of its chain */
};

/*
 * The records of one kind that share five pages; each member is an array of its own, so that a
 * pass over all objects, or over all arguments, reads nothing else.
 */
struct special_chunk {
    struct list link;    /* in the list of its kind's chunks with room, or by itself */
    uint32_t number;     /* from 1; its place in the directory */
    uint32_t kind;       /* enum special_kind */
    uint32_t used;       /* records */
    uint32_t free_first; /* place + 1 of the first free record, 0: none; linked by link.next */
    uint64_t unused[4];

    /* 0: free, or no object any more. Hidden from a scan: its complement. A finalizer that is due:
     * the object, which is alive by that. */
    uintptr_t object[SPECIAL_RECORDS];
    uintptr_t function[SPECIAL_RECORDS]; /* 0: free, or due and taken back; not for SPECIAL_WEAK */
    uintptr_t arg[SPECIAL_RECORDS];      /* scanned */
    struct special_link link_of[SPECIAL_RECORDS]; /* in a chain of the hash */
    uint32_t serial[SPECIAL_RECORDS];             /* cleanups: for handles. Weak: references */
    uint32_t next_due[SPECIAL_RECORDS];
};

/* Where a record is. */
struct special {
    struct special_chunk *chunk;
    uint32_t place;
};

static inline uintptr_t special_hide(uintptr_t object)
{
    return ~object;
}

static inline uint32_t special_id_of(struct special at)
{
    return at.chunk->number << SPECIAL_PLACE_BITS | at.place;
}

/* Of a record that exists, or NULL and any place. With the lock, or all cores stopped. */
struct special special_at(uint32_t id);

/* ---- in any context ---- */

/*
 * Calls body(arg) with the lock held until it returns true: false says that it found no room for a
 * record of the kind. False when memory is out.
 */
bool special_with(enum special_kind kind, bool (*body)(void *arg), void *arg);

uintptr_t special_lock_acquire(void);
void special_lock_release(uintptr_t irq);

/*
 * Panics with `call`'s name unless `object` is the first byte of a collected object (or in a block
 * that tiny ones share) that is not free. special_note() says beside its span that it will have
 * records, or a pin.
 */
void special_check(const char *call, const void *object, uintptr_t caller);
void special_note(const void *object);
bool special_is_noted(const void *object);

/* ---- with the lock held, or all cores stopped ---- */

/* A new record of `object`; 0 when there is no room. */
uint32_t special_add_locked(enum special_kind kind, uintptr_t object);

/* The first record of the object, and the next one after `id`, in no order; 0: none. Those that
 * are due belong to it for finalizers only. */
uint32_t special_first_locked(uintptr_t object);
uint32_t special_next_locked(uint32_t id, uintptr_t object);

/* The record is its object's no longer; its object is 0. Does nothing when it is so already. */
void special_unlink_locked(struct special at);

/* The same, and it is free. Not in a stop. */
void special_drop_locked(struct special at);

/* The next chunk of the kind with a number above *number, which becomes its; NULL: none. Begin with
 * 0. */
struct special_chunk *special_next_chunk(enum special_kind kind, uint32_t *number);

#endif
