/* SPDX-License-Identifier: MIT */
/*
 * The rest of port.h for a process: the log, the end, the clock, waiting, errno.
 *
 * Nothing here allocates, and all but bh_port_out_of_memory() leave errno as it was. Not here:
 * which core a thread is and what interrupts are (threads.c), memory (memory.c).
 */
#define _GNU_SOURCE
#include "arch/arch.h"
#include "boards/posix.h"
#include "boards/preload/preload.h"
#include "kernel-lib/atomics.h"
#include <bareheap/port.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

/* Rounds of waiting that only give the processor away; then the thread sleeps, and how long. */
#define WAIT_YIELDS   16
#define WAIT_SLEEP_NS 50000

/* Looks at a lock between two rounds of waiting. */
#define LOCK_LOOKS 64

void bh_port_log(const char *text, size_t bytes)
{
    posix_write(STDERR_FILENO, text, bytes);
}

void bh_port_panic(const char *message)
{
    (void)message; /* logged already */
    abort();
}

uint64_t bh_port_now_ns(void)
{
    int error = errno;
    uint64_t now_ns = posix_now_ns();
    errno = error;
    return now_ns;
}

void bh_port_wait(unsigned round)
{
    posix_wait(round, WAIT_YIELDS, WAIT_SLEEP_NS);
}

void bh_port_out_of_memory(void)
{
    errno = ENOMEM;
}

bool preload_try_lock(uint32_t *lock)
{
    return atomic_exchange_acquire(lock, 1) == 0; /* pairs with preload_unlock() */
}

void preload_lock(uint32_t *lock)
{
    for (unsigned looks = 1; !preload_try_lock(lock); looks++) {
        /* Relaxed: a hint to try again; the exchange orders. */
        while (atomic_load_relaxed(lock) && looks % LOCK_LOOKS != 0) {
            arch_pause();
            looks++;
        }
        if (looks % LOCK_LOOKS == 0)
            bh_port_wait(looks / LOCK_LOOKS - 1);
    }
}

void preload_unlock(uint32_t *lock)
{
    atomic_store_release(lock, 0); /* pairs with preload_try_lock() */
}
