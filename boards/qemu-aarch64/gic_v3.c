/* SPDX-License-Identifier: MIT */
/*
 * GICv3 (Arm IHI 0069): a redistributor per core in memory, the CPU interface in system registers.
 *
 * 1. A core finds its redistributor by comparing affinities, frame by frame.
 * 2. SGIs are addressed by affinity: the upper three fields, and a mask of 16 of the lowest.
 * 3. All interrupts are in group 1, the one that arrives as IRQ.
 */
#include "boards/qemu-aarch64/cores.h"
#include "boards/qemu-aarch64/gic.h"
#include "boards/qemu-aarch64/sysreg.h"
#include "kernel-lib/check.h"
#include <bareheap/port.h>

enum gic_v3_distributor {
    GICD_CTLR = 0x0000,
};

/* A redistributor is two frames of 64 KiB: control, then its private interrupts; four where it
 * has virtual LPIs. */
enum gic_v3_redistributor {
    GICR_TYPER = 0x0008,
    GICR_WAKER = 0x0014,
    GICR_IGROUPR0 = 0x10080,
    GICR_ISENABLER0 = 0x10100,
    GICR_ICENABLER0 = 0x10180,
    GICR_IPRIORITYR0 = 0x10400,
};

#define REDISTRIBUTOR_BYTES         0x20000u
#define REDISTRIBUTOR_VIRTUAL_BYTES 0x40000u

#define GICD_CTLR_GROUP_1       (1u << 1)
#define GICD_CTLR_AFFINITY      (1u << 4)
#define GICD_CTLR_WRITE_PENDING (1u << 31)

#define GICR_TYPER_VIRTUAL         (1u << 1)
#define GICR_TYPER_LAST            (1u << 4)
#define GICR_TYPER_AFFINITY_SHIFT  32
#define GICR_WAKER_SLEEP           (1u << 1)
#define GICR_WAKER_CHILDREN_ASLEEP (1u << 2)

#define ICC_SRE_ENABLE 1u

#define PRIORITY_OF_ALL 0xa0a0a0a0u
#define PRIORITY_LOWEST 0xffu

#define DEVICE_TIMEOUT_NS 1000000000u

static uintptr_t distributor;
static struct hardware_range regions[HARDWARE_MAX_GIC_REGIONS];
static unsigned region_count;

/* Waits until the bits of `mask` are clear. */
static void wait_clear(uintptr_t address, uint32_t mask, const char *what)
{
    uint64_t start_ns = bh_port_now_ns();
    while (mmio_read32(address) & mask)
        BH_CHECK(bh_port_now_ns() - start_ns < DEVICE_TIMEOUT_NS,
                 "board: GICv3: %s of core %u did not get ready within 1 s", what, bh_port_core());
}

static void gic_v3_init(const struct hardware *hardware)
{
    distributor = hardware->gic[0].lo;
    region_count = hardware->gic_region_count - 1;
    for (unsigned i = 0; i < region_count; i++)
        regions[i] = hardware->gic[i + 1];
    mmio_write32(distributor + GICD_CTLR, GICD_CTLR_AFFINITY | GICD_CTLR_GROUP_1);
    wait_clear(distributor + GICD_CTLR, GICD_CTLR_WRITE_PENDING, "the distributor");
}

/* The affinity as GICR_TYPER has it: Aff3 next to the others. */
static uint32_t packed_affinity(uint64_t mpidr)
{
    return (uint32_t)(mpidr & 0xffffff) | (uint32_t)(mpidr >> 32 & 0xff) << 24;
}

/* The redistributor with this affinity in one region, or 0. */
static uintptr_t find_in_region(struct hardware_range region, uint32_t affinity)
{
    uintptr_t at = region.lo;
    while (region.hi - at >= REDISTRIBUTOR_BYTES) {
        uint64_t type = mmio_read64(at + GICR_TYPER);
        if (type >> GICR_TYPER_AFFINITY_SHIFT == affinity)
            return at;
        uintptr_t bytes =
            type & GICR_TYPER_VIRTUAL ? REDISTRIBUTOR_VIRTUAL_BYTES : REDISTRIBUTOR_BYTES;
        if ((type & GICR_TYPER_LAST) || region.hi - at < bytes)
            return 0;
        at += bytes;
    }
    return 0;
}

