/* SPDX-License-Identifier: MIT */
/*
 * Weak references.
 *
 * 1. A reference is the address of a word in a record: the complement of the object's address, or
 *    0 once the object was found unreachable. All references to an object are one record, counted.
 * 2. Reading takes no lock. Between the load of the word and the moment in which the address is in
 *    a register, a stop may find the object unreachable, for nothing on this core looks like a
 *    reference to it; but then it has cleared the word. So the word is read once more: if it is
 *    what it was, no stop came between, or it saw the address.
 *
 * Lock: that of special.c, but for reading. Invariants: serial[] counts the references to a record,
 * and is not 0; a record whose object is 0 gets no more references.
 */
#include "gc/weak.h"
#include "alloc/walk.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include <bareheap/gc.h>

static size_t weak_references;

struct weak_request {
    uintptr_t object;
    struct special at;
};

/* The record of references to the object that can count one more; 0: none. */
static uint32_t find_weak(uintptr_t object)
{
    for (uint32_t id = special_first_locked(object); id != 0;
         id = special_next_locked(id, object)) {
        struct special at = special_at(id);
        if (at.chunk->kind == SPECIAL_WEAK && at.chunk->serial[at.place] < UINT32_MAX)
            return id;
    }
    return 0;
}

static bool add_reference(void *arg)
{
    struct weak_request *request = arg;
    uint32_t id = find_weak(request->object);
    if (id == 0)
        id = special_add_locked(SPECIAL_WEAK, request->object);
    if (id == 0)
        return false;
    request->at = special_at(id);
    request->at.chunk->serial[request->at.place]++;
    weak_references++;
    return true;
}

struct bh_gc_weak *bh_gc_weak_create(void *object)
{
    struct weak_request request = {.object = (uintptr_t)object};
    special_check("bh_gc_weak_create", object, (uintptr_t)__builtin_return_address(0));
    special_note(object);
    bool done = special_with(SPECIAL_WEAK, add_reference, &request);
    bh_gc_keep_alive(object); /* until the record is there */
    if (!done)
        return NULL;
    return (struct bh_gc_weak *)(void *)&request.at.chunk->object[request.at.place];
}

void *bh_gc_weak_get(const struct bh_gc_weak *weak)
{
    const uintptr_t *word = (const uintptr_t *)(const void *)weak;
    /* Relaxed, both: the word is written once after the reference was made, in a stop of this core,
     * or by who frees the object by hand, and two loads of one word are never seen in the
     * wrong order. What the object holds came to this core together with the reference. */
    uintptr_t hidden = atomic_load_relaxed(word);
    uintptr_t object = special_hide(hidden);
    /* The address is in a register, not to be computed later; and the second load comes after it.
     */
    __asm__ volatile("" : "+r"(object) : : "memory");
    bool same = hidden != 0 && atomic_load_relaxed(word) == hidden;
    void *found = same ? (void *)object : NULL; /* NOLINT: an address becomes memory */
    bh_gc_keep_alive((void *)object);           /* NOLINT: through the second load */
    return found;
}

static struct special weak_record(const struct bh_gc_weak *weak)
{
    uintptr_t address = (uintptr_t)weak;
    struct special_chunk *chunk = (void *)bits_round_down(address, PAGE_BYTES); /* NOLINT */
    return (struct special){
        chunk, (uint32_t)((address - (uintptr_t)chunk->object) / sizeof(chunk->object[0]))};
}

void bh_gc_weak_destroy(struct bh_gc_weak *weak)
{
    if (weak == NULL)
        return;
    struct special at = weak_record(weak);
    uintptr_t irq = special_lock_acquire();
    bool exists = at.chunk->serial[at.place] != 0;
    if (exists) {
        weak_references--;
        if (--at.chunk->serial[at.place] == 0)
            special_drop_locked(at);
    }
    special_lock_release(irq);
    BH_CHECK(exists, "bh_gc_weak_destroy(%p): not a weak reference; caller %p", (void *)weak,
             __builtin_return_address(0));
}

size_t weak_count_locked(void)
{
    return weak_references;
}
