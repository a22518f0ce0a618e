/* SPDX-License-Identifier: MIT */
/* The hardened heap: spans, seals, random order, and the words for what was found. See harden.h. */
#include "alloc/harden.h"

#if BH_HARDEN
#include "alloc/crime.h"
#include "alloc/meta.h"
#include "alloc/walk.h"
#include "arch/arch.h"
#include "kernel-lib/percore.h"

static uint64_t harden_key;

/* ---- random numbers ---- */

struct harden_core {
    uint64_t random;
} __attribute__((aligned(ARCH_CACHE_LINE)));

static PER_CORE(struct harden_core, harden_cores);

/* Mixes a counter into a number (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
 * Generators, OOPSLA 2014: the finalizer and the step of SplitMix64). */
static uint64_t mix(uint64_t n)
{
    n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9u;
    n = (n ^ (n >> 27)) * 0x94d049bb133111ebu;
    return n ^ (n >> 31);
}

/* What differs from boot to boot: the clock, the counter, where things lie. */
static BH_COLD uint64_t seed(const void *salt)
{
    uint64_t clock = bh_port_now_ns();
    return mix(arch_cycles()) ^ mix(clock + 1) ^ mix((uintptr_t)salt) ^ mix((uintptr_t)&salt);
}

/* Interrupts off. */
static uint64_t random_next(void)
{
    struct harden_core *core = &per_core_here(harden_cores);
    if (BH_UNLIKELY(core->random == 0))
        core->random = seed(core);
    core->random += 0x9e3779b97f4a7c15u;
    return mix(core->random);
}

/* Durstenfeld's shuffle, four steps from one random number. The upper half of a product is below
 * the factor (no division); the bias is count / 2^16. */
void harden_shuffle(void **objects, size_t count)
{
    uint64_t random = 0;
    for (size_t left = count; left > 1; left--, random >>= 16) {
        if ((count - left) % 4 == 0)
            random = random_next();
        size_t pick = ((random & 0xffff) * left) >> 16;
        void *object = objects[left - 1];
        objects[left - 1] = objects[pick];
        objects[pick] = object;
    }
}

/* ---- records ---- */

static uint64_t rotate(uint64_t n, unsigned bits)
{
    return n << bits | n >> (64 - bits);
}

/* Of all that is constant. Bitmaps of collected spans change places: their order must not matter.
 */
static uint64_t seal_of(const struct bh_span *span)
{
    uint64_t bits = (uintptr_t)span_cell(span);
    uint64_t length = (uint64_t)span->pages << 32 | span->objs;
    uint64_t sizes = (uint64_t)span->reciprocal << 32 ^ span->object_bytes;
    uint64_t kind = (uint64_t)span->kind << 8 | span->size_class;
    return harden_key ^ (uintptr_t)span ^ rotate(span->base, 7) ^ rotate(bits, 17) ^
           rotate(length, 29) ^ rotate(sizes, 41) ^ rotate(kind, 53);
}

void harden_seal(struct bh_span *span)
{
    if (BH_UNLIKELY(harden_key == 0))
        harden_key = seed(span) | 1; /* the first span: nobody has looked at a seal yet */
    span->seal = seal_of(span);
}

void harden_check_record(const struct bh_span *span)
{
    BH_CHECK(span->seal == seal_of(span),
             "[ALLOC-14] the record at %p was overwritten: span 0x%zx, class %u, %zu bytes",
             (const void *)span, (size_t)span->base, span->size_class, span_object_bytes(span));
}

/* ---- state bytes ---- */

/* Objects of the class below the least are never asked for. */
static bool has_states(const struct bh_span *span)
{
    return span->kind == KIND_MANUAL && span->size_class >= SIZE_CLASS_LEAST;
}

/* A cell for each page, all of a size, so that any span can use what another one has left. */
static bool alloc_cells(struct bh_span *span)
{
    bool enough = true;
    for (size_t i = 0; i < span->pages; i++) {
        span[i].states = meta_alloc(HARDEN_STATES_BYTES);
        enough &= span[i].states != NULL;
    }
    return enough;
}

static void free_cells(struct bh_span *span)
{
    for (size_t i = 0; i < span->pages; i++) {
        meta_free(span[i].states, HARDEN_STATES_BYTES);
        span[i].states = NULL;
    }
}

static void set_states(struct bh_span *span, uint8_t state)
{
    for (uint32_t i = 0; i < span->objs; i++) {
        size_t offset = i * span->object_bytes;
        uint8_t *states = span[offset >> PAGE_SHIFT].states;
        states[offset % PAGE_BYTES / HARDEN_GRANULE_BYTES] = state;
    }
}

bool harden_begin(struct bh_span *span)
{
    if (!has_states(span))
        return true;
    if (!alloc_cells(span))
        return false;
    bool fresh = HARDEN_POISON && span->flags & RUN_ZEROED;
    set_states(span, fresh ? HARDEN_FRESH : span->size_class);
    for (uint32_t i = 0; HARDEN_POISON && !fresh && i < span->objs; i++)
        harden_fill(span_object(span, i), span->object_bytes);
    return true;
}

