/* SPDX-License-Identifier: MIT */
/*
 * Atomic accesses with the order in the name. Acquire and release are the default pair; a
 * relaxed access must say at its use why order does not matter, a release what it pairs with.
 * The order is never a parameter. The access is marked, not the object: fields are plain types.
 *
 * On x86-64 all but the sequentially consistent stores and the read-modify-writes are plain moves;
 * on AArch64 acquire and release are LDAR and STLR.
 */
#ifndef KERNEL_LIB_ATOMICS_H
#define KERNEL_LIB_ATOMICS_H

#include <stdbool.h>
#include <stdint.h>

#define atomic_load_relaxed(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_load_seq_cst(p)     __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define atomic_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atomic_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atomic_store_seq_cst(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)

/*
 * The load of a pointer that orders what is read through it, and nothing else: the CPU does that by
 * itself, for the address depends on the load (all but the DEC Alpha), and no compiler takes a
 * dependency away from a pointer it knows nothing about. ThreadSanitizer knows acquire only.
 * Volatile rather than __atomic_load_n(): the same instruction, but gcc computes addresses into it.
 */
#if defined(__SANITIZE_THREAD__)
#define atomic_load_dependent(p) atomic_load_acquire(p)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define atomic_load_dependent(p) atomic_load_acquire(p)
#endif
#endif
#ifndef atomic_load_dependent
#define atomic_load_dependent(p) (*(__typeof__(*(p)) volatile *)(p))
#endif

/* Each returns the value before. */
#define atomic_add_relaxed(p, v)      __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define atomic_sub_relaxed(p, v)      __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED)
#define atomic_or_relaxed(p, v)       __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define atomic_or_acquire(p, v)       __atomic_fetch_or((p), (v), __ATOMIC_ACQUIRE)
#define atomic_or_seq_cst(p, v)       __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define atomic_and_relaxed(p, v)      __atomic_fetch_and((p), (v), __ATOMIC_RELAXED)
#define atomic_and_release(p, v)      __atomic_fetch_and((p), (v), __ATOMIC_RELEASE)
#define atomic_and_seq_cst(p, v)      __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
#define atomic_add_acq_rel(p, v)      __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define atomic_exchange_acquire(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define atomic_exchange_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)

/* True when *p was *expected and is now v; else *expected is what *p was. */
#define atomic_cas_acquire(p, expected, v) \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define atomic_cas_acq_rel(p, expected, v) \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define atomic_cas_seq_cst(p, expected, v) \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE)

/* Orders everything before it with everything after it, on all cores that do the same. */
#define atomic_fence_seq_cst() __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* Keeps the compiler from moving accesses across; the CPU is free to. */
#define compiler_barrier() __asm__ volatile("" : : : "memory")

#endif
