/* SPDX-License-Identifier: MIT */
/*
 * The build-time options: each with its meaning, its default and a check of its range.
 * Set them with -D; every file of one build must see the same values.
 */
#ifndef BAREHEAP_CONFIG_H
#define BAREHEAP_CONFIG_H

/* The most cores a kernel may have. Costs a few words of .bss each, and where the collector is
 * linked 1.5 KiB each, nothing else. */
#ifndef BH_MAX_CORES
#define BH_MAX_CORES 64
#endif
#if BH_MAX_CORES < 1 || BH_MAX_CORES > 1024
#error "BH_MAX_CORES must be 1 to 1024"
#endif

/* The most regions of RAM a heap is made of. */
#ifndef BH_MAX_REGIONS
#define BH_MAX_REGIONS 32
#endif
#if BH_MAX_REGIONS < 1 || BH_MAX_REGIONS > 1024
#error "BH_MAX_REGIONS must be 1 to 1024"
#endif

/*
 * What the address of every manual object is a multiple of at least: 16, as the ABIs promise for
 * any type, or 8. Objects of 16 bytes and more are aligned to 16 in any case; 8 lets smaller ones
 * have 8 bytes each, whose bitmaps take 1.6 % of their memory.
 */
#ifndef BH_MIN_ALIGN
#define BH_MIN_ALIGN 16
#endif
#if BH_MIN_ALIGN != 8 && BH_MIN_ALIGN != 16
#error "BH_MIN_ALIGN must be 8 or 16"
#endif

/*
 * Assertion tier: 0 only BH_CHECK (a caller's crime, corruption); 1 adds constant-time
 * preconditions, lock ranks, red zones behind every manual object and the check of every
 * free at the call; 2 adds walks of one object or list; 3 runs bh_heap_verify() at every
 * refill.
 */
#ifndef BH_DEBUG
#define BH_DEBUG 0
#endif
#if BH_DEBUG < 0 || BH_DEBUG > 3
#error "BH_DEBUG must be 0 to 3"
#endif

/*
 * How a core's private cache is protected from that core's own interrupts:
 *
 *   MASK     interrupts off around the fast path. Needs nothing of the kernel: the default.
 *   BUSY     a flag per core; an interrupt handler that finds it set goes to the central tier. The
 *            kernel must not preempt (move to another core, or run another thread of the same
 *            one) inside a call of ours; interrupts may come at any time.
 *   RESTART  the fast paths are restartable sequences: nothing is paid on the path. The kernel
 *            calls bh_restart_fixup() at every entry from kernel mode, and bh_core_init() on each
 *            core (port.h); BH_CORE_REGISTER and BH_CORE_SLOT name the core's slot.
 *   NONE     a core is a thread of a process, nothing interrupts it that allocates. The slot is the
 *            library's thread-local variable bh_core_slot, which starts as that of an empty cache.
 */
#define BH_PROTECT_MASK    1
#define BH_PROTECT_BUSY    2
#define BH_PROTECT_RESTART 3
#define BH_PROTECT_NONE    4
#ifndef BH_PROTECT
#define BH_PROTECT BH_PROTECT_MASK
#endif
#if BH_PROTECT < 1 || BH_PROTECT > 4
#error "BH_PROTECT must be BH_PROTECT_MASK, _BUSY, _RESTART or _NONE"
#endif

/*
 * For RESTART: where each core keeps 8 bytes for us, its slot. x86-64: segment register (gs, fs)
 * and what is added to its base; AArch64: system register that holds the core's base address, and
 * an offset from it (a multiple of 8 under 32768). The defaults are gs:8 and [tpidr_el1, #8].
 */
#ifndef BH_CORE_REGISTER
#if defined(__x86_64__)
#define BH_CORE_REGISTER gs
#else
#define BH_CORE_REGISTER tpidr_el1
#endif
#endif
#ifndef BH_CORE_SLOT
#define BH_CORE_SLOT 8
#endif

/*
 * What the caches of all cores and the shared ones may hold together: 1/BH_CACHE_SHARE of the heap
 * in use, but enough for every core to keep BH_CACHE_CORE_BYTES, and that no more than the same
 * share of all regions.
 */
