/* SPDX-License-Identifier: MIT */
/*
 * The heap's memory: one large reservation, and more when that is not enough.
 *
 * 1. Nothing is done before the first allocation. It finds a heap without regions, and the library
 *    asks bh_port_pages_wanted() for pages, as it does whenever it has none left: that makes the
 *    heap. So there is no test for it on any path.
 * 2. The first region is address space for four times the machine's RAM, which costs nothing until
 *    it is touched: its metadata is in front of it and is touched as the heap grows.
 * 3. Where that is refused (limits of the process, strict overcommit), the heap starts small and
 *    grows by a quarter at a time.
 * 4. What the reservation has no room for, though it is several times the RAM, the heap grows for,
 *    unless it is more than RAM and swap: no machine backs that, and a program that asks for it
 *    wants to hear so. The system has its say as well, as it has for any malloc.
 * 5. Free pages go back by madvise(). A process has no idle loop, so gradual release does its steps
 *    in the threads that come out of the library.
 *
 * errno is as it was after every function here: free() must not change it.
 * Lock: memory_lock, so that of several threads that are out of memory one asks the system.
 */
#define _GNU_SOURCE
#include "boards/preload/preload.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/bits.h"
#include <bareheap/alloc.h>
#include <bareheap/port.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#define RESERVE_RAM_TIMES 4
#define GROW_LO_BYTES     ((size_t)64 << 20)
#define GROW_SHARE        4 /* of what there is */
#define REGION_ALIGN      ((size_t)2 << 20)
#define HULL_SHARE        48 /* a region's part of the hull: its map is then 5 % of it (16th at most) */
#define REQUEST_HI_BYTES  ((size_t)1 << 46) /* beyond any address space: sums below stay small */

static uint32_t memory_lock;

/* Under the lock: of all regions together, and what lies between the first and the last byte. */
static size_t mapped_bytes;
static uintptr_t hull_lo = UINTPTR_MAX;
static uintptr_t hull_hi;

/* --- Regions -------------------------------------------------------------------------- */

/* Of the first region the system need not be able to back what is never touched; what the heap
 * grows by was asked for, and is refused where the system can see that it is too much. */
static void *map(size_t bytes)
{
    int unreserved = mapped_bytes == 0 ? MAP_NORESERVE : 0;
    void *base =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | unreserved, -1, 0);
    return base == MAP_FAILED ? NULL : base;
}

/* The most that any request could ever have memory for. */
static size_t machine_bytes(void)
{
    struct sysinfo info;
    if (sysinfo(&info) != 0)
        return REQUEST_HI_BYTES;
    size_t bytes = ((size_t)info.totalram + info.totalswap) * info.mem_unit;
    return bytes < REQUEST_HI_BYTES ? bytes : REQUEST_HI_BYTES;
}

/* Whether the process may have only so much: then a large reservation would take it all. */
static bool is_limited(void)
{
    struct rlimit space;
    struct rlimit data;
    return getrlimit(RLIMIT_AS, &space) != 0 || getrlimit(RLIMIT_DATA, &data) != 0 ||
           space.rlim_cur != RLIM_INFINITY || data.rlim_cur != RLIM_INFINITY;
}

static size_t reserve_bytes(void)
{
    struct sysinfo info;
    size_t bytes = preload_options()->reserve_bytes;
    if (bytes == 0 && is_limited())
        bytes = GROW_LO_BYTES;
    if (bytes == 0 && sysinfo(&info) == 0)
        bytes = (size_t)info.totalram * info.mem_unit * RESERVE_RAM_TIMES;
    if (bytes < GROW_LO_BYTES)
        bytes = GROW_LO_BYTES;
    return bits_round_up(bytes, REGION_ALIGN);
}

/* Whether the library can have a map of all regions and this one in it (alloc.h, BH_TOO_FAR): it
 * would refuse and log that, in the middle of somebody's program. */
static bool is_near(uintptr_t base, size_t bytes)
{
    uintptr_t lo = base < hull_lo ? base : hull_lo;
    uintptr_t hi = base + bytes > hull_hi ? base + bytes : hull_hi;
    return (hi - lo) / HULL_SHARE <= bytes;
}

/* Makes [base, base + bytes) part of the heap. */
static bool region_give(void *base, size_t bytes)
{
    struct bh_region region = {.base = base, .bytes = bytes, .zeroed = true, .virgin = true};
    if (mapped_bytes != 0 && !is_near((uintptr_t)base, bytes))
        return false;
    if ((mapped_bytes == 0 ? bh_init(&region, 1) : bh_add_region_with(&region)) != BH_OK)
        return false;
    mapped_bytes += bytes;
    hull_lo = (uintptr_t)base < hull_lo ? (uintptr_t)base : hull_lo;
    hull_hi = (uintptr_t)base + bytes > hull_hi ? (uintptr_t)base + bytes : hull_hi;
    return true;
}

