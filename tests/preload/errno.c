/* SPDX-License-Identifier: MIT */
/*
 * free() leaves errno as it was, whatever the system answers meanwhile: in threads to which a
 * filter forbids every system call that a free may come to, be it their first call of the heap, in
 * the child of a fork, or with pages that go back at every free.
 */
#define _GNU_SOURCE
#include "tests/preload/expect.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define OBJECTS 2000

/* How a child ends where the system has no filters. */
#define NO_FILTER 77

static const unsigned forbidden[] = {SYS_membarrier,  SYS_madvise,       SYS_mprotect,
                                     SYS_sched_yield, SYS_clock_gettime, SYS_clock_nanosleep,
                                     SYS_sysinfo,     SYS_prlimit64};
#define FORBIDDEN (sizeof(forbidden) / sizeof(forbidden[0]))

/* Of this thread alone: the others start threads and end the process. */
static bool forbid(void)
{
    const unsigned number = offsetof(struct seccomp_data, nr);
    struct sock_filter filter[FORBIDDEN + 3] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number)};
    for (unsigned i = 0; i < FORBIDDEN; i++)
        filter[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, forbidden[i],
                                                     (unsigned char)(FORBIDDEN - i), 0);
    filter[FORBIDDEN + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[FORBIDDEN + 2] =
        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    struct sock_fprog program = {.len = FORBIDDEN + 3, .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void *objects[OBJECTS];

/* Small ones, and now and then one whose pages go back. */
static void make_objects(void)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        size_t bytes = i % 100 == 0 ? 300000 : i * 7 % 3000;
        objects[i] = malloc(bytes);
        EXPECT(objects[i] != NULL);
        fill(objects[i], bytes);
    }
}

static void *free_objects(void *arg)
{
    (void)arg;
    if (!forbid())
        exit(NO_FILTER);
    EXPECT(syscall(SYS_membarrier, 0, 0, 0) == -1 && errno == ENOSYS);
    for (size_t i = 0; i < OBJECTS; i++) {
        int before = 70 + (int)(i % 2);
        errno = before;
        free(objects[i]);
        EXPECT(errno == before);
    }
    return NULL;
}

/* A thread whose first call of the heap is free(), the second of its process. */
static void free_in_thread(void)
{
    pthread_t thread;
    make_objects();
    EXPECT(pthread_create(&thread, NULL, free_objects, NULL) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
}

static int free_in_child(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        free_in_thread();
        _exit(0);
    }
    EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
    int status = free_in_child(); /* before there was another thread, and after */
    if (status == NO_FILTER) {
        puts("skip: the system has no filters of system calls\nok");
        return 0;
    }
    EXPECT(status == 0);
    free_in_thread();
    EXPECT(free_in_child() == 0);
    if (argc == 1) {
        setenv("BAREHEAP_RELEASE", "eager", 1);
        execl(argv[0], argv[0], "eager", (char *)NULL);
        return 1;
    }
    puts("ok");
    return 0;
}
