/* SPDX-License-Identifier: MIT */
/* What the allocator's tests share. See heap_test.h. */
#include "tests/unit/heap_test.h"
#include "alloc/guard.h"
#include "alloc/room.h"
#include "kernel-lib/bits.h"
#include "kernel-lib/check.h"
#include "kernel-lib/memory.h"

/* ---- heaps ---- */

char *heap_test_ram(size_t bytes)
{
    size_t count;
    const struct bh_region *ram = board_ram(&count);
    const struct bh_region *largest = ram;
    for (size_t i = 1; i < count; i++)
        if (ram[i].bytes > largest->bytes)
            largest = &ram[i];
    char *base = (char *)bits_round_up((uintptr_t)largest->base, (size_t)2 << 20);
    BH_CHECK(base + bytes <= (char *)largest->base + largest->bytes,
             "the test wants %zu bytes of RAM in one piece; give the machine more", bytes);
    return base;
}

void heap_test_init(size_t bytes)
{
    struct bh_region region = {.base = heap_test_ram(bytes), .bytes = bytes};
    enum bh_status status = bh_init(&region, 1);
    BH_CHECK(status == BH_OK, "bh_init: %s", bh_status_text(status));
}

static void drain_here(void *arg)
{
    (void)arg;
    room_reclaim();
}

void heap_test_drain(void)
{
    heap_test_on_all_cores(drain_here, NULL);
}

void heap_test_drain_large(void)
{
    if (BH_HARDEN)
        guard_drain();
}

struct bh_stats heap_test_stats(void)
{
    struct bh_stats stats;
    heap_test_drain();
    bh_get_stats(&stats);
    return stats;
}

/* ---- jobs ---- */

void heap_test_on_all_cores(void (*fn)(void *arg), void *arg)
{
    for (unsigned core = 1; core < board_cores(); core++)
        board_start(core, fn, arg);
    fn(arg);
    for (unsigned core = 1; core < board_cores(); core++)
        board_wait(core);
}

/* Interrupts off: one that asks a core for its cache may come late. */
void heap_test_verify_at_barrier(void)
{
    uintptr_t irq = arch_irq_save();
    harness_barrier();
    if (bh_port_core() == 0)
        bh_heap_verify();
    harness_barrier();
    arch_irq_restore(irq);
}

/* ---- contents ---- */

/* Words, then bytes: under emulation a byte at a time would be most of a test's time. */
static uint64_t pattern(uint64_t tag, size_t i)
{
    return (tag + i) * 0x9e3779b97f4a7c15u;
}

void heap_test_fill(void *object, size_t bytes, uint64_t tag)
{
    uint64_t *words = object;
    size_t count = bytes / sizeof(*words);
    for (size_t i = 0; i < count; i++)
        words[i] = pattern(tag, i);
    uint64_t last = pattern(tag, count);
    memcpy(words + count, &last, bytes % sizeof(*words));
}

static bool tail_is_filled(const unsigned char *tail, size_t bytes, uint64_t last)
{
    for (size_t i = 0; i < bytes; i++, last >>= 8)
        if (tail[i] != (unsigned char)last)
            return false;
    return true;
}

bool heap_test_is_filled(const void *object, size_t bytes, uint64_t tag)
{
    const uint64_t *words = object;
    size_t count = bytes / sizeof(*words);
    for (size_t i = 0; i < count; i++)
        if (words[i] != pattern(tag, i))
            return false;
    return tail_is_filled((const unsigned char *)(words + count), bytes % sizeof(*words),
                          pattern(tag, count));
}

/* ---- the oracle ---- */

size_t heap_test_size(size_t most)
{
    uint64_t kind = harness_random_below(16);
    size_t limit = kind < 12 ? 256 : kind < 15 ? 4096 : most;
    return harness_random_below(limit < most ? limit + 1 : most + 1);
}

static void check_slot(const struct heap_test_object *slot)
{
    if (!EXPECT(heap_test_is_filled(slot->address, slot->bytes, slot->tag)))
        harness_note("object %p, %zu bytes, has lost its contents", (void *)slot->address,
                     slot->bytes);
}

static void fill_slot(struct heap_test_object *slot, char *address, size_t bytes)
{
    *slot = (struct heap_test_object){address, bytes, harness_random()};
    EXPECT_EQ((uintptr_t)address % (bytes >= 16 ? 16 : 8), 0);
    EXPECT(bh_usable_size(address) >= bytes);
    heap_test_fill(address, bytes, slot->tag);
}

bool heap_test_alloc(struct heap_test_object *slot, size_t bytes)
{
    bool zeroed = harness_random_below(4) == 0;
    char *address = zeroed ? bh_calloc(1, bytes) : bh_malloc(bytes);
    if (!address)
        return false;
    for (size_t i = 0; zeroed && i < bytes; i++)
        if (!EXPECT(address[i] == 0))
            break;
    fill_slot(slot, address, bytes);
    return true;
}

bool heap_test_realloc(struct heap_test_object *slot, size_t bytes)
{
    size_t kept = bytes < slot->bytes ? bytes : slot->bytes;
    check_slot(slot);
    char *moved = bh_realloc(slot->address, bytes);
    if (!moved) {
        check_slot(slot);
        return false;
    }
    /* Whole words: the pattern of an odd tail depends on where it ends. */
    EXPECT(heap_test_is_filled(moved, kept & ~(size_t)7, slot->tag));
    fill_slot(slot, moved, bytes);
    return true;
}

void heap_test_free(struct heap_test_object *slot)
{
    check_slot(slot);
    bh_free(slot->address);
    slot->address = NULL;
}

void heap_test_step(struct heap_test_object *slots, size_t count, size_t most_bytes)
{
    struct heap_test_object *slot = &slots[harness_random_below(count)];
    if (!slot->address)
        heap_test_alloc(slot, heap_test_size(most_bytes));
    else if (harness_random_below(4) == 0)
        heap_test_realloc(slot, heap_test_size(most_bytes));
    else
        heap_test_free(slot);
}

void heap_test_free_all(struct heap_test_object *slots, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slots[i].address)
            heap_test_free(&slots[i]);
}
