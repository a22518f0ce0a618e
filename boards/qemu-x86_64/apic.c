/* SPDX-License-Identifier: MIT */
/*
 * The local APIC in xAPIC mode: registers in memory, the same address on every core.
 *
 * Registers and bits: Intel SDM volume 3, chapter 10. QEMU's firmware leaves the APIC in this
 * mode for up to 255 cores.
 */
#include "boards/qemu-x86_64/apic.h"

#include "arch/arch.h"
#include "boards/qemu-x86_64/clock.h"
#include "boards/qemu-x86_64/cpu.h"
#include "boards/qemu-x86_64/layout.h"
#include "kernel-lib/check.h"

#define MSR_APIC_BASE    0x1bu
#define APIC_BASE_X2APIC 0x400u
#define APIC_BASE_ENABLE 0x800u
#define APIC_BASE_MASK   UINT64_C(0x000ffffffffff000)

/* Byte offsets of the registers. */
#define APIC_ID            0x020u
#define APIC_TASK_PRIORITY 0x080u
#define APIC_EOI           0x0b0u
#define APIC_SPURIOUS      0x0f0u
#define APIC_COMMAND_LOW   0x300u
#define APIC_COMMAND_HIGH  0x310u
#define APIC_TIMER         0x320u
#define APIC_LINT0         0x350u
#define APIC_TIMER_INITIAL 0x380u
#define APIC_TIMER_CURRENT 0x390u
#define APIC_TIMER_DIVIDE  0x3e0u

#define APIC_SOFTWARE_ENABLE 0x100u
#define APIC_MASKED          0x10000u
#define APIC_TIMER_PERIODIC  0x20000u
#define APIC_DIVIDE_BY_16    0x3u
#define APIC_COMMAND_INIT    0x4500u /* INIT, level asserted */
#define APIC_COMMAND_STARTUP 0x4600u
#define APIC_COMMAND_FIXED   0x4000u
#define APIC_COMMAND_PENDING 0x1000u

/* The two 8259 controllers' mask registers. */
#define PIC_MASTER_MASK 0x21u
#define PIC_SLAVE_MASK  0xa1u

#define TIMER_MAX      UINT32_MAX
#define CALIBRATION_NS 2000000u
#define NS_PER_SECOND  UINT64_C(1000000000)

static uintptr_t base;
static uint64_t timer_hz; /* after the division by 16 */

static uint32_t apic_read(uint32_t offset)
{
    return *(volatile uint32_t *)(base + offset);
}

static void apic_write(uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(base + offset) = value;
}

void apic_init(void)
{
    uint64_t msr = cpu_read_msr(MSR_APIC_BASE);
    BH_CHECK((msr & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE,
             "board: the local APIC is off or in x2APIC mode (IA32_APIC_BASE 0x%llx); run QEMU "
             "with -cpu max,-x2apic",
             (unsigned long long)msr);
    base = msr & APIC_BASE_MASK;
    cpu_out8(PIC_MASTER_MASK, 0xff);
    cpu_out8(PIC_SLAVE_MASK, 0xff);
}

uintptr_t apic_address(void)
{
    return base;
}

void apic_enable(void)
{
    apic_write(APIC_TASK_PRIORITY, 0);
    apic_write(APIC_LINT0, APIC_MASKED);
    apic_write(APIC_TIMER, APIC_MASKED | VECTOR_TIMER);
    apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_16);
    apic_write(APIC_SPURIOUS, APIC_SOFTWARE_ENABLE | VECTOR_SPURIOUS);
}

uint32_t apic_id(void)
{
    return apic_read(APIC_ID) >> 24;
}

void apic_end_of_interrupt(void)
{
    apic_write(APIC_EOI, 0);
}

/* The command is two registers: no handler on this core may send between the writes. */
static void apic_command(uint32_t id, uint32_t command)
{
    uintptr_t irq_state = arch_irq_save();
    apic_write(APIC_COMMAND_HIGH, id << 24);
    apic_write(APIC_COMMAND_LOW, command);
    while (apic_read(APIC_COMMAND_LOW) & APIC_COMMAND_PENDING)
        arch_pause();
    arch_irq_restore(irq_state);
}

void apic_send(uint32_t id, uint8_t vector)
{
    apic_command(id, APIC_COMMAND_FIXED | vector);
}

void apic_send_init(uint32_t id)
{
    apic_command(id, APIC_COMMAND_INIT);
}

void apic_send_startup(uint32_t id, uintptr_t address)
{
    apic_command(id, APIC_COMMAND_STARTUP | (uint32_t)(address >> 12));
}

/* Ticks per second over one short stretch of the clock. */
static uint64_t timer_measure(void)
{
    apic_write(APIC_TIMER_INITIAL, TIMER_MAX);
    uint64_t start_ns = bh_port_now_ns();
    uint32_t start = apic_read(APIC_TIMER_CURRENT);
    uint64_t elapsed_ns;
    uint32_t now;
    do {
        now = apic_read(APIC_TIMER_CURRENT);
        elapsed_ns = bh_port_now_ns() - start_ns;
    } while (elapsed_ns < CALIBRATION_NS);
    return (uint64_t)(start - now) * NS_PER_SECOND / elapsed_ns;
}

void apic_timer_calibrate(void)
{
    timer_hz = clock_median(timer_measure);
    apic_timer_stop();
    BH_CHECK(timer_hz > 0, "board: the local APIC's timer does not count");
}

/* Whole seconds and the rest apart: neither product overflows 64 bits. */
static uint64_t timer_ticks(uint64_t ns)
{
    if (ns > TIMER_MAX * UINT64_C(1000))
        return TIMER_MAX;
    uint64_t ticks = ns / NS_PER_SECOND * timer_hz + ns % NS_PER_SECOND * timer_hz / NS_PER_SECOND;
    return ticks < TIMER_MAX ? ticks : TIMER_MAX;
}

void apic_timer_start(uint64_t period_ns)
{
    uint64_t ticks = timer_ticks(period_ns);
    apic_write(APIC_TIMER, APIC_TIMER_PERIODIC | VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, ticks ? (uint32_t)ticks : 1);
}

void apic_timer_stop(void)
{
    apic_write(APIC_TIMER_INITIAL, 0);
    apic_write(APIC_TIMER, APIC_MASKED | VECTOR_TIMER);
}
