/* SPDX-License-Identifier: MIT */
/*
 * Starts one program, waits for it, and writes what it took into a file:
 *
 *     launch RESULT PRELOAD COMMAND [ARGUMENT...]     PRELOAD "" for none
 *
 * The line is "wall_ns user_us system_us peak_kib status", status as of a shell (128 + signal).
 *
 * Why a program of its own: Linux counts what a process was before exec into its peak memory, so a
 * child of Python can never be smaller than Python. This one is static and smaller than any program
 * with a C library that is loaded. The rusage is that of the program and of all its descendants
 * that were waited for; the peak is that of the largest of them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t microseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_usec;
}

/* In the child: becomes the program. */
static void become(const char *preload, char **command)
{
    if (*preload != '\0')
        setenv("LD_PRELOAD", preload, 1);
    else
        unsetenv("LD_PRELOAD");
    execvp(command[0], command);
    fprintf(stderr, "launch: %s: %s\n", command[0], strerror(errno));
    _exit(127);
}

static int write_result(const char *path, uint64_t wall_ns, const struct rusage *usage, int status)
{
    FILE *file = fopen(path, "w");
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);

    if (file == NULL) {
        fprintf(stderr, "launch: %s: %s\n", path, strerror(errno));
        return 1;
    }
    fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %ld %d\n", wall_ns,
            microseconds(usage->ru_utime), microseconds(usage->ru_stime), usage->ru_maxrss, code);
    return fclose(file) == 0 ? 0 : 1;
}

int main(int count, char **words)
{
    struct rusage usage;
    uint64_t started_ns;
    pid_t child;
    int status;

    if (count < 4) {
        fputs("launch: RESULT PRELOAD COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    started_ns = now_ns();
    child = fork();
    if (child == 0)
        become(words[2], words + 3);
    if (child < 0 || wait4(child, &status, 0, &usage) != child) {
        fprintf(stderr, "launch: %s: %s\n", words[3], strerror(errno));
        return 1;
    }
    return write_result(words[1], now_ns() - started_ns, &usage, status);
}
