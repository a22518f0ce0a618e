/* SPDX-License-Identifier: MIT */
/*
 * What the system sees of a heap on Linux: how much of the process is resident. After a great
 * reserve is made a heap, after pages are given back in each of the three ways, and when they are
 * used again.
 *
 * Each case is a child process of its own, forked before there is a heap or a thread. Not on the
 * harness: a board image has no heap of 64 GiB, and its tests count released pages by the hook.
 */
#define _GNU_SOURCE
#include "boards/host/host.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

/* What is allocated, filled and freed. */
#define LARGE_BYTES (96 * KIB)
#define LARGE_COUNT 300u
#define SMALL_BYTES ((size_t)200)
#define SMALL_COUNT 100000u
#define ALL_BYTES   (LARGE_COUNT * LARGE_BYTES + SMALL_COUNT * SMALL_BYTES)

#define DELAY_NS  20000000u /* of gradual release */
#define STEPS_MAX 20000u    /* a hang detector; not by a clock, which need not be right */

static unsigned failures; /* of this child */

static void expect(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "failed: %s\n", what);
    failures++;
}

static size_t resident_bytes(void)
{
    size_t total;
    size_t resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%zu %zu", &total, &resident) != 2)
        abort();
    (void)fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- work ---- */

static unsigned char *large[LARGE_COUNT];
static unsigned char *small[SMALL_COUNT];

static unsigned char *filled(size_t bytes, size_t tag)
{
    unsigned char *object = bh_malloc(bytes);
    if (object == NULL)
        abort();
    memset(object, (int)(tag % 251) + 1, bytes);
    return object;
}

static void check(const unsigned char *object, size_t bytes, size_t tag)
{
    unsigned char value = (unsigned char)(tag % 251 + 1);
    expect(object[0] == value && object[bytes / 2] == value && object[bytes - 1] == value,
           "an object keeps its contents");
}

static void allocate_all(void)
{
    for (size_t i = 0; i < LARGE_COUNT; i++)
        large[i] = filled(LARGE_BYTES, i);
    for (size_t i = 0; i < SMALL_COUNT; i++)
        small[i] = filled(SMALL_BYTES, i);
}

static void free_all(void)
{
    for (size_t i = 0; i < LARGE_COUNT; i++) {
        check(large[i], LARGE_BYTES, i);
        bh_free(large[i]);
    }
    for (size_t i = 0; i < SMALL_COUNT; i++) {
        check(small[i], SMALL_BYTES, i);
        bh_free(small[i]);
    }
}

/* Everything allocated and freed, then given back by `give_back`; and all of it once more. */
static void expect_return(void (*give_back)(void))
{
    for (unsigned round = 0; round < 2; round++) {
        size_t before = resident_bytes();
        allocate_all();
        size_t full = resident_bytes();
        expect(full >= before + ALL_BYTES / 10 * 9, "what is in use is resident");
        free_all();
        give_back();
        size_t after = resident_bytes();
        printf("# resident: %zu KiB, full %zu KiB, given back %zu KiB\n", before / KIB, full / KIB,
               after / KIB);
        expect(after <= before + ALL_BYTES / 10, "what was given back is not");
        bh_heap_verify();
    }
}

static void init(size_t bytes, unsigned cores)
{
    enum bh_status status = bh_host_init(bytes, cores);
    if (status != BH_OK) {
        fprintf(stderr, "bh_host_init: %s\n", bh_status_text(status));
        abort();
    }
}

/* ---- cases ---- */

static void give_back_at_once(void)
{
    expect(bh_release_pages() >= ALL_BYTES / 10 * 9, "nearly all is handed over");
}

static void at_once(void)
{
    init(256 * MIB, 1);
    bh_set_release(BH_RELEASE_NEVER);
    expect(bh_scavenge() == UINT64_MAX, "never means never");
    expect_return(give_back_at_once);
}

static void sleep_ns(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000u),
                            .tv_nsec = (long)(ns % 1000000000u)};
    (void)nanosleep(&time, NULL);
}

/* As an idle loop would, until no more than the tenth is left. */
static void give_back_gradually(void)
{
    struct bh_stats stats;
    bh_drain();
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        uint64_t wait_ns = bh_scavenge();
        sleep_ns(wait_ns < 50000000u ? wait_ns : 50000000u);
        bh_get_stats(&stats);
        if (stats.free_page_bytes - stats.released_bytes <= stats.heap_bytes / 10 + MIB)
            break;
    }
}

static void gradually(void)
{
    init(256 * MIB, 1);
    bh_set_release_delay(DELAY_NS);
    expect_return(give_back_gradually);
}

static void not_at_all(void)
{
    bh_drain(); /* what is freed is handed over by the one who frees it */
}

static void eagerly(void)
{
    init(256 * MIB, 1);
    bh_set_release(BH_RELEASE_EAGER);
    expect_return(not_at_all);
}

/* Reserved, and touched no more than is used. */
static void great_reserve(void)
{
    struct bh_stats stats;
    size_t before = resident_bytes();
    init(64 * GIB, 16);
    size_t after = resident_bytes();
    printf("# 64 GiB: %zu KiB more are resident\n", (after - before) / KIB);
    expect(after - before <= 2 * MIB, "making a heap of 64 GiB touches 2 MiB at most");
    bh_get_stats(&stats);
    printf("# metadata: %zu of %zu MiB\n", stats.metadata_bytes / MIB, stats.region_bytes / MIB);
    expect(stats.metadata_bytes * 1000 <= stats.region_bytes * 16, "1.6 % is metadata");
    unsigned char *half = bh_calloc(1, 32 * GIB);
    if (half == NULL)
        abort();
    half[32 * GIB - 1] = 1;
    expect(half[0] == 0 && half[20 * GIB] == 0, "the half of it is zero");
    expect(resident_bytes() - after <= 2 * MIB, "and is not touched for that");
    bh_free(half);
    allocate_all();
    free_all();
    expect(bh_release_pages() >= 60 * GIB, "all is handed over");
}

/* ---- */

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"at_once", at_once},
    {"gradually", gradually},
    {"eagerly", eagerly},
    {"great_reserve", great_reserve},
};

static bool passes(size_t i)
{
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        cases[i].run();
        (void)fflush(stdout);
        _exit(failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    int status = -1;
    bool ok = child > 0 && waitpid(child, &status, 0) == child && status == 0;
    printf("%s - %s\n", ok ? "ok" : "not ok", cases[i].name);
    return ok;
}

int main(void)
{
    size_t count = sizeof(cases) / sizeof(cases[0]);
    size_t passed = 0;
    for (size_t i = 0; i < count; i++)
        passed += passes(i);
    printf("%zu passed, %zu failed\n", passed, count - passed);
    return passed == count ? EXIT_SUCCESS : EXIT_FAILURE;
}