/* Makes a region of `bytes` bytes, or of half as many, and so on, but never under `least`. */
static bool region_add(size_t bytes, size_t least)
{
    void *base = map(bytes);
    while (!base && bytes / 2 >= least) {
        bytes = bits_round_up(bytes / 2, REGION_ALIGN);
        base = map(bytes);
    }
    if (!base)
        return false;
    if (region_give(base, bytes))
        return true;
    (void)munmap(base, bytes);
    return false;
}

/* What a region needs beside `bytes` of pages: its metadata, a map of all there is, rounding. */
static size_t with_metadata(size_t bytes)
{
    size_t all = bytes + mapped_bytes;
    return bits_round_up(bytes + bytes / 64 + all / 512 + REGION_ALIGN, REGION_ALIGN);
}

static bool heap_grow(size_t bytes)
{
    if (bytes > machine_bytes())
        return false;
    size_t least = with_metadata(bytes);
    size_t wanted = bits_round_up(mapped_bytes / GROW_SHARE, REGION_ALIGN);
    wanted = wanted > GROW_LO_BYTES ? wanted : GROW_LO_BYTES;
    return region_add(wanted > 2 * least ? wanted : 2 * least, least);
}

bool bh_port_pages_wanted(size_t bytes)
{
    int error = errno;
    uintptr_t inside = bh_port_irq_save(); /* a fork finds the lock free */
    preload_lock(&memory_lock);
    bool more = mapped_bytes == 0 && region_add(reserve_bytes(), GROW_LO_BYTES);
    if (!more)
        more = mapped_bytes != 0 && heap_grow(bytes);
    preload_unlock(&memory_lock);
    bh_port_irq_restore(inside);
    errno = error;
    return more;
}

/* --- Giving memory back --------------------------------------------------------------- */

/* Only whole pages of the system, which may be larger than ours. They read as zero afterwards. */
void bh_port_pages_released(void *base, size_t bytes)
{
    int error = errno;
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t lo = bits_round_up((uintptr_t)base, page_bytes);
    uintptr_t hi = bits_round_down((uintptr_t)base + bytes, page_bytes);
    if (lo < hi)
        (void)madvise((void *)lo, hi - lo, MADV_DONTNEED); /* NOLINT: an address becomes memory */
    errno = error;
}

/* Only where the system's pages are no larger than ours. Fails when the process has as many
 * mappings as it may have (Linux: 65,530). */
bool bh_port_guard(void *base, size_t bytes, bool guard)
{
    int error = errno;
    bool done = (size_t)sysconf(_SC_PAGESIZE) <= bytes &&
                mprotect(base, bytes, guard ? PROT_NONE : PROT_READ | PROT_WRITE) == 0;
    errno = error;
    return done;
}

static uint64_t coarse_now_ns(void)
{
    int error = errno;
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    errno = error; /* a filter of system calls may forbid even this one */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The first look waits for this long, a look while another thread is at it for ever. */
#define TICK_FIRST_NS 1000000000u

#define TICK_HELD UINT64_MAX

static uint64_t tick_due_ns; /* TICK_HELD: a thread is in a step, or forks */
static uint64_t tick_held_due_ns;
static bool tick_is_held; /* by who forks; this and the one above are its */
static __thread bool tick_is_mine __attribute__((tls_model("initial-exec")));

/* Acquire: pairs with the releases below. */
static bool tick_take(uint64_t *due_ns)
{
    return *due_ns != TICK_HELD && atomic_cas_acquire(&tick_due_ns, due_ns, TICK_HELD);
}

void memory_tick(void)
{
    uint64_t now_ns = coarse_now_ns();
    uint64_t due_ns = atomic_load_relaxed(&tick_due_ns); /* a hint: the swap decides who goes on */
    if (due_ns > now_ns || !tick_take(&due_ns))
        return;
    tick_is_mine = true;
    uint64_t pause_ns = due_ns ? bh_scavenge() : TICK_FIRST_NS;
    tick_is_mine = false;
    atomic_store_release(&tick_due_ns, now_ns + pause_ns); /* pairs with tick_take() */
}

/* The handler of a signal may fork in a step of its own thread: that step goes on in the child. */
void memory_tick_hold(unsigned rounds)
{
    for (unsigned i = 0; i < rounds && !tick_is_mine; i++) {
        uint64_t due_ns = atomic_load_relaxed(&tick_due_ns); /* a hint, as above */
        if (tick_take(&due_ns)) {
            tick_held_due_ns = due_ns;
            tick_is_held = true;
            return;
        }
        bh_port_wait(i);
    }
}

void memory_tick_release(void)
{
    if (!tick_is_held)
        return;
    tick_is_held = false;
    atomic_store_release(&tick_due_ns, tick_held_due_ns); /* pairs with tick_take() */
}
