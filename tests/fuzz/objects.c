/* SPDX-License-Identifier: MIT */
/* The oracle for manual objects. See objects.h. */
#include "tests/fuzz/objects.h"
#include "alloc/redzone.h"
#include "tests/fuzz/fuzz.h"
#include <bareheap/alloc.h>
#include <string.h>

/* Larger objects are filled at both ends and once a page. */
#define FILL_ENDS_BYTES 1024
#define FILL_STEP_BYTES 4096

struct object objects[OBJECTS_SLOTS];
static uint64_t next_tag;

void objects_reset(void)
{
    memset(objects, 0, sizeof(objects));
    next_tag = 0;
}

/* ---- contents ---- */

static unsigned char pattern(uint64_t tag, size_t i)
{
    return (unsigned char)((tag * 0x9e3779b97f4a7c15u + i * 0xff51afd7ed558ccdu) >> 56);
}

/* The next byte of the object that has a pattern. */
static size_t next_filled(size_t i, size_t bytes)
{
    size_t next = i + 1;
    if (next <= FILL_ENDS_BYTES || next + FILL_ENDS_BYTES >= bytes)
        return next;
    size_t end = bytes - FILL_ENDS_BYTES;
    return next + FILL_STEP_BYTES < end ? next + FILL_STEP_BYTES : end;
}

static void fill(const struct object *object)
{
    for (size_t i = 0; i < object->bytes; i = next_filled(i, object->bytes))
        object->address[i] = pattern(object->tag, i);
}

/* The first `bytes` are as they were filled for `filled_bytes`. */
static void check(const struct object *object, const unsigned char *address, size_t bytes,
                  size_t filled_bytes)
{
    for (size_t i = 0; i < bytes; i = next_filled(i, filled_bytes))
        FUZZ_CHECK(address[i] == pattern(object->tag, i),
                   "object %p of %zu bytes: byte %zu is 0x%02x and not 0x%02x", (void *)address,
                   filled_bytes, i, address[i], pattern(object->tag, i));
}

/* ---- placement ---- */

static void check_placement(const struct object *object, size_t align)
{
    size_t natural = object->bytes >= 16 ? 16 : 8;
    size_t usable = bh_usable_size(object->address);
    uintptr_t address = (uintptr_t)object->address;
    FUZZ_CHECK(address % (align > natural ? align : natural) == 0,
               "0x%zx is not aligned to %zu for %zu bytes", (size_t)address, align, object->bytes);
    FUZZ_CHECK(REDZONE ? usable == object->bytes : usable >= object->bytes,
               "%zu bytes asked for, %zu usable", object->bytes, usable);
    FUZZ_CHECK(address - (uintptr_t)machine_ram < MACHINE_RAM_BYTES &&
                   address + usable <= (uintptr_t)machine_ram + MACHINE_RAM_BYTES,
               "0x%zx is not in our RAM", (size_t)address);
    for (const struct object *other = objects; other < objects + OBJECTS_SLOTS; other++)
        FUZZ_CHECK(other == object || !other->address ||
                       other->address + other->bytes <= object->address ||
                       object->address + usable <= other->address,
                   "0x%zx of %zu bytes overlaps %p of %zu", (size_t)address, usable,
                   (void *)other->address, other->bytes);
}

/* ---- interface ---- */

void objects_born(struct object *object, void *address, size_t bytes, size_t align)
{
    *object = (struct object){.address = address, .bytes = bytes, .tag = ++next_tag};
    check_placement(object, align);
    fill(object);
}

void objects_moved(struct object *object, void *address, size_t bytes)
{
    check(object, address, bytes < object->bytes ? bytes : object->bytes, object->bytes);
    objects_born(object, address, bytes, 1);
}

static void check_whole(const struct object *object)
{
    check(object, object->address, object->bytes, object->bytes);
}

void *objects_gone(struct object *object)
{
    void *address = object->address;
    check_whole(object);
    *object = (struct object){0};
    return address;
}

void objects_check_all(void)
{
    for (const struct object *object = objects; object < objects + OBJECTS_SLOTS; object++)
        if (object->address)
            check_whole(object);
}

size_t objects_live(size_t *bytes)
{
    size_t count = 0;
    *bytes = 0;
    for (const struct object *object = objects; object < objects + OBJECTS_SLOTS; object++) {
        count += object->address != NULL;
        *bytes += object->bytes;
    }
    return count;
}
