/* SPDX-License-Identifier: MIT */
/*
 * map: a hash map with chains, whose keys and values are objects of their own: a key is 16 to 47
 * bytes without pointers, a value one cell. Keys come, get new values, are looked up and go; the
 * table doubles when it is full.
 */
#include "tests/bench-gc/heap.h"

#define KEYS         600000u
#define FIRST_SLOTS  64u
#define USUAL_ROUNDS 6000000u

struct entry {
    struct entry *next;
    uint64_t *key;
    struct cell *value;
    uint64_t hash;
};
COLLECTOR_TYPE(entry_type, struct entry,
               COLLECTOR_POINTER(struct entry, next) | COLLECTOR_POINTER(struct entry, key) |
                   COLLECTOR_POINTER(struct entry, value));
COLLECTOR_TYPE(cell_type, struct cell, COLLECTOR_POINTER(struct cell, next));

struct map {
    struct entry **slots; /* a power of two */
    uint64_t slots_count, entries;
};

static struct map map;

static uint64_t hash_of(uint64_t key)
{
    uint64_t hash = key * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* Where the entry of the key is linked, or would be. */
static struct entry **find(uint64_t key)
{
    uint64_t hash = hash_of(key);
    struct entry **at = &map.slots[hash & (map.slots_count - 1)];

    while (*at != NULL && ((*at)->hash != hash || (*at)->key[0] != key))
        at = &(*at)->next;
    return at;
}

static void grow(void)
{
    uint64_t count = map.slots_count * 2;
    struct entry **slots = collector_scan(count * sizeof(struct entry *));

    for (uint64_t i = 0; i < map.slots_count; i++)
        for (struct entry *entry = map.slots[i], *next; entry != NULL; entry = next) {
            struct entry **at = &slots[entry->hash & (count - 1)];
            next = entry->next;
            entry->next = *at;
            *at = entry;
        }
    map.slots = slots;
    map.slots_count = count;
}

static struct entry *entry_new(uint64_t key, size_t key_bytes)
{
    struct entry *entry = COLLECTOR_NEW(entry_type, struct entry);

    entry->hash = hash_of(key);
    entry->key = collector_noscan(key_bytes);
    entry->key[0] = key;
    return entry;
}

/* Returns the value that was there. */
static uint64_t put(uint64_t key, size_t key_bytes, uint64_t value)
{
    struct entry **at = find(key);
    uint64_t old;

    if (*at == NULL) {
        *at = entry_new(key, key_bytes);
        map.entries++;
    }
    old = (*at)->value == NULL ? 0 : (*at)->value->tag;
    (*at)->value = COLLECTOR_NEW(cell_type, struct cell);
    (*at)->value->tag = value;
    if (map.entries > map.slots_count)
        grow();
    return old;
}

static uint64_t take_out(uint64_t key)
{
    struct entry **at = find(key), *entry = *at;

    if (entry == NULL)
        return 0;
    *at = entry->next;
    map.entries--;
    return entry->value->tag;
}

static uint64_t map_run(const struct bench_options *options)
{
    struct random random = random_seeded(4);
    uint64_t sum = 0;

    map.slots = collector_scan(FIRST_SLOTS * sizeof(struct entry *));
    map.slots_count = FIRST_SLOTS;
    for (uint64_t i = bench_rounds(options, USUAL_ROUNDS); i > 0; i--) {
        uint64_t key = random_below(&random, KEYS);
        uint32_t what = random_below(&random, 4);
        size_t key_bytes = 16 + key % 32;
        if (what == 0)
            sum += take_out(key);
        else if (what == 1)
            sum += *find(key) != NULL;
        else
            sum += put(key, key_bytes, i);
    }
    return sum + map.entries;
}

const struct workload workload_map = {
    .name = "map",
    .about = "a hash map of objects: new values, new keys, lookups",
    .run = map_run,
};
