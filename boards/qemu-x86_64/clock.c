/* SPDX-License-Identifier: MIT */
/*
 * bh_port_now_ns() from the time stamp counter, measured at boot against the interval timer (8254).
 *
 * 1. QEMU's time stamp counter is the same on all cores and runs at a constant rate, in each of
 *    its modes; under -icount it counts instructions.
 * 2. Its rate is measured against the 8254, whose rate has been 1193182 Hz since the first PC
 *    and which q35 and microvm both have. Several short measurements, the median counts.
 * 3. now = (counter - counter at boot) * factor / 2^32, in 128 bits: no overflow, no division.
 *
 * Invariant: factor is written once, before the other cores start.
 */
#include "boards/qemu-x86_64/clock.h"

#include "arch/arch.h"
#include "boards/board.h"
#include "boards/qemu-x86_64/cpu.h"
#include "kernel-lib/check.h"

#define NS_PER_SECOND UINT64_C(1000000000)

/* The 8254: channel 0, mode 2 (counts down from 65536, again and again). */
#define PIT_HZ            1193182u
#define PIT_CHANNEL_0     0x40u
#define PIT_COMMAND       0x43u
#define PIT_MODE_2        0x34u
#define PIT_LATCH         0x00u
#define PIT_SPAN          2400u     /* about 2 ms, well under a round of 65536 */
#define PIT_READS_IN_VAIN 10000000u /* a core that reads this often for 2 ms does not exist */

#define MEASUREMENTS 5

static uint64_t factor; /* nanoseconds per tick of the counter, times 2^32 */
static uint64_t start_cycles;

static uint16_t pit_read(void)
{
    cpu_out8(PIT_COMMAND, PIT_LATCH);
    uint8_t low = cpu_in8(PIT_CHANNEL_0);
    return (uint16_t)(cpu_in8(PIT_CHANNEL_0) << 8 | low);
}

static void pit_start(void)
{
    cpu_out8(PIT_COMMAND, PIT_MODE_2);
    cpu_out8(PIT_CHANNEL_0, 0);
    cpu_out8(PIT_CHANNEL_0, 0);
}

/* Cycles per second over one short stretch of the 8254. */
static uint64_t cycles_measure(void)
{
    uint16_t start = pit_read();
    uint64_t start_tsc = arch_cycles();
    for (uint32_t reads = 0; reads < PIT_READS_IN_VAIN; reads++) {
        uint16_t elapsed = (uint16_t)(start - pit_read());
        uint64_t cycles = arch_cycles() - start_tsc;
        if (elapsed >= PIT_SPAN)
            return cycles * PIT_HZ / elapsed;
    }
    bh_panic("board: the 8254 timer does not count, so the clock cannot be set; run QEMU with it "
             "(microvm: -M microvm,pit=on)");
}

uint64_t clock_median(uint64_t (*measure)(void))
{
    uint64_t sorted[MEASUREMENTS] = {0};
    for (unsigned n = 0; n < MEASUREMENTS; n++) {
        uint64_t value = measure();
        unsigned i = n;
        for (; i > 0 && sorted[i - 1] > value; i--)
            sorted[i] = sorted[i - 1];
        sorted[i] = value;
    }
    return sorted[MEASUREMENTS / 2];
}

void clock_init(void)
{
    pit_start();
    uint64_t hz = clock_median(cycles_measure);
    start_cycles = arch_cycles();
    factor = (NS_PER_SECOND << 32) / hz;
}

uint64_t bh_port_now_ns(void)
{
    uint64_t cycles = arch_cycles() - start_cycles;
    return board_on_clock((uint64_t)((unsigned __int128)cycles * factor >> 32));
}

void clock_delay_ns(uint64_t ns)
{
    uint64_t start = bh_port_now_ns();
    while (bh_port_now_ns() - start < ns)
        arch_pause();
}