/* The map's entries for the span, under the page heap's lock. */
static uint8_t **entries_of(const struct bh_span *span)
{
    return &pagemap_current->states_of[(span->base >> PAGE_SHIFT) - pagemap_current->first_page];
}

void harden_publish(struct bh_span *span)
{
    harden_seal(span);
    if (!has_states(span))
        return;
    uint8_t **entries = entries_of(span);
    for (size_t i = 0; i < span->pages; i++)
        atomic_store_relaxed(&entries[i], span[i].states); /* see harden_state_of() */
}

static void forget_states(struct bh_span *span)
{
    uintptr_t irq = spinlock_acquire(&page_heap.lock);
    uint8_t **entries = entries_of(span);
    for (size_t i = 0; i < span->pages; i++)
        atomic_store_relaxed(&entries[i], NULL); /* see harden_state_of() */
    spinlock_release(&page_heap.lock, irq);
}

void harden_end(struct bh_span *span)
{
    if (!has_states(span))
        return;
    forget_states(span);
    free_cells(span);
}

static bool is_object_granule(const struct bh_span *span, size_t offset)
{
    uint32_t idx = span_idx(span, span->base + offset);
    return idx < span->objs && idx * span->object_bytes == offset;
}

BH_COLD void harden_verify(const struct bh_span *span)
{
    size_t bytes = has_states(span) ? (size_t)span->pages << PAGE_SHIFT : 0;
    for (size_t offset = 0; offset < bytes; offset += HARDEN_GRANULE_BYTES) {
        uintptr_t address = span->base + offset;
        uint8_t state = *harden_state_of(address);
        bool right = state == 0;
        if (is_object_granule(span, offset))
            right = state == HARDEN_FRESH || state == span->size_class ||
                    (state == (span->size_class | HARDEN_OUT) &&
                     !bitmap_test(span->bits, span_idx(span, address)));
        BH_CHECK(right, "[ALLOC-15] wrong state 0x%02x at 0x%zx: span 0x%zx, class %u", state,
                 (size_t)address, (size_t)span->base, span->size_class);
    }
}

/* ---- words ---- */

void harden_out_panic(void *object, size_t size_class)
{
    char where[128];
    uintptr_t address = (uintptr_t)object;
    unsigned class_byte = pagemap_class(address);
    if (!page_class_is_free(class_byte))
        harden_check_record(pagemap_span(address));
    walk_describe(address, where, sizeof(where));
    if (class_byte == size_class && span_is_object(pagemap_span(address), address))
        bh_panic("bh_malloc: free object 0x%zx is handed out already: freed twice at the same time,"
                 " or a cache was overwritten: %s",
                 (size_t)address, where);
    bh_panic("[ALLOC-6] bh_malloc: a cache of class %zu was overwritten: it has 0x%zx: %s",
             size_class, (size_t)address, where);
}

/* The pattern's byte at `offset` of an object: both CPUs are little-endian. */
static unsigned char fill_byte(size_t offset)
{
    return (unsigned char)(HARDEN_FILL_WORD >> (offset % 8 * 8));
}

/* The offset in [from, to) of the first byte that is not the pattern's; `to` when all are. */
static size_t first_written(const unsigned char *byte, size_t from, size_t to)
{
    while (from < to && byte[from] == fill_byte(from))
        from++;
    return from;
}

static _Noreturn void written_panic(const unsigned char *object, size_t bytes, size_t written)
{
    bh_panic("bh_malloc: free object 0x%zx (%zu bytes) was written to: byte %zu is 0x%02x",
             (size_t)(uintptr_t)object, bytes, written, object[written]);
}

/* What lies between the filled ends of a long object is whatever its last owner left. */
void harden_fill_panic(const void *object, size_t size_class)
{
    size_t bytes = size_classes[size_class].object_bytes;
    size_t most = HARDEN_FILL_HEAD_BYTES + HARDEN_FILL_TAIL_BYTES;
    size_t head = bytes <= most ? bytes : HARDEN_FILL_HEAD_BYTES;
    size_t i = first_written(object, 0, head);
    if (i == head)
        i = first_written(object, bytes - HARDEN_FILL_TAIL_BYTES, bytes);
    written_panic(object, bytes, i);
}

void harden_head_panic(const void *object, size_t bytes)
{
    size_t most = HARDEN_FILL_HEAD_BYTES + HARDEN_FILL_TAIL_BYTES;
    written_panic(object, bytes, first_written(object, 0, most));
}

void harden_back_panic(void *object, const char *call, uintptr_t caller)
{
    uintptr_t address = (uintptr_t)object;
    if (!page_class_is_free(pagemap_class(address))) {
        const struct bh_span *span = pagemap_span(address);
        harden_check_record(span);
        if (!span_is_object(span, address))
            crime_panic(call, address, "inside an object", caller);
    }
    crime_panic(call, address, "freed already", caller);
}

bool harden_is_out(const struct bh_span *span, const void *object)
{
    return !has_states(span) || *harden_state_of((uintptr_t)object) & HARDEN_OUT;
}

void harden_check_out(const struct bh_span *span, void *object, const char *call, uintptr_t caller)
{
    harden_check_record(span);
    if (!harden_is_out(span, object))
        crime_panic(call, (uintptr_t)object, "freed already", caller);
}
#endif
