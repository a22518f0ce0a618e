/* SPDX-License-Identifier: MIT */
/*
 * The store of what is recorded beside objects: finalizers, cleanups, weak references.
 *
 * 1. Records lie in chunks of five pages, of one kind each, found by number in a directory. A
 *    record never moves, so a weak reference can be the address of its word. A chunk that is
 *    empty goes back to the page heap when another one of the kind has room.
 * 2. From an object to its records leads a hash: a chain per bucket through the records, doubly
 *    linked, so that taking one out does not depend on how many an object has.
 * 3. It grows and shrinks by one bucket at a time (linear hashing; W. Litwin, "Linear hashing: a
 *    new tool for file and table addressing", 1980): nowhere is a table of millions copied with
 *    interrupts off. Buckets lie in segments of a page. When there is no memory for another one
 *    the chains get longer, and that is all.
 * 4. An object's address is kept as its complement, so that no scan of memory takes it for a
 *    reference; of a finalizer that is due, as it is. The hash is the same for both.
 * 5. As with pins (roots.c), all memory is taken before the lock and given back after it.
 *
 * Lock: special_lock (LOCK_GC) protects everything here, and what finalize.c and weak.c keep; in a
 * stop it is not needed, for no core stands still with it held. Invariants: a record that is in
 * use is in exactly one chain, that of its object, or its object is 0; free records are zero but
 * for their link; special_low is the largest power of two not above special_buckets. Not here: what
 * records mean.
 */
#include "gc/special.h"
#include "alloc/walk.h"
#include "kernel-lib/check.h"
#include "kernel-lib/memory.h"
#include "kernel-lib/spinlock.h"

#define SPECIAL_PLACE_MASK      (((uint32_t)1 << SPECIAL_PLACE_BITS) - 1)
#define SPECIAL_MOST_CHUNKS     ((uint32_t)1 << (32 - SPECIAL_PLACE_BITS))
#define SPECIAL_SEGMENT_BUCKETS (PAGE_BYTES / sizeof(uint32_t))
#define SPECIAL_FIRST_ROOM      (PAGE_BYTES / sizeof(void *))
#define SPECIAL_LOAD            2 /* records per bucket */

/* Of a block that tiny objects share (alloc/collected.c). */
#define SPECIAL_TINY_BLOCK_BYTES 16

BH_STATIC_ASSERT(offsetof(struct special_chunk, function) == PAGE_BYTES,
                 "a weak reference's page is its chunk");
BH_STATIC_ASSERT(sizeof(struct special_chunk) <= 5 * PAGE_BYTES, "five pages");
BH_STATIC_ASSERT(SPECIAL_RECORDS <= SPECIAL_PLACE_MASK, "a place fits its bits");

/* Pointers to pages. It only grows. */
struct special_directory {
    void **slots;
    size_t room;
};

#define ROOMY_INIT(kind) [kind] = {&special_roomy[(kind)], &special_roomy[(kind)]}

static struct spinlock special_lock = SPINLOCK_INIT(LOCK_GC, "gc specials");
static struct special_directory special_chunks;
static struct list special_roomy[SPECIAL_KINDS] = {
    ROOMY_INIT(SPECIAL_FINALIZER), ROOMY_INIT(SPECIAL_CLEANUP), ROOMY_INIT(SPECIAL_WEAK)};

/* Pages to be given back when the lock is; NULL: none. */
static struct special_chunk *special_empty;
static void *special_empty_segment;

static struct special_directory special_segments;
static size_t special_segments_used;
static size_t special_buckets;
static size_t special_low;
static size_t special_linked; /* records in chains */

/* ---- locking ---- */

uintptr_t special_lock_acquire(void)
{
    return spinlock_acquire(&special_lock);
}

void special_lock_release(uintptr_t irq)
{
    void *chunk = special_empty;
    void *segment = special_empty_segment;
    special_empty = NULL;
    special_empty_segment = NULL;
    spinlock_release(&special_lock, irq);
    if (chunk != NULL)
        walk_pages_free(chunk);
    if (segment != NULL)
        walk_pages_free(segment);
}

/* ---- directories ---- */

