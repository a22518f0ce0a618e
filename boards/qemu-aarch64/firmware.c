/* SPDX-License-Identifier: MIT */
/*
 * PSCI (Arm DEN 0022) and semihosting (github.com/ARM-software/abi-aa, semihosting), and with
 * them the end of the machine.
 *
 * board_exit() asks for an exit status by semihosting. Whether that is on cannot be asked; when it
 * is off, the instruction is an undefined one, whose exception ends up in
 * firmware_exit_without_semihosting(): the machine then powers off, and QEMU's status is 0.
 */
#include "boards/qemu-aarch64/firmware.h"

#include "boards/board.h"
#include "kernel-lib/print.h"

#define PSCI_CPU_ON     0xc4000003u
#define PSCI_SYSTEM_OFF 0x84000008u

#define SEMIHOSTING_EXIT_EXTENDED    0x20u
#define SEMIHOSTING_APPLICATION_EXIT 0x20026u

static enum hardware_conduit psci_conduit;

void firmware_init(enum hardware_conduit conduit)
{
    psci_conduit = conduit;
}

static int64_t psci_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    if (psci_conduit == CONDUIT_HVC)
        return firmware_hvc(function, a, b, c);
    return firmware_smc(function, a, b, c);
}

/* By the negated result. */
static const char *const psci_errors[] = {
    [1] = "PSCI has no CPU_ON",
    [2] = "PSCI knows no such core",
    [3] = "PSCI denies it",
    [4] = "the core is on already",
    [5] = "the core is being started already",
    [6] = "PSCI failed internally",
    [7] = "the core is not present",
    [8] = "the core is disabled",
    [9] = "PSCI calls the entry address invalid",
};

const char *firmware_start_core(uint64_t mpidr, uintptr_t entry, uintptr_t context)
{
    if (psci_conduit == CONDUIT_NONE)
        return "the device tree has no PSCI node";
    int64_t result = psci_call(PSCI_CPU_ON, mpidr, entry, context);
    if (result == 0)
        return NULL;
    uint64_t error = (uint64_t)-result;
    if (result < 0 && error < sizeof(psci_errors) / sizeof(psci_errors[0]))
        return psci_errors[error];
    return "PSCI gave an unknown error";
}

/* PSCI SYSTEM_OFF, where there is PSCI; else sleeps for ever. */
static _Noreturn void power_off(void)
{
    if (psci_conduit != CONDUIT_NONE)
        psci_call(PSCI_SYSTEM_OFF, 0, 0, 0);
    for (;;)
        __asm__ volatile("wfi");
}

bool firmware_is_semihosting(uintptr_t pc)
{
    return pc == (uintptr_t)firmware_semihosting_trap;
}

_Noreturn void firmware_exit_without_semihosting(void)
{
    print_log("board: semihosting is off (QEMU: -semihosting), so the exit status is lost; "
              "powering off\n");
    power_off();
}

_Noreturn void board_exit(int status)
{
    board_irq_off();
    const uint64_t block[2] = {SEMIHOSTING_APPLICATION_EXIT, status ? 1 : 0};
    firmware_semihosting(SEMIHOSTING_EXIT_EXTENDED, block);
    power_off();
}
