/* SPDX-License-Identifier: MIT */
/*
 * GICv2 (Arm IHI 0048): registers in memory, up to 8 cores.
 *
 * A core is addressed by its bit in a mask; the bit is the number of its CPU interface, which need
 * not be our index: each core reads its own off a banked register.
 */
#include "boards/qemu-aarch64/gic.h"
#include "boards/qemu-aarch64/sysreg.h"
#include "kernel-lib/check.h"
#include <bareheap/port.h>

enum gic_v2_distributor {
    GICD_CTLR = 0x000,
    GICD_ISENABLER0 = 0x100,
    GICD_ICENABLER0 = 0x180,
    GICD_IPRIORITYR0 = 0x400,
    GICD_ITARGETSR0 = 0x800,
    GICD_SGIR = 0xf00,
};

enum gic_v2_cpu_interface {
    GICC_CTLR = 0x000,
    GICC_PMR = 0x004,
    GICC_BPR = 0x008,
    GICC_IAR = 0x00c,
    GICC_EOIR = 0x010,
};

#define GICD_SGIR_TARGETS_SHIFT 16
#define PRIORITY_OF_ALL         0xa0a0a0a0u
#define PRIORITY_LOWEST         0xffu

static uintptr_t distributor;
static uintptr_t cpu_interface;
static uint8_t target_masks[BOARD_MAX_CORES];

static void gic_v2_init(const struct hardware *hardware)
{
    distributor = hardware->gic[0].lo;
    cpu_interface = hardware->gic[1].lo;
    mmio_write32(distributor + GICD_CTLR, 1);
}

/* Each core's ITARGETSR of its private interrupts reads as its own mask; on a machine with one
 * core it may read as 0. */
static uint8_t own_mask(void)
{
    uint32_t mask = mmio_read32(distributor + GICD_ITARGETSR0) & 0xff;
    return mask ? (uint8_t)mask : 1;
}

static void gic_v2_init_core(uint32_t mask)
{
    target_masks[bh_port_core()] = own_mask();
    mmio_write32(distributor + GICD_ICENABLER0, ~mask);
    for (uintptr_t i = 0; i < 32; i += 4)
        mmio_write32(distributor + GICD_IPRIORITYR0 + i, PRIORITY_OF_ALL);
    mmio_write32(distributor + GICD_ISENABLER0, mask);
    mmio_write32(cpu_interface + GICC_PMR, PRIORITY_LOWEST);
    mmio_write32(cpu_interface + GICC_BPR, 0);
    mmio_write32(cpu_interface + GICC_CTLR, 1);
}

static void gic_v2_send(unsigned core, unsigned id)
{
    /* What was stored before the interrupt must be visible when its handler runs: a store to a
     * device is not ordered behind stores to memory by itself. SY, not ISHST: the distributor is
     * outside the cores' inner shareable domain. */
    barrier_dsb_sy();
    mmio_write32(distributor + GICD_SGIR,
                 (uint32_t)target_masks[core] << GICD_SGIR_TARGETS_SHIFT | id);
}

static uint32_t gic_v2_acknowledge(void)
{
    uint32_t acknowledged = mmio_read32(cpu_interface + GICC_IAR);
    /* The handler's loads must not be done before the interrupt is taken: pairs with the barrier in
     * gic_v2_send(). */
    barrier_dsb_sy();
    return acknowledged;
}

static void gic_v2_end(uint32_t acknowledged)
{
    /* What the handler told a device (the timer: quiet) is done before the interrupt may come
     * again. */
    barrier_dsb_sy();
    mmio_write32(cpu_interface + GICC_EOIR, acknowledged);
}

const struct gic_ops gic_v2_ops = {
    .init = gic_v2_init,
    .init_core = gic_v2_init_core,
    .send = gic_v2_send,
    .acknowledge = gic_v2_acknowledge,
    .end = gic_v2_end,
};
