/* SPDX-License-Identifier: MIT */
/*
 * The device tree's format: a header, a list of reserved memory, a block of tokens, a block of
 * property names. All numbers are big-endian words at offsets that are multiples of 4.
 *
 * 1. fdt_open() checks that each block lies within the tree.
 * 2. fdt_walk() reads token by token. BEGIN_NODE has a name behind it, PROP a length, the offset of
 *    its name, and its value; both are padded to a word.
 * 3. At a BEGIN_NODE the node's own properties, which come before its children, are scanned and
 *    checked once; only then is the visitor called, which can ask for any of them.
 */
#include "boards/qemu-aarch64/fdt.h"

#include "kernel-lib/string.h"

#define FDT_MAGIC        0xd00dfeedu
#define FDT_HEADER_BYTES 40u

/* So that offsets within the tree, rounded up, do not wrap around 32 bits. */
#define FDT_MAX_BYTES 0x40000000u

enum fdt_header {
    HEADER_MAGIC = 0,
    HEADER_TOTAL_BYTES = 4,
    HEADER_STRUCT = 8,
    HEADER_STRINGS = 12,
    HEADER_RESERVATIONS = 16,
    HEADER_LAST_COMPATIBLE = 24,
    HEADER_STRINGS_BYTES = 32,
    HEADER_STRUCT_BYTES = 36,
};

enum fdt_token {
    TOKEN_BEGIN_NODE = 1,
    TOKEN_END_NODE = 2,
    TOKEN_PROP = 3,
    TOKEN_NOP = 4,
    TOKEN_END = 9,
};

/* A property as it stands in the tree. */
struct fdt_prop {
    const char *name;
    struct fdt_value value;
};

static bool fail(struct fdt *fdt, const char *error, uint32_t at)
{
    fdt->error = error;
    fdt->error_at = at;
    return false;
}

