/* SPDX-License-Identifier: MIT */
/*
 * Brings up the other cores, one after the other, by INIT and start-up IPIs.
 *
 * 1. The trampoline is copied to its page under 1 MiB, with the page tables' address in it, and
 *    the page is made executable.
 * 2. Per core: index and stack go into two variables, then INIT, a pause, and up to two start-up
 *    IPIs (Intel SDM volume 3, 8.4.4). The core comes out in secondary_entry_64 (boot.S).
 * 3. secondary_main() loads the core's tables and says so in `up`; core 0 waits for that, so the
 *    two variables are free for the next one. The wait is bounded, and its end is a panic: a core
 *    that starts later would use another one's stack.
 */
#include "boards/common/jobs.h"
#include "boards/common/ram.h"
#include "boards/qemu-x86_64/acpi.h"
#include "boards/qemu-x86_64/apic.h"
#include "boards/qemu-x86_64/clock.h"
#include "boards/qemu-x86_64/core.h"
#include "boards/qemu-x86_64/pages.h"
#include "boards/qemu-x86_64/pvh.h"
#include "kernel-lib/atomics.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"

#define INIT_DELAY_NS    1000000u  /* hardware wants 10 ms; no emulator or recent CPU does */
#define STARTUP_DELAY_NS 20000000u /* then the second start-up IPI, should the first be lost */
#define UP_TIMEOUT_NS    UINT64_C(20000000000)

/* In trampoline.S. */
extern const char trampoline_start[], trampoline_end[], trampoline_page_table[];

/* What a starting core needs before it has a stack. Read by boot.S. */
extern uintptr_t secondary_stack_top;
extern uint32_t secondary_core;
uintptr_t secondary_stack_top;
uint32_t secondary_core;

_Noreturn void secondary_main(unsigned index);

static uint32_t apic_ids[BOARD_MAX_CORES];
static unsigned core_count = 1;

unsigned board_cores(void)
{
    return core_count;
}

unsigned bh_port_core_count(void)
{
    return core_count;
}

_Noreturn void secondary_main(unsigned index)
{
    core_load(index);
    apic_enable();
    /* Pairs with the acquire load in core_wait(). */
    atomic_store_release(&cores[index].up, 1);
    jobs_idle();
}

/* What the boot page tables map, but for the first page: a null pointer leads to no table. */
static const struct acpi_reach boot_map = {RAM_PAGE_BYTES, BOOT_MAP_END};

void cores_find(void)
{
    size_t found = acpi_cores(pvh_rsdp(), &boot_map, apic_ids, BOARD_MAX_CORES);
    if (found == 0)
        print_log("board: no ACPI tables, or broken ones, so only the first core is used (QEMU: "
                  "acpi=on)\n");
    if (found > BOARD_MAX_CORES)
        print_log("board: %zu cores found, %d used\n", found, BOARD_MAX_CORES);
    core_count = 1;
    cores[0].apic_id = apic_id();
    for (size_t i = 0; i < found && i < BOARD_MAX_CORES; i++)
        if (apic_ids[i] != cores[0].apic_id && core_count < BOARD_MAX_CORES)
            cores[core_count++].apic_id = apic_ids[i];
}

static void trampoline_install(void)
{
    uintptr_t start = (uintptr_t)trampoline_start;
    size_t bytes = (uintptr_t)trampoline_end - start;
    __builtin_memcpy((void *)TRAMPOLINE_ADDRESS, trampoline_start, bytes);
    uintptr_t page_table = TRAMPOLINE_ADDRESS + ((uintptr_t)trampoline_page_table - start);
    *(uint32_t *)page_table = pages_root();
    pages_map(TRAMPOLINE_ADDRESS, TRAMPOLINE_ADDRESS + bytes, PAGES_CODE);
    pages_load();
}

/* Whether the core is up within `ns`. */
static bool core_wait(unsigned index, uint64_t ns)
{
    uint64_t start = bh_port_now_ns();
    do {
        /* Pairs with the release in secondary_main(). */
        if (atomic_load_acquire(&cores[index].up))
            return true;
        arch_pause();
    } while (bh_port_now_ns() - start < ns);
    return false;
}

static void core_start(unsigned index)
{
    uint32_t id = cores[index].apic_id;
    secondary_core = index;
    secondary_stack_top = stack_main_top(index);
    /* The core reads both after the IPI that starts it. */
    atomic_fence_seq_cst();
    apic_send_init(id);
    clock_delay_ns(INIT_DELAY_NS);
    apic_send_startup(id, TRAMPOLINE_ADDRESS);
    if (core_wait(index, STARTUP_DELAY_NS))
        return;
    apic_send_startup(id, TRAMPOLINE_ADDRESS);
    BH_CHECK(core_wait(index, UP_TIMEOUT_NS),
             "board: core %u (APIC id %u) did not start within %u s; the host may be "
             "overloaded: try fewer cores (QEMU: -smp)",
             index, id, (unsigned)(UP_TIMEOUT_NS / 1000000000u));
}

void cores_start(void)
{
    trampoline_install();
    for (unsigned index = 1; index < core_count; index++)
        core_start(index);
}
