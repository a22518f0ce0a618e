/* SPDX-License-Identifier: MIT */
/*
 * The console of the QEMU boards (boards/common/console.c) in situations that no machine gets into
 * on order: threads play the cores, and the device here stops in the middle of a text when told to.
 *
 * Not on the harness, whose own console is the host board's. Linked with console.c and kernel-lib
 * alone; what else they need is here.
 */
#include "boards/common/console.h"
#include "arch/arch.h"
#include "boards/board.h"
#include "boards/common/machine.h"
#include "kernel-lib/atomics.h"
#include <bareheap/port.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CORES    4u
#define TEXTS    20000u
#define LIMIT_S  120u /* finds hangs */
#define OUT_SIZE 4096u

static __thread unsigned this_core;
static unsigned passed, failed;

static void expect(bool ok, const char *what)
{
    printf("%s - %s\n", ok ? "ok" : "not ok", what);
    passed += ok;
    failed += !ok;
}

/* --- The device --------------------------------------------------------------------------- */

static char out[OUT_SIZE];
static size_t out_bytes;
static uint32_t writers; /* inside machine_write() at this moment */
static uint32_t overlaps;

/* Posted by a core that is stuck in the middle of "stuck". */
static sem_t stuck;

static void out_add(const char *text, size_t bytes)
{
    if (out_bytes + bytes < sizeof(out))
        memcpy(out + out_bytes, text, bytes);
    out_bytes += bytes;
}

void machine_write(const char *text, size_t bytes)
{
    if (atomic_add_relaxed(&writers, 1) != 0) /* relaxed: counts, as below */
        (void)atomic_add_relaxed(&overlaps, 1);
    if (bytes == 5 && memcmp(text, "stuck", 5) == 0) {
        (void)atomic_add_relaxed(&writers, (uint32_t)-1);
        sem_post(&stuck);
        for (;;)
            pause();
    }
    /* A core that faults here reports before it is through. */
    if (bytes == 5 && memcmp(text, "fault", 5) == 0) {
        (void)atomic_add_relaxed(&writers, (uint32_t)-1);
        bh_port_log("[report]", 8);
        (void)atomic_add_relaxed(&writers, 1);
    }
    out_add(text, bytes);
    (void)atomic_add_relaxed(&writers, (uint32_t)-1);
}

/* --- The rest of the machine -------------------------------------------------------------- */

unsigned bh_port_core(void)
{
    return this_core;
}

unsigned bh_port_core_count(void)
{
    return CORES;
}

bool bh_port_irq_enabled(void)
{
    return false;
}

uintptr_t bh_port_irq_save(void)
{
    return 0;
}

void bh_port_irq_restore(uintptr_t state)
{
    (void)state;
}

void bh_port_panic(const char *message)
{
    fprintf(stderr, "panic: %s\n", message);
    abort();
}

/* --- The situations ----------------------------------------------------------------------- */

static void log_text(const char *text)
{
    bh_port_log(text, strlen(text));
}

static void *write_many(void *arg)
{
    this_core = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < TEXTS; i++)
        log_text("text");
    return NULL;
}

static void check_one_after_the_other(void)
{
    pthread_t threads[CORES];
    for (uintptr_t core = 0; core < CORES; core++)
        if (pthread_create(&threads[core], NULL, write_many, (void *)core) != 0)
            abort();
    for (unsigned core = 0; core < CORES; core++)
        pthread_join(threads[core], NULL);
    expect(overlaps == 0, "texts of several cores do not overlap");
    expect(out_bytes == (size_t)CORES * TEXTS * 4, "and none is lost");
    out_bytes = 0;
}

static void check_fault_inside_a_text(void)
{
    log_text("fault");
    expect(out_bytes == 13 && memcmp(out, "[report]fault", 13) == 0,
           "a core that faults while it writes can report");
    out_bytes = 0;
}

static void *get_stuck(void *arg)
{
    (void)arg;
    this_core = 1;
    log_text("stuck");
    return NULL;
}

static void *come_later(void *claimed)
{
    this_core = 2;
    log_text("core 2");
    *(bool *)claimed = console_claim();
    return NULL;
}

/* Core 1 holds the lock for good, core 2 waits for it or comes later, core 0 reports. */
static void check_holder_that_stays(void)
{
    pthread_t holder, waiter;
    bool claimed_too = false;
    if (pthread_create(&holder, NULL, get_stuck, NULL) != 0)
        abort();
    while (sem_wait(&stuck) != 0)
        continue;
    if (pthread_create(&waiter, NULL, come_later, &claimed_too) != 0)
        abort();
    usleep(10000); /* most likely core 2 waits for the lock by now; it must not matter */
    expect(console_claim(), "a core gets the console while another is stuck with its lock");
    log_text("one ");
    log_text("two");
    pthread_join(waiter, NULL);
    expect(!claimed_too, "the second core to claim the console does not get it");
    expect(out_bytes == 7 && memcmp(out, "one two", 7) == 0,
           "its report comes out, and nothing of another core");
}

int main(void)
{
    alarm(LIMIT_S);
    (void)sem_init(&stuck, 0, 0);
    check_one_after_the_other();
    check_fault_inside_a_text();
    check_holder_that_stays();
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
