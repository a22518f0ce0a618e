/* SPDX-License-Identifier: MIT */
/*
 * Bringing up the other cores, and the map of all stacks (layout.h).
 *
 * 1. The device tree lists the cores; the one that booted becomes number 0, the others follow
 *    in the tree's order. BOARD_MAX_CORES is the most.
 * 2. For each, core 0 writes a struct core_start and hands its address to PSCI; the core reads it
 *    in start.S before its MMU and caches are on, so it is written back to memory first.
 * 3. All are started, then awaited: booting in parallel, a bounded time.
 */
#include "boards/qemu-aarch64/cores.h"

#include "arch/arch.h"
#include "boards/board.h"
#include "boards/common/image.h"
#include "boards/common/jobs.h"
#include "boards/qemu-aarch64/firmware.h"
#include "boards/qemu-aarch64/interrupts.h"
#include "boards/qemu-aarch64/layout.h"
#include "boards/qemu-aarch64/mmu.h"
#include "boards/qemu-aarch64/sysreg.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include <bareheap/port.h>

/* Aff3 and Aff2 to Aff0: what names a core. The other bits of MPIDR say something else. */
#define MPIDR_AFFINITY 0xff00ffffffu

/* Emulated cores share the host's: far more than a real one needs. */
#define START_TIMEOUT_NS 20000000000u

/* Read by secondary_entry; a cache line of its own, because it is written back by itself. */
struct core_start {
    uint64_t table;
    uint64_t core;
    uint32_t up; /* the core sets it to 1 when it is about to idle */
} __attribute__((aligned(ARCH_CACHE_LINE)));

BH_STATIC_ASSERT(offsetof(struct core_start, table) == CORE_START_TABLE, "layout.h");
BH_STATIC_ASSERT(offsetof(struct core_start, core) == CORE_START_CORE, "layout.h");
BH_STATIC_ASSERT(STACK_BLOCKS == BOARD_MAX_CORES, "layout.h has a stack block for each core");

BH_STATIC_ASSERT(sizeof(struct core_base) == CORE_BASE_BYTES, "layout.h");
BH_STATIC_ASSERT(offsetof(struct core_base, slot) == BH_CORE_SLOT, "mk/config.mk names its place");

extern const char secondary_entry[];

/* Used by start.S. Zeros are right for core 0 until cores_init() has numbered them. */
extern struct core_base core_bases[BOARD_MAX_CORES];
struct core_base core_bases[BOARD_MAX_CORES];

static struct core_start starts[BOARD_MAX_CORES];
static uint64_t mpidrs[BOARD_MAX_CORES];
static unsigned core_count = 1;

unsigned bh_port_core(void)
{
    return core_base_here()->index;
}

unsigned bh_port_core_count(void)
{
    return core_count;
}

unsigned board_cores(void)
{
    return core_count;
}

uint64_t cores_mpidr(unsigned core)
{
    return mpidrs[core];
}

static void log_cores_left_out(const struct hardware *hardware)
{
    if (hardware->psci == CONDUIT_NONE && hardware->cores_listed > 1)
        print_log("board: no PSCI in the device tree: using 1 core of %u\n",
                  hardware->cores_listed);
    else if (hardware->cores_listed > core_count)
        print_log("board: using %u cores of %u: BOARD_MAX_CORES is %u\n", core_count,
                  hardware->cores_listed, BOARD_MAX_CORES);
}

void cores_init(const struct hardware *hardware)
{
    uint64_t own = sysreg_read("mpidr_el1") & MPIDR_AFFINITY;
    for (unsigned core = 0; core < BOARD_MAX_CORES; core++)
        core_bases[core].index = core;
    mpidrs[0] = own;
    core_count = 1;
    for (unsigned i = 0; i < hardware->cores && hardware->psci != CONDUIT_NONE; i++) {
        if (hardware->mpidr[i] != own && core_count < BOARD_MAX_CORES)
            mpidrs[core_count++] = hardware->mpidr[i];
    }
    log_cores_left_out(hardware);
}

/* Cleans a cache line to memory, for a core that reads it without caches. */
static void write_back(const struct core_start *start)
{
    __asm__ volatile("dc cvac, %0" : : "r"(start) : "memory");
    barrier_dsb_sy(); /* it is there before PSCI is called */
}

static void start_core(unsigned core)
{
    struct core_start *start = &starts[core];
    *start = (struct core_start){.table = mmu_root(), .core = core, .up = 0};
    write_back(start);
    const char *error =
        firmware_start_core(mpidrs[core], (uintptr_t)secondary_entry, (uintptr_t)start);
    BH_CHECK(!error, "board: core %u (MPIDR %#llx) does not start: %s", core,
             (unsigned long long)mpidrs[core], error);
}

static void await_core(unsigned core)
{
    uint64_t start_ns = bh_port_now_ns();
    /* Acquire pairs with the release in boot_secondary_core(): the core can be interrupted. */
    while (!atomic_load_acquire(&starts[core].up)) {
        BH_CHECK(bh_port_now_ns() - start_ns < START_TIMEOUT_NS,
                 "board: core %u (MPIDR %#llx) was started but did not come up within 20 s", core,
                 (unsigned long long)mpidrs[core]);
        arch_pause();
    }
}

void cores_start(void)
{
    for (unsigned core = 1; core < core_count; core++)
        start_core(core);
    for (unsigned core = 1; core < core_count; core++)
        await_core(core);
}

void boot_secondary_core(unsigned core)
{
    bh_core_init();
    interrupts_init_core();
    /* Pairs with the acquire in await_core(). */
    atomic_store_release(&starts[core].up, 1);
    jobs_idle();
}

static uintptr_t stack_block(unsigned core)
{
    return (uintptr_t)__stacks_start + (uintptr_t)core * STACK_BLOCK_BYTES;
}

void cores_map_guards(void)
{
    for (unsigned core = 0; core < BOARD_MAX_CORES; core++) {
        uintptr_t block = stack_block(core);
        mmu_map(block, block + STACK_GUARD_BYTES, MMU_NOTHING);
        mmu_map(block + STACK_MAIN_TOP, block + STACK_EXCEPTION_OFFSET, MMU_NOTHING);
    }
}

int cores_guard_owner(uintptr_t address)
{
    if (address < stack_block(0) || address >= stack_block(BOARD_MAX_CORES))
        return -1;
    uintptr_t offset = (address - stack_block(0)) % STACK_BLOCK_BYTES;
    bool guard =
        offset < STACK_GUARD_BYTES || (offset >= STACK_MAIN_TOP && offset < STACK_EXCEPTION_OFFSET);
    return guard ? (int)((address - stack_block(0)) / STACK_BLOCK_BYTES) : -1;
}

/* Interrupts run on the main stack; a report of an exception on the exception stack. */
uintptr_t bh_port_stack_top(uintptr_t sp)
{
    uintptr_t block = stack_block(bh_port_core());
    if (sp > block + STACK_EXCEPTION_OFFSET && sp <= block + STACK_BLOCK_BYTES)
        return block + STACK_BLOCK_BYTES;
    return block + STACK_MAIN_TOP;
}

uintptr_t cores_main_stack_top(unsigned core)
{
    return stack_block(core) + STACK_MAIN_TOP;
}