#ifndef BH_CACHE_SHARE
#define BH_CACHE_SHARE 64
#endif
#if BH_CACHE_SHARE < 2 || BH_CACHE_SHARE > 1024
#error "BH_CACHE_SHARE must be 2 to 1024"
#endif
#ifndef BH_CACHE_CORE_BYTES
#define BH_CACHE_CORE_BYTES 32768
#endif
#if BH_CACHE_CORE_BYTES < 1024
#error "BH_CACHE_CORE_BYTES must be 1024 or more"
#endif

/*
 * 1: a hardened heap. Every wrong free is found at the call, freed memory is poisoned and checked
 * before it is handed out again, objects come in random order, large objects have guard pages
 * where the port can make them (tests/misuse/README.md says what exactly). Costs time (bar: 1.3
 * times the plain build's in `make bench`) and 1/16 of the memory of small objects, of which the
 * smallest is 16 bytes.
 */
#ifndef BH_HARDEN
#define BH_HARDEN 0
#endif
#if BH_HARDEN != 0 && BH_HARDEN != 1
#error "BH_HARDEN must be 0 or 1"
#endif

/* Hardened builds: objects from so many bytes on have guard pages (16 KiB each, and calls of
 * bh_port_guard). 1: all large ones, which are those over 64 KiB. */
#ifndef BH_GUARD_BYTES
#define BH_GUARD_BYTES 1
#endif
#if BH_GUARD_BYTES < 1
#error "BH_GUARD_BYTES must be 1 or more"
#endif

/*
 * 1: the heap tells a memory sanitizer (KASAN, AddressSanitizer) what is free, through
 * __asan_poison_memory_region() and __asan_unpoison_memory_region(). On by itself in files
 * compiled with -fsanitize=address; a kernel whose KASAN knows other names defines those two.
 * Requests then have the red zones of BH_DEBUG=1, and every free is checked at the call.
 */
#ifndef BH_SANITIZE
#if defined(__SANITIZE_ADDRESS__)
#define BH_SANITIZE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BH_SANITIZE 1
#endif
#endif
#endif
#ifndef BH_SANITIZE
#define BH_SANITIZE 0
#endif
#if BH_SANITIZE != 0 && BH_SANITIZE != 1
#error "BH_SANITIZE must be 0 or 1"
#endif

/*
 * 0: interrupts are masked with the CPU's own instruction (arch/). 1: with the hooks
 * bh_port_irq_save, bh_port_irq_restore and bh_port_irq_enabled, for a kernel that virtualises its
 * interrupt flag and for the host board, whose interrupts are signals.
 */
#ifndef BH_PORT_IRQ
#define BH_PORT_IRQ 0
#endif
#if BH_PORT_IRQ != 0 && BH_PORT_IRQ != 1
#error "BH_PORT_IRQ must be 0 or 1"
#endif

/*
 * 1: the port can tell, by bh_port_alone(), that no other core calls us. Locks are then taken
 * without an atomic read-modify-write, which costs as much as a dozen other instructions.
 */
#ifndef BH_PORT_ALONE
#define BH_PORT_ALONE 0
#endif
#if BH_PORT_ALONE != 0 && BH_PORT_ALONE != 1
#error "BH_PORT_ALONE must be 0 or 1"
#endif

/*
 * How long a collection waits for another core to stop, in nanoseconds, before it is abandoned.
 * A hang detector: far above any interrupts-off stretch of the kernel. The clock is the port's.
 */
#ifndef BH_STOP_TIMEOUT_NS
#define BH_STOP_TIMEOUT_NS 2000000000ULL
#endif
#if BH_STOP_TIMEOUT_NS < 1000000ULL
#error "BH_STOP_TIMEOUT_NS under a millisecond abandons healthy collections"
#endif

/* The most objects and references that bh_gc_dump() lists: about 15 bytes of text each. */
#ifndef BH_GC_DUMP_ITEMS
#define BH_GC_DUMP_ITEMS 100000
#endif
#if BH_GC_DUMP_ITEMS < 0
#error "BH_GC_DUMP_ITEMS must be 0 or more"
#endif

#endif