/* Makes it twice as large as `old_room`, unless somebody has done so. No lock held. */
static bool directory_grow(struct special_directory *directory, size_t old_room)
{
    size_t room = old_room ? 2 * old_room : SPECIAL_FIRST_ROOM;
    void **slots = walk_pages_alloc(room * sizeof(*slots));
    if (slots == NULL)
        return false;
    memset(slots, 0, room * sizeof(*slots));
    void *unused = slots;
    uintptr_t irq = spinlock_acquire(&special_lock);
    if (directory->room == old_room) {
        unused = directory->slots;
        if (unused != NULL)
            memcpy(slots, unused, old_room * sizeof(*slots));
        *directory = (struct special_directory){slots, room};
    }
    spinlock_release(&special_lock, irq);
    if (unused != NULL)
        walk_pages_free(unused);
    return true;
}

/* ---- the hash, with the lock held ---- */

/* The same for an object's address and its complement. Fibonacci hashing: the high bits of the
 * product depend on all bits. */
static size_t hash_of(uintptr_t word)
{
    uintptr_t folded = word ^ (0 - (word >> 63));
    return (size_t)((folded * 0x9e3779b97f4a7c15u) >> 32);
}

/* Of twice as many buckets as special_low, those from special_buckets on are still one with those
 * that they will be split from. */
static size_t bucket_number(uintptr_t word)
{
    size_t hash = hash_of(word);
    size_t number = hash & (2 * special_low - 1);
    return number < special_buckets ? number : hash & (special_low - 1);
}

static uint32_t *bucket(size_t number)
{
    uint32_t *segment = special_segments.slots[number / SPECIAL_SEGMENT_BUCKETS];
    return &segment[number % SPECIAL_SEGMENT_BUCKETS];
}

static struct special_link *link_of(uint32_t id)
{
    struct special at = special_at(id);
    return &at.chunk->link_of[at.place];
}

static void chain_push(uint32_t *head, uint32_t id)
{
    if (*head != 0)
        link_of(*head)->prev = id;
    *link_of(id) = (struct special_link){*head, 0};
    *head = id;
}

static void chain_remove(uint32_t *head, uint32_t id)
{
    struct special_link link = *link_of(id);
    if (link.next != 0)
        link_of(link.next)->prev = link.prev;
    if (link.prev != 0)
        link_of(link.prev)->next = link.next;
    else
        *head = link.next;
}

/* One bucket more, if there is a place for it: it gets its share of the one it was one with. */
static void hash_split(void)
{
    size_t new = special_buckets;
    if (new == special_segments_used * SPECIAL_SEGMENT_BUCKETS)
        return;
    uint32_t *from = bucket(new - special_low);
    special_buckets++;
    uint32_t next;
    for (uint32_t id = *from; id != 0; id = next) {
        struct special at = special_at(id);
        next = at.chunk->link_of[at.place].next; /* NOLINT: what is linked has a chunk */
        if (bucket_number(at.chunk->object[at.place]) != new)
            continue;
        chain_remove(from, id);
        chain_push(bucket(new), id);
    }
    if (special_buckets == 2 * special_low)
        special_low *= 2;
}

/* The reverse, when there are four times as many buckets as need be. A segment less if possible. */
static void hash_merge(void)
{
    size_t last = special_buckets - 1;
    if (last < SPECIAL_SEGMENT_BUCKETS || SPECIAL_LOAD * special_buckets <= 4 * special_linked)
        return;
    if (special_buckets == special_low)
        special_low /= 2;
    special_buckets--;
    uint32_t *to = bucket(last - special_low);
    uint32_t *from = bucket(last);
    for (uint32_t id; (id = *from) != 0;) {
        chain_remove(from, id);
        chain_push(to, id);
    }
    size_t needed = special_buckets / SPECIAL_SEGMENT_BUCKETS + 1;
    if (needed < special_segments_used && special_empty_segment == NULL)
        special_empty_segment = special_segments.slots[--special_segments_used];
}

static bool hash_is_behind(void)
{
    return special_linked >= SPECIAL_LOAD * special_buckets;
}

static void hash_insert(uint32_t id, uintptr_t word)
{
    chain_push(bucket(bucket_number(word)), id);
    special_linked++;
    if (hash_is_behind())
        hash_split();
}

