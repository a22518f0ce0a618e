/* SPDX-License-Identifier: MIT */
/* A set of addresses, each with a count. How: table.c. */
#ifndef GC_TABLE_H
#define GC_TABLE_H

#include "kernel-lib/spinlock.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slot {
    uintptr_t address; /* 0: empty */
    size_t count;
};

/* Static storage, all zero but the lock. Read it without the lock in stops only. */
struct table {
    struct spinlock *lock;    /* LOCK_GC */
    struct table_slot *slots; /* in pages of the page heap; NULL with room for 0 */
    size_t room;              /* a power of two, or 0 */
    size_t used;
};

/* Counts the address once more. False when memory is out. Any context but a stop. */
bool table_add(struct table *table, uintptr_t address);

bool table_has(struct table *table, uintptr_t address);

/* Once less; false when it was not there. */
bool table_remove(struct table *table, uintptr_t address);

#endif
