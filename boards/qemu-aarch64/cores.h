/* SPDX-License-Identifier: MIT */
/* The cores of this machine: who is who, how they start, where their stacks are. */
#ifndef BOARDS_QEMU_AARCH64_CORES_H
#define BOARDS_QEMU_AARCH64_CORES_H

#include "boards/qemu-aarch64/hardware.h"
#include <stdint.h>

/* Core 0: numbers the cores, itself first. After it board_cores() is right. */
void cores_init(const struct hardware *hardware);

/* Core 0, last: starts the others with the same translation tables, and waits until they idle. */
void cores_start(void);

/* The affinity fields of a core's MPIDR_EL1. */
uint64_t cores_mpidr(unsigned core);

/* The guard areas of all stacks are no longer mapped, from mmu_switch() on. */
void cores_map_guards(void);

/* The core in whose stack guards `address` is, or -1. */
int cores_guard_owner(uintptr_t address);

/* The end of a core's main stack. */
uintptr_t cores_main_stack_top(unsigned core);

/* start.S calls this on each core but the first, MMU on, on its own stack. */
void boot_secondary_core(unsigned core);

#endif
