/* SPDX-License-Identifier: MIT */
/* Red zones of debug builds and of those for a sanitizer. See redzone.h. */
#include "alloc/redzone.h"

#if REDZONE
#include "alloc/crime.h"
#include "alloc/poison.h"
#include "alloc/span.h"
#include "kernel-lib/memory.h"
#include "kernel-lib/print.h"

#define TAG_OPEN  0xa110ca7ed0000000u
#define TAG_FREE  0xf4ee000000000000u
#define ZONE_BYTE 0xbd
#define FREE_BYTE 0xdf

/* Behind the pattern: the calls and the state. */
#define TAIL_BYTES (REDZONE_CALLS * sizeof(uintptr_t) + sizeof(uint64_t))

/* No MMU page is smaller: where one byte of it can be read, all of it can. */
#define STACK_PAGE_BYTES 4096u
#define FRAME_BYTES      (2 * sizeof(uintptr_t))

static uint64_t *state_word(void *object, size_t room)
{
    return (uint64_t *)((char *)object + room - sizeof(uint64_t));
}

static uint64_t open_word(const void *object, size_t bytes)
{
    return (uint64_t)bytes ^ (uintptr_t)object ^ TAG_OPEN;
}

static uint64_t free_word(const void *object)
{
    return (uintptr_t)object ^ TAG_FREE;
}

/* Filled up to here when free. */
static size_t fill_bytes(size_t room)
{
    return room - sizeof(uint64_t);
}

/* ---- the calls ---- */

static uintptr_t *call_words(void *object, size_t room)
{
    return (uintptr_t *)((char *)object + room - TAIL_BYTES);
}

/* The record of the caller of `frame`, if it is above and in the same page; else 0. */
static uintptr_t frame_above(uintptr_t frame, uintptr_t above)
{
    bool same_page = above / STACK_PAGE_BYTES == frame / STACK_PAGE_BYTES &&
                     above % STACK_PAGE_BYTES <= STACK_PAGE_BYTES - FRAME_BYTES;
    return same_page && above > frame && above % sizeof(uintptr_t) == 0 ? above : 0;
}

static void note_calls(uintptr_t *calls, uintptr_t frame)
{
    for (const uintptr_t *end = calls + REDZONE_CALLS; calls != end; calls++) {
        uintptr_t above = 0;
        *calls = 0;
        if (frame == 0)
            continue;
        arch_frame_step(frame, calls, &above);
        frame = frame_above(frame, above);
    }
}

/* ---- objects ---- */

void redzone_prepare(struct bh_span *span)
{
    if (span->object_bytes < REDZONE_BYTES)
        return; /* no request comes down to this class */
    for (uint32_t i = 0; i < span->objs; i++)
        redzone_close((void *)span_object(span, i), span->object_bytes); /* NOLINT: memory */
}

POISON_BLIND void redzone_check_free(void *object, size_t room)
{
    const unsigned char *byte = object;
    if (BH_DEBUG < 2 && !BH_HARDEN)
        return;
    for (size_t i = 0; i < fill_bytes(room); i++)
        BH_CHECK(byte[i] == FREE_BYTE,
                 "bh_malloc: free object 0x%zx (%zu bytes) was written to: byte %zu is 0x%02x",
                 (size_t)(uintptr_t)object, room, i, byte[i]);
    BH_CHECK(*state_word(object, room) == free_word(object),
             "bh_malloc: free object 0x%zx (%zu bytes) was written to: its last word",
             (size_t)(uintptr_t)object, room);
}

void redzone_open(void *object, size_t bytes, size_t room, uintptr_t frame)
{
    poison_lift((uintptr_t)object, room);
    memset((char *)object + bytes, ZONE_BYTE, room - TAIL_BYTES - bytes);
    note_calls(call_words(object, room), frame);
    *state_word(object, room) = open_word(object, bytes);
    poison_open((uintptr_t)object, bytes, room);
}

void redzone_close(void *object, size_t room)
{
    poison_lift((uintptr_t)object, room);
    memset(object, FREE_BYTE, fill_bytes(room));
    *state_word(object, room) = free_word(object);
    poison_lay((uintptr_t)object, room);
}

POISON_BLIND static _Noreturn void zone_panic(const char *call, void *object, size_t bytes,
                                              size_t i, uintptr_t caller)
{
    char what[96];
    print_format(what, sizeof(what), "written past its end (%zu bytes): byte %zu is 0x%02x", bytes,
                 i, ((unsigned char *)object)[i]);
    crime_panic(call, (uintptr_t)object, what, caller);
}

static _Noreturn void freed_already(const char *call, void *object, uintptr_t caller)
{
    poison_probe((uintptr_t)object); /* a sanitizer has more to say than we do */
    crime_panic(call, (uintptr_t)object, "freed already", caller);
}

POISON_BLIND size_t redzone_check(const char *call, void *object, size_t room, uintptr_t caller)
{
    uint64_t word = *state_word(object, room);
    if (word == free_word(object))
        freed_already(call, object, caller);
    size_t bytes = (size_t)(word ^ (uintptr_t)object ^ TAG_OPEN);
    if (bytes > room - REDZONE_BYTES)
        crime_panic(call, (uintptr_t)object, "written past its end: its last word is not ours",
                    caller);
    for (size_t i = bytes; i < room - TAIL_BYTES; i++)
        if (((unsigned char *)object)[i] != ZONE_BYTE)
            zone_panic(call, object, bytes, i, caller);
    return bytes;
}

POISON_BLIND bool redzone_is_free(const void *object, size_t room)
{
    void *writable = (void *)(uintptr_t)object; /* only looked at */
    return *state_word(writable, room) == free_word(object);
}

POISON_BLIND size_t redzone_origin(const void *object, size_t room, uintptr_t *calls)
{
    void *writable = (void *)(uintptr_t)object; /* only looked at */
    size_t bytes = (size_t)(*state_word(writable, room) ^ (uintptr_t)object ^ TAG_OPEN);
    bool whole = bytes <= room - REDZONE_BYTES;
    const uintptr_t *from = call_words(writable, room);
    for (const uintptr_t *end = from + REDZONE_CALLS; from != end; from++)
        *calls++ = whole ? *from : 0;
    return whole ? bytes : room;
}
#endif
