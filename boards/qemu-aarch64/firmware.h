/* SPDX-License-Identifier: MIT */
/* What the board asks of firmware and emulator: starting cores, switching off, exit codes. */
#ifndef BOARDS_QEMU_AARCH64_FIRMWARE_H
#define BOARDS_QEMU_AARCH64_FIRMWARE_H

#include "boards/qemu-aarch64/hardware.h"
#include <stdbool.h>
#include <stdint.h>

/* Says how PSCI is reached; before the others. */
void firmware_init(enum hardware_conduit conduit);

/* PSCI CPU_ON: the core with this MPIDR starts at `entry` with x0 = `context`, MMU off. NULL, or
 * why not. */
const char *firmware_start_core(uint64_t mpidr, uintptr_t entry, uintptr_t context);

/* Whether `pc` is the semihosting instruction: an undefined one when semihosting is off. */
bool firmware_is_semihosting(uintptr_t pc);

/* The rest of board_exit() when it turns out that semihosting is off. */
_Noreturn void firmware_exit_without_semihosting(void);

/* firmware.S */
int64_t firmware_hvc(uint64_t function, uint64_t a, uint64_t b, uint64_t c);
int64_t firmware_smc(uint64_t function, uint64_t a, uint64_t b, uint64_t c);
int64_t firmware_semihosting(uint64_t operation, const void *block);
extern const char firmware_semihosting_trap[];

#endif
