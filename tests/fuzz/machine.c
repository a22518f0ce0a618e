/* SPDX-License-Identifier: MIT */
/*
 * The machine that scripts run on: port.h, played by one thread.
 *
 * 1. A core is a number. Switching gives the library another one, and with it another slot.
 * 2. An interrupt is a function called when interrupts come on: that is where a real one that was
 *    held back would come. An interrupt to another core is that core's handler, run at once.
 * 3. The library's variables are all in one stretch of memory (state.ld). Before the first script
 *    it is copied, and before every one put back, so a script sees what bh_init() sees in a kernel.
 */
#define _GNU_SOURCE
#include "alloc/page_heap.h"
#include "alloc/poison.h"
#include "tests/fuzz/fuzz.h"
#include <bareheap/alloc.h>
#include <bareheap/gc.h>
#include <bareheap/port.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM_ALIGN ((size_t)2 << 20)

/* From state.ld: a multiple of 64 bytes, aligned to 64. */
extern uint64_t fuzz_state_start[];
extern uint64_t fuzz_state_end[];

#if BH_PROTECT == BH_PROTECT_RESTART || BH_PROTECT == BH_PROTECT_NONE
extern __thread void *bh_core_slot __attribute__((tls_model("initial-exec")));
__thread void *bh_core_slot __attribute__((tls_model("initial-exec")));
#endif

char *machine_ram;
void (*machine_on_leave)(void);
void (*machine_on_enter)(void);
bool (*machine_pages_wanted)(size_t bytes);

static struct {
    unsigned core;
    unsigned cores;
    bool masked;
    uint64_t now_ns;
    unsigned interrupt_after; /* 0: none is armed */
    void (*interrupt_handler)(void);
    unsigned faults_after;
    unsigned faults;
    bool refused; /* a request for pages, since the last look */
} machine;

static char log_kept[2048];
static size_t log_bytes;

/* ---- state ---- */

/* Word by word and volatile: sanitizers keep poisoned gaps between variables. */
POISON_BLIND static void copy_words(volatile uint64_t *to, const volatile uint64_t *from,
                                    size_t words)
{
    for (size_t i = 0; i < words; i++)
        to[i] = from[i];
}

static void state_reset(void)
{
    static uint64_t *saved;
    size_t words = (size_t)(fuzz_state_end - fuzz_state_start);
    if (saved) {
        copy_words(fuzz_state_start, saved, words);
        return;
    }
    saved = malloc(words * sizeof(*saved));
    copy_words(saved, fuzz_state_start, words);
}

static void ram_reset(void)
{
    if (!machine_ram) {
        char *map = mmap(NULL, MACHINE_RAM_BYTES + RAM_ALIGN, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (map == MAP_FAILED)
            abort();
        machine_ram = (char *)bits_round_up((uintptr_t)map, RAM_ALIGN);
    }
    poison_lift((uintptr_t)machine_ram, MACHINE_RAM_BYTES);
    (void)madvise(machine_ram, MACHINE_RAM_BYTES, MADV_DONTNEED);
}

static bool refuse_pages(size_t pages)
{
    (void)pages;
    if (machine.faults == 0)
        return false;
    if (machine.faults_after > 0) {
        machine.faults_after--;
        return false;
    }
    machine.faults--;
    machine.refused = true;
    return true;
}

void machine_reset(void)
{
    state_reset();
    ram_reset();
    memset(&machine, 0, sizeof(machine));
    log_bytes = 0;
    machine.cores = 1;
    machine_on_leave = NULL;
    machine_on_enter = NULL;
    machine_pages_wanted = NULL;
    page_heap_fault_hook = refuse_pages;
    bh_core_init();
}

/* ---- what scripts do to it ---- */

void machine_set_cores(unsigned cores)
{
    machine.cores = cores;
}

/* Without telling anybody. */
static void be_core(unsigned core)
{
    machine.core = core;
    bh_core_init();
}

void machine_switch(unsigned core)
{
    if (core == machine.core || core >= machine.cores)
        return;
    if (machine_on_leave)
        machine_on_leave();
    be_core(core);
    if (machine_on_enter)
        machine_on_enter();
}

void machine_arm_interrupt(unsigned after, void (*handler)(void))
{
    machine.interrupt_after = handler ? after + 1 : 0;
    machine.interrupt_handler = handler;
}

void machine_arm_faults(unsigned after, unsigned count)
{
    machine.faults_after = after;
    machine.faults = count;
}

bool machine_has_refused(void)
{
    return machine.refused;
}

void machine_forget_refused(void)
{
    machine.refused = false;
}

void machine_advance(uint64_t ns)
{
    machine.now_ns += ns;
}

/* ---- port.h ---- */

unsigned bh_port_core(void)
{
    return machine.core;
}

unsigned bh_port_core_count(void)
{
    return machine.cores;
}

/* Kept, and shown when it matters: scripts are refused things all the time. */
void bh_port_log(const char *text, size_t bytes)
{
    if (bytes > sizeof(log_kept) - log_bytes)
        log_bytes = 0;
    if (bytes > sizeof(log_kept))
        return;
    memcpy(log_kept + log_bytes, text, bytes);
    log_bytes += bytes;
}

_Noreturn void bh_port_panic(const char *message)
{
    (void)message; /* logged already */
    (void)!write(STDERR_FILENO, log_kept, log_bytes);
    abort();
}

uint64_t bh_port_now_ns(void)
{
    return machine.now_ns;
}

uintptr_t bh_port_irq_save(void)
{
    bool was_masked = machine.masked;
    machine.masked = true;
    return was_masked;
}

/* A handler runs masked, like a real one. */
static void take_interrupt(void)
{
    void (*handler)(void) = machine.interrupt_handler;
    if (machine.interrupt_after == 0 || --machine.interrupt_after > 0)
        return;
    machine.masked = true;
    handler();
    machine.masked = false;
}

void bh_port_irq_restore(uintptr_t was_masked)
{
    machine.masked = was_masked;
    if (!was_masked)
        take_interrupt();
}

bool bh_port_irq_enabled(void)
{
    return !machine.masked;
}

void bh_port_signal_core(unsigned core)
{
    unsigned caller = machine.core;
    bool was_masked = machine.masked;
    machine.masked = true;
    be_core(core);
    bh_handle_signal((uintptr_t)__builtin_frame_address(0));
    be_core(caller);
    machine.masked = was_masked;
}

/* No stack: what a script keeps is in the roots it registers, so the oracle is exact. */
uintptr_t bh_port_stack_top(uintptr_t sp)
{
    return sp;
}

bool bh_port_pages_wanted(size_t bytes)
{
    return machine_pages_wanted && machine_pages_wanted(bytes);
}

/* The kernel takes the memory away: it reads as zero from here on, or as it was. */
void bh_port_pages_released(void *base, size_t bytes)
{
    if ((uintptr_t)base >> PAGE_SHIFT & 1)
        (void)madvise(base, bytes, MADV_DONTNEED);
}

/* ---- for scripts ---- */

bool fuzz_is_zero(const void *memory, size_t bytes)
{
    const unsigned char *byte = memory;
    return bytes == 0 || (byte[0] == 0 && memcmp(byte, byte + 1, bytes - 1) == 0);
}

size_t fuzz_size(struct fuzz_script *script)
{
    unsigned choice = fuzz_byte(script);
    if (choice < 144)
        return fuzz_byte(script);
    if (choice < 224)
        return fuzz_word(script) % 40000;
    return (fuzz_word(script) << (choice % 8)) % ((size_t)4 << 20);
}
