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
 * How a core's private cache is protected from that core's own interrupts. Only `mask`
 * (interrupts off around the fast path) exists yet; it needs nothing of the kernel.
 */
#define BH_PROTECT_MASK 1
#ifndef BH_PROTECT
#define BH_PROTECT BH_PROTECT_MASK
#endif
#if BH_PROTECT != BH_PROTECT_MASK
#error "BH_PROTECT must be BH_PROTECT_MASK: the other protections are not there yet"
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
 * How long a collection waits for another core to stop, in nanoseconds, before it is abandoned.
 * A hang detector: far above any interrupts-off stretch of the kernel. The clock is the port's.
 */
#ifndef BH_STOP_TIMEOUT_NS
#define BH_STOP_TIMEOUT_NS 2000000000ULL
#endif
#if BH_STOP_TIMEOUT_NS < 1000000ULL
#error "BH_STOP_TIMEOUT_NS under a millisecond abandons healthy collections"
#endif

#endif
