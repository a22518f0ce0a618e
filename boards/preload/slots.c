/* SPDX-License-Identifier: MIT */
/*
 * Slots: which numbers 0 .. BH_MAX_CORES - 1 are somebody's.
 *
 * A bitmap, one bit per slot, and the lowest free one is taken, so that the numbers in use stay
 * small: bh_port_core_count() is one more than the highest there ever was, and the caches share
 * their budget between so many. No locks: a slot is taken by a compare-and-swap of its word.
 */
#include "boards/preload/preload.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/bits.h"
#include "kernel-lib/check.h"
#include <bareheap/port.h>

#define WORD_BITS 64
BH_STATIC_ASSERT(BH_MAX_CORES % WORD_BITS == 0, "whole words");

static uint64_t taken[BH_MAX_CORES / WORD_BITS];
static uint32_t slots_count;
static uint32_t shared = SLOT_NONE;

unsigned bh_port_core_count(void)
{
    /* Relaxed: a figure for budgets, and a bound for looks into caches, which are shown by a
     * table with an order of its own. */
    uint32_t count = atomic_load_relaxed(&slots_count);
    return count ? count : 1;
}

/* Keeps slots_count above every slot that was ever taken. */
static void count_note(uint32_t slot)
{
    uint32_t count = atomic_load_relaxed(&slots_count); /* as above */
    while (count <= slot && !atomic_cas_acquire(&slots_count, &count, slot + 1))
        ;
}

/* A free slot of word `w` under `end`, or SLOT_NONE. */
static uint32_t take_from_word(uint32_t w, uint32_t end)
{
    uint64_t word = atomic_load_relaxed(&taken[w]); /* a hint: the swap decides */
    while (~word != 0) {
        uint32_t bit = (uint32_t)bits_lowest(~word);
        uint32_t slot = w * WORD_BITS + bit;
        if (slot >= end)
            return SLOT_NONE;
        /* Acquire: pairs with slot_give(): how the last thread left the slot's cache is seen. */
        if (atomic_cas_acquire(&taken[w], &word, word | (uint64_t)1 << bit))
            return slot;
    }
    return SLOT_NONE;
}

static uint32_t take_under(uint32_t end)
{
    uint32_t slot = SLOT_NONE;
    for (uint32_t w = 0; w * WORD_BITS < end && slot == SLOT_NONE; w++)
        slot = take_from_word(w, end);
    if (slot != SLOT_NONE)
        count_note(slot);
    return slot;
}

uint32_t slot_take(void)
{
    return take_under(BH_MAX_CORES - 1);
}

void slot_give(uint32_t slot)
{
    uint64_t bit = (uint64_t)1 << (slot % WORD_BITS);
    (void)atomic_and_release(&taken[slot / WORD_BITS], ~bit); /* pairs with take_from_word() */
}

uint32_t slot_shared(void)
{
    for (;;) {
        uint32_t none = SLOT_NONE;
        /* Relaxed: a number; what the slot's users share is under their lock. */
        uint32_t slot = atomic_load_relaxed(&shared);
        if (slot != SLOT_NONE)
            return slot;
        slot = take_under(BH_MAX_CORES);
        if (slot == SLOT_NONE)
            continue; /* another thread has the last and is about to say so */
        if (atomic_cas_acquire(&shared, &none, slot))
            return slot;
        slot_give(slot); /* another thread was first */
    }
}

bool slot_is_shared(uint32_t slot)
{
    return slot == atomic_load_relaxed(&shared); /* as above */
}

void slot_each_taken(void (*visit)(uint32_t slot))
{
    for (uint32_t slot = 0; slot < BH_MAX_CORES; slot++)
        /* Relaxed: for a process with one thread. */
        if (atomic_load_relaxed(&taken[slot / WORD_BITS]) >> (slot % WORD_BITS) & 1)
            visit(slot);
}
