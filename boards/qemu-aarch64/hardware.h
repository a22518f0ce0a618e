/* SPDX-License-Identifier: MIT */
/* What the device tree says about this machine, as far as the board uses it. */
#ifndef BOARDS_QEMU_AARCH64_HARDWARE_H
#define BOARDS_QEMU_AARCH64_HARDWARE_H

#include "boards/board.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HARDWARE_MAX_RANGES      16
#define HARDWARE_MAX_GIC_REGIONS 8

/* [lo, hi) */
struct hardware_range {
    uintptr_t lo;
    uintptr_t hi;
};

enum hardware_conduit {
    CONDUIT_NONE,
    CONDUIT_HVC,
    CONDUIT_SMC,
};

struct hardware {
    struct hardware_range memory[HARDWARE_MAX_RANGES]; /* every /memory node's entries */
    struct hardware_range reserved[HARDWARE_MAX_RANGES];
    unsigned memory_count;
    unsigned reserved_count;

    /* Cores that PSCI can start, in the tree's order; cores_listed counts the others too. */
    uint64_t mpidr[BOARD_MAX_CORES];
    unsigned cores;
    unsigned cores_listed;
    enum hardware_conduit psci;

    uintptr_t uart; /* PL011 */

    /* GICv2: distributor, CPU interface. GICv3: distributor, regions of redistributors. */
    unsigned gic_version; /* 0: none found */
    unsigned gic_region_count;
    struct hardware_range gic[HARDWARE_MAX_GIC_REGIONS];

    unsigned timer_interrupt; /* INTID of the virtual timer; 0: none found */

    const char *command_line; /* in the tree; NULL when there is none */

    struct hardware_range initrd; /* empty when there is none */
};

/*
 * Reads the tree at `tree` into `hardware`. Panics, saying what and where, when it is malformed or
 * lacks what the board cannot do without: memory, an interrupt controller, a timer.
 */
void hardware_read(struct hardware *hardware, const void *tree, size_t max_bytes);

#endif