static uintptr_t own_redistributor(void)
{
    uint64_t mpidr = sysreg_read("mpidr_el1");
    for (unsigned i = 0; i < region_count; i++) {
        uintptr_t found = find_in_region(regions[i], packed_affinity(mpidr));
        if (found)
            return found;
    }
    bh_panic("board: GICv3: no redistributor for core %u (MPIDR %#llx)", bh_port_core(),
             (unsigned long long)mpidr);
}

static void init_redistributor(uintptr_t redistributor, uint32_t mask)
{
    uint32_t waker = mmio_read32(redistributor + GICR_WAKER);
    mmio_write32(redistributor + GICR_WAKER, waker & ~GICR_WAKER_SLEEP);
    wait_clear(redistributor + GICR_WAKER, GICR_WAKER_CHILDREN_ASLEEP, "the redistributor");
    mmio_write32(redistributor + GICR_IGROUPR0, ~0u);
    mmio_write32(redistributor + GICR_ICENABLER0, ~mask);
    for (uintptr_t i = 0; i < 32; i += 4)
        mmio_write32(redistributor + GICR_IPRIORITYR0 + i, PRIORITY_OF_ALL);
    mmio_write32(redistributor + GICR_ISENABLER0, mask);
    /* The redistributor has all of it before interrupts of this core go on. */
    barrier_dsb_sy();
}

static void init_cpu_interface(void)
{
    sysreg_write(ICC_SRE_EL1, sysreg_read(ICC_SRE_EL1) | ICC_SRE_ENABLE);
    barrier_isb(); /* the registers below exist only once SRE is set */
    sysreg_write(ICC_PMR_EL1, PRIORITY_LOWEST);
    sysreg_write(ICC_BPR1_EL1, 0);
    sysreg_write(ICC_CTLR_EL1, 0);
    sysreg_write(ICC_IGRPEN1_EL1, 1);
    barrier_isb(); /* in effect on return */
}

static void gic_v3_init_core(uint32_t mask)
{
    init_redistributor(own_redistributor(), mask);
    init_cpu_interface();
}

static void gic_v3_send(unsigned core, unsigned id)
{
    uint64_t mpidr = cores_mpidr(core);
    uint64_t aff0 = mpidr & 0xff;
    uint64_t target = (mpidr >> 32 & 0xff) << 48 | (mpidr >> 16 & 0xff) << 32 |
                      (mpidr >> 8 & 0xff) << 16 | (aff0 / 16) << 44 | (uint64_t)1 << (aff0 % 16);
    /* What was stored before the interrupt must be visible when its handler runs: a write to a
     * system register is not ordered behind stores to memory. Between cores: ISHST. */
    barrier_dsb_ishst();
    sysreg_write(ICC_SGI1R_EL1, target | (uint64_t)id << 24);
    barrier_isb(); /* sent now, not when something else synchronises */
}

static uint32_t gic_v3_acknowledge(void)
{
    uint32_t acknowledged = (uint32_t)sysreg_read(ICC_IAR1_EL1);
    /* The read has taken the interrupt, for the redistributor too, before the handler's loads:
     * pairs with the barrier in gic_v3_send(). */
    barrier_dsb_sy();
    return acknowledged;
}

static void gic_v3_end(uint32_t acknowledged)
{
    sysreg_write(ICC_EOIR1_EL1, acknowledged);
    barrier_isb(); /* the priority has dropped before interrupts go on again */
}

const struct gic_ops gic_v3_ops = {
    .init = gic_v3_init,
    .init_core = gic_v3_init_core,
    .send = gic_v3_send,
    .acknowledge = gic_v3_acknowledge,
    .end = gic_v3_end,
};
