/* SPDX-License-Identifier: MIT */
/*
 * What the boards that are processes, boards/host and boards/preload, have of the system in the
 * same way: a text to a file, the clock, waiting. Each leaves errno as it was: the library is
 * called where a program does not expect it to change.
 *
 * Its includer defines _GNU_SOURCE before the first header.
 */
#ifndef BOARDS_POSIX_H
#define BOARDS_POSIX_H

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

/* All of it, in one write() if the system takes that much; what cannot be written is lost. */
static inline void posix_write(int file, const char *text, size_t bytes)
{
    int error = errno;
    while (bytes > 0) {
        ssize_t written = write(file, text, bytes);
        if (written < 0 && errno != EINTR)
            break;
        if (written > 0) {
            text += written;
            bytes -= (size_t)written;
        }
    }
    errno = error;
}

static inline uint64_t posix_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Gives the processor away: who is waited for may have lost it. From round `yields` on the thread
 * sleeps, as one of real-time priority would get its own processor back for ever. */
static inline void posix_wait(unsigned round, unsigned yields, long sleep_ns)
{
    int error = errno;
    struct timespec pause = {.tv_nsec = sleep_ns};
    if (round < yields)
        (void)sched_yield();
    else
        (void)nanosleep(&pause, NULL);
    errno = error;
}

#endif