/* By bytes: a value may lie at any address. */
static uint32_t load_word(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t word_at(const struct fdt *fdt, uint32_t offset)
{
    return load_word(fdt->blob + offset);
}

static uint64_t long_at(const struct fdt *fdt, uint32_t offset)
{
    return (uint64_t)word_at(fdt, offset) << 32 | word_at(fdt, offset + 4);
}

static bool lies_within(uint32_t start, uint32_t bytes, uint32_t end)
{
    return start <= end && bytes <= end - start;
}

static bool check_blocks(struct fdt *fdt)
{
    uint32_t total = fdt->total_bytes;
    fdt->struct_start = word_at(fdt, HEADER_STRUCT);
    uint32_t struct_bytes = word_at(fdt, HEADER_STRUCT_BYTES);
    if (word_at(fdt, HEADER_LAST_COMPATIBLE) > 17)
        return fail(fdt, "the format is newer than version 17", HEADER_LAST_COMPATIBLE);
    if (fdt->struct_start % 4 != 0 || !lies_within(fdt->struct_start, struct_bytes, total))
        return fail(fdt, "the structure block is not inside the tree", HEADER_STRUCT);
    fdt->struct_end = fdt->struct_start + struct_bytes;

    fdt->strings_start = word_at(fdt, HEADER_STRINGS);
    fdt->strings_bytes = word_at(fdt, HEADER_STRINGS_BYTES);
    if (!lies_within(fdt->strings_start, fdt->strings_bytes, total))
        return fail(fdt, "the strings block is not inside the tree", HEADER_STRINGS);

    fdt->reservations_start = word_at(fdt, HEADER_RESERVATIONS);
    if (fdt->reservations_start > total)
        return fail(fdt, "the reservations are not inside the tree", HEADER_RESERVATIONS);
    return true;
}

bool fdt_open(struct fdt *fdt, const void *blob, size_t max_bytes)
{
    *fdt = (struct fdt){.blob = blob};
    if (max_bytes < FDT_HEADER_BYTES)
        return fail(fdt, "there is no room for a header", 0);
    if (word_at(fdt, HEADER_MAGIC) != FDT_MAGIC)
        return fail(fdt, "the magic number 0xd00dfeed is missing", HEADER_MAGIC);
    fdt->total_bytes = word_at(fdt, HEADER_TOTAL_BYTES);
    if (fdt->total_bytes < FDT_HEADER_BYTES || fdt->total_bytes > max_bytes ||
        fdt->total_bytes > FDT_MAX_BYTES)
        return fail(fdt, "its size is absurd", HEADER_TOTAL_BYTES);
    return check_blocks(fdt);
}

/* Whether a string that starts at `start` ends before `end`; stores the offset behind its zero. */
static bool string_ends(const struct fdt *fdt, uint32_t start, uint32_t end, uint32_t *behind)
{
    for (uint32_t i = start; i < end; i++) {
        if (fdt->blob[i] == 0) {
            *behind = i + 1;
            return true;
        }
    }
    return false;
}

static uint32_t round_to_word(uint32_t offset)
{
    return (offset + 3) & ~3u;
}

/* The token at *at, past NOPs, which *at skips. 0, which is no token, at the end of the block. */
static uint32_t token_at(const struct fdt *fdt, uint32_t *at)
{
    while (lies_within(*at, 4, fdt->struct_end)) {
        uint32_t token = word_at(fdt, *at);
        if (token != TOKEN_NOP)
            return token;
        *at += 4;
    }
    return 0;
}

/* Reads the property whose token is at *at and moves *at behind it; checks all of it. */
static bool read_property(struct fdt *fdt, uint32_t *at, struct fdt_prop *prop)
{
    uint32_t start = *at;
    uint32_t behind;
    if (!lies_within(start, 12, fdt->struct_end))
        return fail(fdt, "a property is cut off", start);
    uint32_t bytes = word_at(fdt, start + 4);
    uint32_t name = word_at(fdt, start + 8);
    if (!lies_within(start + 12, bytes, fdt->struct_end))
        return fail(fdt, "a property's value is longer than the tree", start);
    if (name >= fdt->strings_bytes ||
        !string_ends(fdt, fdt->strings_start + name, fdt->strings_start + fdt->strings_bytes,
                     &behind))
        return fail(fdt, "a property's name is not in the strings block", start);
    prop->name = (const char *)fdt->blob + fdt->strings_start + name;
    prop->value.data = fdt->blob + start + 12;
    prop->value.bytes = bytes;
    *at = round_to_word(start + 12 + bytes);
    return true;
}

/* Checks the node's own properties and picks out the cells; *at moves behind them. */
static bool read_properties(struct fdt *fdt, struct fdt_node *node, uint32_t *at)
{
    struct fdt_prop prop;
    while (token_at(fdt, at) == TOKEN_PROP) {
        if (!read_property(fdt, at, &prop))
            return false;
        if (string_equal(prop.name, "#address-cells"))
            node->address_cells = fdt_value_word(prop.value, 0);
        if (string_equal(prop.name, "#size-cells"))
            node->size_cells = fdt_value_word(prop.value, 0);
    }
    return true;
}

/* Reads the node whose token is at *at, with its properties. The defaults of the cells are the
 * specification's. */
static bool read_node(struct fdt *fdt, struct fdt_node *node, uint32_t *at)
{
    uint32_t behind;
    node->name = (const char *)fdt->blob + *at + 4;
    node->address_cells = 2;
    node->size_cells = 1;
    if (!string_ends(fdt, *at + 4, fdt->struct_end, &behind))
        return fail(fdt, "a node's name does not end", *at);
    node->properties = round_to_word(behind);
    *at = node->properties;
    return read_properties(fdt, node, at);
}

bool fdt_walk(struct fdt *fdt,
              void (*visit)(const struct fdt *fdt, const struct fdt_node *node, void *arg),
              void *arg)
{
    struct fdt_node path[FDT_MAX_DEPTH];
    uint32_t depth = 0;
    uint32_t at = fdt->struct_start;
    for (;;) {
        uint32_t token = token_at(fdt, &at);
        if (token == TOKEN_BEGIN_NODE) {
            if (depth == FDT_MAX_DEPTH)
                return fail(fdt, "nodes are nested too deep", at);
            path[depth].parent = depth ? &path[depth - 1] : NULL;
            if (!read_node(fdt, &path[depth], &at))
                return false;
            visit(fdt, &path[depth], arg);
            depth++;
        } else if (token == TOKEN_END_NODE && depth > 0) {
            at += 4;
            depth--;
        } else if (token == TOKEN_END && depth == 0) {
            return true;
        } else {
            return fail(fdt, "a token is out of place", at);
        }
    }
}

bool fdt_reservation(const struct fdt *fdt, uint32_t i, uint64_t *address, uint64_t *bytes)
{
    uint32_t room = (fdt->total_bytes - fdt->reservations_start) / 16;
    if (i >= room)
        return false;
    *address = long_at(fdt, fdt->reservations_start + i * 16);
    *bytes = long_at(fdt, fdt->reservations_start + i * 16 + 8);
    return *address != 0 || *bytes != 0;
}

struct fdt_value fdt_property(const struct fdt *fdt, const struct fdt_node *node, const char *name)
{
    struct fdt copy = *fdt; /* read_property() may write an error: not again, it has passed */
    struct fdt_prop prop;
    uint32_t at = node->properties;
    while (token_at(&copy, &at) == TOKEN_PROP && read_property(&copy, &at, &prop)) {
        if (string_equal(prop.name, name))
            return prop.value;
    }
    return (struct fdt_value){NULL, 0};
}

bool fdt_value_has(struct fdt_value value, const char *text)
{
    uint32_t start = 0;
    for (uint32_t i = 0; i < value.bytes; i++) {
        if (value.data[i] != 0)
            continue;
        if (string_equal((const char *)value.data + start, text))
            return true;
        start = i + 1;
    }
    return false;
}

uint32_t fdt_value_word(struct fdt_value value, uint32_t i)
{
    return i < value.bytes / 4 ? load_word(value.data + (size_t)i * 4) : 0;
}

static uint64_t value_cells(struct fdt_value value, uint32_t i, uint32_t cells)
{
    if (cells == 0)
        return 0;
    uint64_t high = cells == 2 ? fdt_value_word(value, i) : 0;
    return high << 32 | fdt_value_word(value, i + cells - 1);
}

bool fdt_reg(const struct fdt *fdt, const struct fdt_node *node, uint32_t i, uint64_t *address,
             uint64_t *bytes)
{
    if (!node->parent)
        return false;
    uint32_t address_cells = node->parent->address_cells;
    uint32_t size_cells = node->parent->size_cells;
    if (address_cells < 1 || address_cells > 2 || size_cells > 2)
        return false;
    struct fdt_value reg = fdt_property(fdt, node, "reg");
    uint32_t cells = address_cells + size_cells;
    if (i >= reg.bytes / 4 / cells)
        return false;
    *address = value_cells(reg, i * cells, address_cells);
    *bytes = value_cells(reg, i * cells + address_cells, size_cells);
    return true;
}

bool fdt_name_is(const struct fdt_node *node, const char *name)
{
    const char *own = node->name;
    while (*name && *own == *name) {
        own++;
        name++;
    }
    return !*name && (!*own || *own == '@');
}