/* From `id` on, the first record of the object. */
static uint32_t chain_find(uint32_t id, uintptr_t object)
{
    while (id != 0) {
        struct special at = special_at(id);
        uintptr_t word = at.chunk->object[at.place]; /* NOLINT: what is linked has a chunk */
        if (word == special_hide(object) || word == object)
            return id;
        id = at.chunk->link_of[at.place].next;
    }
    return 0;
}

uint32_t special_first_locked(uintptr_t object)
{
    return special_buckets == 0 ? 0 : chain_find(*bucket(bucket_number(object)), object);
}

uint32_t special_next_locked(uint32_t id, uintptr_t object)
{
    return chain_find(link_of(id)->next, object);
}

/* ---- its segments ---- */

/* Whether the next bucket needs one. */
static bool hash_wants_segment(void)
{
    return hash_is_behind() && special_buckets == special_segments_used * SPECIAL_SEGMENT_BUCKETS;
}

static void segment_enter(void *page)
{
    special_segments.slots[special_segments_used++] = page;
    if (special_buckets == 0)
        special_buckets = special_low = SPECIAL_SEGMENT_BUCKETS;
}

/* True when another one is there, whoever was faster; false when memory is out. */
static bool segment_add(void)
{
    void *page = walk_pages_alloc(PAGE_BYTES);
    if (page == NULL)
        return false;
    memset(page, 0, PAGE_BYTES);
    for (;;) {
        uintptr_t irq = spinlock_acquire(&special_lock);
        size_t room = special_segments.room;
        bool wanted = hash_wants_segment();
        bool enters = wanted && special_segments_used < room;
        if (enters)
            segment_enter(page);
        spinlock_release(&special_lock, irq);
        if (enters)
            return true;
        if (wanted && directory_grow(&special_segments, room))
            continue;
        walk_pages_free(page);
        return !wanted;
    }
}

/* ---- chunks ---- */

static struct special_chunk *chunk_new(enum special_kind kind)
{
    struct special_chunk *chunk = walk_pages_alloc(sizeof(*chunk));
    if (chunk == NULL)
        return NULL;
    memset(chunk, 0, sizeof(*chunk));
    list_init(&chunk->link);
    chunk->kind = kind;
    chunk->free_first = 1;
    for (uint32_t place = 0; place + 1 < SPECIAL_RECORDS; place++)
        chunk->link_of[place].next = place + 2;
    return chunk;
}

/* The first free number, or the first that the directory has no room for. */
static size_t chunk_number(void)
{
    size_t number = 1; /* so that no record's is 0 */
    while (number < special_chunks.room && special_chunks.slots[number] != NULL)
        number++;
    return number;
}

/* Into the directory, and the list of those with room; false when *room, that of the directory, is
 * too small. */
static bool chunk_enter(struct special_chunk *chunk, size_t *room)
{
    uintptr_t irq = spinlock_acquire(&special_lock);
    size_t number = chunk_number();
    *room = special_chunks.room;
    bool fits = number < *room;
    if (fits) {
        chunk->number = (uint32_t)number;
        special_chunks.slots[number] = chunk;
        list_push_back(&special_roomy[chunk->kind], &chunk->link);
    }
    spinlock_release(&special_lock, irq);
    return fits;
}

/* False when memory is out. */
static bool chunk_add(enum special_kind kind)
{
    struct special_chunk *chunk = chunk_new(kind);
    if (chunk == NULL)
        return false;
    size_t room;
    while (!chunk_enter(chunk, &room)) {
        if (room < SPECIAL_MOST_CHUNKS && directory_grow(&special_chunks, room))
            continue;
        walk_pages_free(chunk);
        return false;
    }
    return true;
}

struct special_chunk *special_next_chunk(enum special_kind kind, uint32_t *number)
{
    for (size_t i = *number + (size_t)1; i < special_chunks.room; i++) {
        struct special_chunk *chunk = special_chunks.slots[i];
        *number = (uint32_t)i;
        if (chunk != NULL && chunk->kind == kind)
            return chunk;
    }
    return NULL;
}

/* ---- records ---- */

struct special special_at(uint32_t id)
{
    size_t number = id >> SPECIAL_PLACE_BITS;
    struct special_chunk *chunk =
        number < special_chunks.room ? special_chunks.slots[number] : NULL;
    return (struct special){chunk, id & SPECIAL_PLACE_MASK};
}

