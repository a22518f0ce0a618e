/* SPDX-License-Identifier: MIT */
/*
 * Bareheap inside a program of your own on Linux: your threads become its cores.
 *
 *     bh_host_init(512 << 20, 8);            the calling thread is a core from here on
 *     ... in each other thread: ...
 *     bh_host_attach_thread();
 *     void *object = bh_malloc(100);
 *     bh_host_detach_thread();
 *
 * A core is a slot, not a thread: any number of threads may come and go, and at most as many as
 * there are cores are attached at one time. The collector stops attached threads with SIGURG, so
 * leave that signal alone, unblocked, and expect system calls that are never restarted (poll,
 * nanosleep) to return EINTR. fork() is not supported.
 *
 * Roots are the executable's .data and .bss and the stacks of attached threads. Not roots:
 * variables of the kind __thread, the data of shared libraries (the C library's malloc heap
 * included), the stacks of threads that are not attached; see bh_gc_add_root() and bh_gc_pin().
 */
#ifndef BOARDS_HOST_HOST_H
#define BOARDS_HOST_HOST_H

#include <bareheap/bareheap.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Maps `bytes` of memory, makes `cores` cores (1 to BH_MAX_CORES), attaches the calling thread
 * and inits the heap. Once, before anything else of Bareheap. Beside bh_init()'s answers:
 * BH_TOO_SMALL when the system has no `bytes` to map or no thread to give, BH_TWICE.
 */
enum bh_status bh_host_init(size_t bytes, unsigned cores);

/*
 * Makes the calling thread a core, which it stays until it detaches or ends. False when all cores
 * are taken. In a thread that is attached already: true, and nothing changes.
 */
bool bh_host_attach_thread(void);

/*
 * Gives the core back. The thread's stack is no root from here on, and it must not call Bareheap.
 * Does nothing in a thread that is not attached.
 */
void bh_host_detach_thread(void);

#endif
