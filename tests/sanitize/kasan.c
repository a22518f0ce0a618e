/* SPDX-License-Identifier: MIT */
/* A small KASAN. See kasan.h. Nothing in here may be instrumented itself. */
#include "tests/sanitize/kasan.h"
#include "alloc/poison.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"

#if BH_PORT_IRQ /* the host */

int __asan_address_is_poisoned(const volatile void *address);

void kasan_watch(const char *base)
{
    (void)base;
}

bool kasan_is_open(uintptr_t address)
{
    return !__asan_address_is_poisoned((const volatile void *)address);
}

#else

/* The library knows them where it calls them. */
void __asan_poison_memory_region(const volatile void *address, size_t bytes);
void __asan_unpoison_memory_region(const volatile void *address, size_t bytes);

#define GRANULE_BYTES 8
#define KASAN_POISON  0xff

static uint8_t shadow[KASAN_REGION_BYTES / GRANULE_BYTES];
static uintptr_t region; /* 0: nothing is watched */

POISON_BLIND void kasan_watch(const char *base)
{
    for (size_t i = 0; i < sizeof(shadow); i++)
        ((volatile uint8_t *)shadow)[i] = 0; /* volatile: or it is memset, which looks itself up */
    region = (uintptr_t)base;
}

/* The shadow of an address, NULL when it is not watched. */
POISON_BLIND static uint8_t *shadow_of(uintptr_t address)
{
    uintptr_t offset = address - region;
    return region != 0 && offset < KASAN_REGION_BYTES ? &shadow[offset / GRANULE_BYTES] : NULL;
}

/* ---- what the library calls ---- */

/* How many of a granule's bytes are open. */
POISON_BLIND static size_t open_bytes(uint8_t value)
{
    return value == 0 ? GRANULE_BYTES : value == KASAN_POISON ? 0 : value;
}

POISON_BLIND bool kasan_is_open(uintptr_t address)
{
    const uint8_t *value = shadow_of(address);
    return value == NULL || address % GRANULE_BYTES < open_bytes(*value);
}

POISON_BLIND static void set_open_bytes(uint8_t *value, size_t count)
{
    *value = (uint8_t)(count == 0 ? KASAN_POISON : count == GRANULE_BYTES ? 0 : count);
}

/* Closes [from, to) of a granule: what is behind it can only be closed too. */
POISON_BLIND static void lay(uint8_t *value, size_t from, size_t to)
{
    if (to >= open_bytes(*value) && from < open_bytes(*value))
        set_open_bytes(value, from);
}

/* Opens [from, to) of a granule: what is before it can only be open too. */
POISON_BLIND static void lift(uint8_t *value, size_t from, size_t to)
{
    (void)from;
    if (to > open_bytes(*value))
        set_open_bytes(value, to);
}

POISON_BLIND static void each_granule(uintptr_t address, size_t bytes,
                                      void (*change)(uint8_t *value, size_t from, size_t to))
{
    uintptr_t end = address + bytes;
    while (address < end) {
        size_t from = address % GRANULE_BYTES;
        size_t rest = end - (address - from);
        uint8_t *value = shadow_of(address);
        if (value)
            change(value, from, rest < GRANULE_BYTES ? rest : GRANULE_BYTES);
        address += GRANULE_BYTES - from;
    }
}

POISON_BLIND void __asan_poison_memory_region(const volatile void *address, size_t bytes)
{
    each_granule((uintptr_t)address, bytes, lay);
}

POISON_BLIND void __asan_unpoison_memory_region(const volatile void *address, size_t bytes)
{
    each_granule((uintptr_t)address, bytes, lift);
}

/* ---- what the compiler calls ---- */

POISON_BLIND static _Noreturn void report(const char *what, uintptr_t address, size_t bytes,
                                          uintptr_t caller)
{
    size_t offset = 0;
    const char *name = bh_symbol_name(caller, &offset);
    region = 0; /* the report may look where it likes */
    bh_panic("kasan: %s of %zu bytes at 0x%zx is poisoned; by 0x%zx (%s+0x%zx)", what, bytes,
             (size_t)address, (size_t)caller, name ? name : "?", offset);
}

POISON_BLIND static void look(const char *what, uintptr_t address, size_t bytes, uintptr_t caller)
{
    for (uintptr_t at = address; region != 0 && at < address + bytes; at++)
        if (!kasan_is_open(at))
            report(what, address, bytes, caller);
}

#define CALLER ((uintptr_t)__builtin_return_address(0))

#define KASAN_ACCESS(bytes)                                      \
    void __asan_load##bytes##_noabort(uintptr_t address);        \
    POISON_BLIND void __asan_load##bytes##_noabort(uintptr_t a)  \
    {                                                            \
        look("read", a, bytes, CALLER);                          \
    }                                                            \
    void __asan_store##bytes##_noabort(uintptr_t address);       \
    POISON_BLIND void __asan_store##bytes##_noabort(uintptr_t a) \
    {                                                            \
        look("write", a, bytes, CALLER);                         \
    }

KASAN_ACCESS(1)
KASAN_ACCESS(2)
KASAN_ACCESS(4)
KASAN_ACCESS(8)
KASAN_ACCESS(16)

void __asan_loadN_noabort(uintptr_t address, size_t bytes);
POISON_BLIND void __asan_loadN_noabort(uintptr_t address, size_t bytes)
{
    look("read", address, bytes, CALLER);
}

void __asan_storeN_noabort(uintptr_t address, size_t bytes);
POISON_BLIND void __asan_storeN_noabort(uintptr_t address, size_t bytes)
{
    look("write", address, bytes, CALLER);
}

/* Tells a tool with poisoned stacks that a frame ends here; we have none. */
void __asan_handle_no_return(void);
POISON_BLIND void __asan_handle_no_return(void)
{
}

#endif
