/* SPDX-License-Identifier: MIT */
/*
 * The rest of port.h for a process: the log, the end, the clock, waiting, errno.
 *
 * Nothing here allocates, and all but bh_port_out_of_memory() leave errno as it was. Not here:
 * which core a thread is and what interrupts are (threads.c), memory (memory.c).
 */
#define _GNU_SOURCE
#include "arch/arch.h"
#include "boards/preload/preload.h"
#include "kernel-lib/atomics.h"
#include <bareheap/port.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Rounds of waiting that only give the processor away; then the thread sleeps: one of real-time
 * priority would get its own processor back for ever. */
#define WAIT_YIELDS   16
#define WAIT_SLEEP_NS 50000

/* Looks at a lock between two rounds of waiting. */
#define LOCK_LOOKS 64

void bh_port_log(const char *text, size_t bytes)
{
    int error = errno;
    while (bytes > 0) {
        ssize_t written = write(STDERR_FILENO, text, bytes);
        if (written < 0 && errno != EINTR)
            break;
        if (written > 0) {
            text += written;
            bytes -= (size_t)written;
        }
    }
    errno = error;
}

void bh_port_panic(const char *message)
{
    (void)message; /* logged already */
    abort();
}

uint64_t bh_port_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bh_port_wait(unsigned round)
{
    int error = errno;
    struct timespec pause = {.tv_nsec = WAIT_SLEEP_NS};
    if (round < WAIT_YIELDS)
        (void)sched_yield();
    else
        (void)nanosleep(&pause, NULL);
    errno = error;
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
