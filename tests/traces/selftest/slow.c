/* SPDX-License-Identifier: MIT */
/*
 * A preloaded allocator behind the recorder that is glibc's but steps aside after it has freed:
 * another thread then takes the address before the recorder's call returns. A recorder that logs a
 * free, or a realloc's death, only after the fact gets the order wrong here almost surely.
 */
#include <sched.h>
#include <stddef.h>

extern void __libc_free(void *object);
extern void *__libc_realloc(void *object, size_t bytes);

void free(void *object);
void *realloc(void *object, size_t bytes);

void free(void *object)
{
    __libc_free(object);
    sched_yield();
}

void *realloc(void *object, size_t bytes)
{
    void *moved = __libc_realloc(object, bytes);

    sched_yield();
    return moved;
}