uint32_t special_add_locked(enum special_kind kind, uintptr_t object)
{
    if (special_buckets == 0 || list_is_empty(&special_roomy[kind]))
        return 0;
    struct special_chunk *chunk =
        container_of(special_roomy[kind].next, struct special_chunk, link);
    uint32_t place = chunk->free_first - 1;
    chunk->free_first = chunk->link_of[place].next;
    chunk->used++;
    if (chunk->free_first == 0)
        list_remove(&chunk->link);
    chunk->object[place] = special_hide(object);
    uint32_t id = special_id_of((struct special){chunk, place});
    hash_insert(id, special_hide(object));
    return id;
}

void special_unlink_locked(struct special at)
{
    uintptr_t *word = &at.chunk->object[at.place];
    if (*word == 0)
        return;
    chain_remove(bucket(bucket_number(*word)), special_id_of(at));
    special_linked--;
    atomic_store_relaxed(word, 0); /* relaxed: see bh_gc_weak_get() */
}

/* Whether another chunk of its kind has room, too. */
static bool chunk_is_spare(const struct special_chunk *chunk)
{
    return chunk->used == 0 && chunk->link.next != chunk->link.prev;
}

void special_drop_locked(struct special at)
{
    struct special_chunk *chunk = at.chunk;
    special_unlink_locked(at);
    hash_merge();
    if (chunk->free_first == 0)
        list_push(&special_roomy[chunk->kind], &chunk->link);
    chunk->function[at.place] = chunk->arg[at.place] = 0;
    chunk->serial[at.place] = chunk->next_due[at.place] = 0;
    chunk->link_of[at.place] = (struct special_link){chunk->free_first, 0};
    chunk->free_first = at.place + 1;
    chunk->used--;
    if (special_empty != NULL || !chunk_is_spare(chunk))
        return;
    list_remove(&chunk->link);
    special_chunks.slots[chunk->number] = NULL;
    special_empty = chunk;
}

/* ---- in any context ---- */

bool special_with(enum special_kind kind, bool (*body)(void *arg), void *arg)
{
    for (;;) {
        uintptr_t irq = special_lock_acquire();
        bool done = body(arg);
        bool no_hash = special_buckets == 0;
        bool wants_segment = hash_wants_segment();
        special_lock_release(irq);
        bool segment = wants_segment && segment_add(); /* when done: only to be faster */
        if (done)
            return true;
        if ((no_hash && !segment) || !chunk_add(kind))
            return false;
    }
}

/* The span of what is in a collected object; else NULL. */
static struct bh_span *special_span(uintptr_t address)
{
    const struct pagemap *map = atomic_load_dependent(&pagemap_current);
    uintptr_t page = (address >> PAGE_SHIFT) - map->first_page;
    /* Acquire: pairs with page_heap_publish(); see walk_find(). */
    if (page >= map->pages || atomic_load_acquire(&map->class_of[page]) != PAGE_COLLECTED)
        return NULL;
    return map->span_of[page];
}

static bool is_first_byte(const struct bh_span *span, uintptr_t address)
{
    if (span->kind == KIND_NOSCAN && span->object_bytes == SPECIAL_TINY_BLOCK_BYTES)
        return true;
    uintptr_t offset = address - span->base;
    uintptr_t idx = (offset * span->reciprocal) >> 32;
    return idx < span->objs && offset == idx * span->object_bytes;
}

void special_check(const char *call, const void *object, uintptr_t caller)
{
    uintptr_t address = (uintptr_t)object;
    const struct bh_span *span = special_span(address);
    if (span == NULL)
        crime_panic(call, address, "not a collected object", caller);
    else if (!is_first_byte(span, address))
        crime_panic(call, address, "inside an object", caller);
    else if (!walk_is_allocated(address))
        crime_panic(call, address, "freed already", caller);
}

void special_note(const void *object)
{
    /* Relaxed: who frees the object has been told of it since, by who had it noted or before. */
    atomic_or_relaxed(&special_span((uintptr_t)object)->flags, (uint8_t)RUN_SPECIAL);
}

bool special_is_noted(const void *object)
{
    const struct bh_span *span = special_span((uintptr_t)object);
    return span != NULL && atomic_load_relaxed(&span->flags) & RUN_SPECIAL; /* see special_note() */
}
