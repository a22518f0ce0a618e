/* SPDX-License-Identifier: MIT */
/*
 * A reader of flattened device trees: a bounds-checked walk over all nodes. It knows the format
 * (Devicetree Specification 0.4, chapter 5), not the meaning: that is hardware.c. It touches
 * nothing but the tree, so it runs on the host too.
 *
 * Nothing here trusts the tree: every offset is checked before it is used, and the first thing that
 * is wrong ends the walk with its reason and place.
 */
#ifndef BOARDS_QEMU_AARCH64_FDT_H
#define BOARDS_QEMU_AARCH64_FDT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nodes in nodes, root included. QEMU's go 4 deep. */
#define FDT_MAX_DEPTH 16

/* equations: total_bytes <= bytes given to fdt_open(); every block lies within it. */
struct fdt {
    const uint8_t *blob;
    uint32_t total_bytes;
    uint32_t struct_end; /* offsets from blob */
    uint32_t struct_start;
    uint32_t strings_start;
    uint32_t strings_bytes;
    uint32_t reservations_start;
    const char *error; /* NULL, or what is wrong */
    uint32_t error_at; /* the offset of it */
};

struct fdt_node {
    const struct fdt_node *parent; /* NULL for the root */
    const char *name;              /* "memory@40000000"; "" for the root */
    uint32_t properties;           /* offset of the first token after the name */
    uint32_t address_cells;        /* of this node's children: 32-bit words of an address */
    uint32_t size_cells;           /* and of a size, in their `reg` */
};

/* A property's value. */
struct fdt_value {
    const uint8_t *data; /* NULL when the node has no such property */
    uint32_t bytes;
};

/* Checks the header of a tree of at most `max_bytes` bytes. False: fdt->error says why. */
bool fdt_open(struct fdt *fdt, const void *blob, size_t max_bytes);

/* Calls visit for every node, parents first. False: fdt->error says why it ended early. */
bool fdt_walk(struct fdt *fdt,
              void (*visit)(const struct fdt *fdt, const struct fdt_node *node, void *arg),
              void *arg);

/* Entry i of the list of reserved memory; false past its end. */
bool fdt_reservation(const struct fdt *fdt, uint32_t i, uint64_t *address, uint64_t *bytes);

/* Only from a visit: the walk has checked the node's properties before it calls. */
struct fdt_value fdt_property(const struct fdt *fdt, const struct fdt_node *node, const char *name);

/* Whether a list of strings (`compatible`) has `text`, or a single string is it. */
bool fdt_value_has(struct fdt_value value, const char *text);

/* Word i of a value, in the CPU's byte order; 0 past its end. */
uint32_t fdt_value_word(struct fdt_value value, uint32_t i);

/*
 * Entry i of the node's `reg`, by its parent's cells. False past the end, and where the cells are
 * not 1 or 2 (a size may have 0).
 */
bool fdt_reg(const struct fdt *fdt, const struct fdt_node *node, uint32_t i, uint64_t *address,
             uint64_t *bytes);

/* Whether the name is `name` or `name`@anything. */
bool fdt_name_is(const struct fdt_node *node, const char *name);

#endif
