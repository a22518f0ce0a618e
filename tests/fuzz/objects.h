/* SPDX-License-Identifier: MIT */
/*
 * The oracle for manual objects: what is live, with which size and contents. Everything it is told
 * it checks: alignment, overlap, the room, zeros of calloc, contents until the object goes.
 */
#ifndef TESTS_FUZZ_OBJECTS_H
#define TESTS_FUZZ_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBJECTS_SLOTS 96

struct object {
    unsigned char *address; /* NULL: the slot is empty */
    size_t bytes;           /* asked for */
    uint64_t tag;           /* its contents are made from it */
};

extern struct object objects[OBJECTS_SLOTS];

/* All slots empty. */
void objects_reset(void);

/* The heap gave `address` for a request of `bytes` at a multiple of `align`. */
void objects_born(struct object *object, void *address, size_t bytes, size_t align);

/* The same object is now here and so large; the contents of the smaller size are still there. */
void objects_moved(struct object *object, void *address, size_t bytes);

/* Forgets it, whose contents are still right. Returns its address. */
void *objects_gone(struct object *object);

void objects_check_all(void);

/* How many are live, and the bytes asked for. */
size_t objects_live(size_t *bytes);

#endif
