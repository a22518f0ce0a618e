/* SPDX-License-Identifier: MIT */
/*
 * Caches that go home: a core empties its own, of itself or because another core asks for it.
 *
 * 1. Only its own core touches a cache, so one that wants another's emptied sets a flag for that
 *    core and interrupts it. The handler, bh_handle_signal(), empties the cache with interrupts
 *    off, objects into their spans and collected runs back, and takes the flag down.
 * 2. bh_drain_core() does not wait. drain_others(), when memory is out, does: until the flags are
 *    down or 10 ms have passed. A core that does not answer is left; it does the work whenever it
 *    takes the interrupt, and the flag stays up until then.
 * 3. Nobody waits for a core that waits for him [no deadlock]: who waits has interrupts on, and
 * holds no lock of ours, so he takes the interrupt of another who asks, or of a collection, in the
 *    waiting loop. A core with interrupts off is waited for, but not for ever.
 * 4. A cache with nothing in it is not asked for: parked cores and idle ones that have drained cost
 *    no wait.
 *
 * In builds with BH_PROTECT_BUSY an interrupt may find its core in the middle of a fast path; then
 * the flag stays up, until the next signal.
 *
 * Memory that is out asks for other cores' caches only in a kernel that has shown that it can
 * interrupt them: from its first bh_drain_core() on, or its first collected object. So one that has
 * neither links nothing of this.
 */
#ifndef ALLOC_DRAIN_H
#define ALLOC_DRAIN_H

#include <stdint.h>

/* Has all other cores empty their caches, and waits for that a little. Interrupts on, no lock held.
 * Does nothing where the port cannot interrupt cores (bh_port_signal_core is optional). */
void drain_others(void);

/*
 * Looks at all caches, and asks each core to empty its own that has done nothing with it since the
 * look before; does not wait for them. A call within DRAIN_IDLE_NS of the last look does nothing.
 * Returns the nanoseconds until it wants to look again: UINT64_MAX when it has looked just now and
 * found no cached object, and where the port cannot interrupt cores. `now_ns` is the port's clock.
 * One core at a time; interrupts on.
 */
#define DRAIN_IDLE_NS 1000000000ULL
uint64_t drain_idle(uint64_t now_ns);

#endif
