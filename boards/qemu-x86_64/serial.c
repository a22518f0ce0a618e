/* SPDX-License-Identifier: MIT */
/*
 * COM1, a 16550A: 115200 baud, 8N1, polled, output only. PC16550D data sheet, National
 * Semiconductor 1995, 8.
 *
 * When the transmitter is empty its FIFO takes 16 characters at once, so it is asked once per
 * 16. The wait is bounded: without a COM1 the image runs on, silently.
 */
#include "boards/qemu-x86_64/serial.h"

#include "boards/common/machine.h"
#include "boards/qemu-x86_64/cpu.h"

#define COM1                0x3f8u
#define SERIAL_DATA         (COM1 + 0)
#define SERIAL_DIVISOR_LOW  (COM1 + 0) /* while LINE_DIVISOR is set */
#define SERIAL_DIVISOR_HIGH (COM1 + 1)
#define SERIAL_INTERRUPTS   (COM1 + 1)
#define SERIAL_FIFO         (COM1 + 2)
#define SERIAL_LINE         (COM1 + 3)
#define SERIAL_MODEM        (COM1 + 4)
#define SERIAL_STATUS       (COM1 + 5)
#define LINE_8N1            0x03
#define LINE_DIVISOR        0x80
#define FIFO_ENABLE_CLEAR   0x07
#define MODEM_READY         0x03
#define STATUS_EMPTY        0x20
#define DIVISOR_115200      1
#define FIFO_BYTES          16
#define POLLS_MAX           1000000

void serial_init(void)
{
    cpu_out8(SERIAL_INTERRUPTS, 0);
    cpu_out8(SERIAL_LINE, LINE_DIVISOR | LINE_8N1);
    cpu_out8(SERIAL_DIVISOR_LOW, DIVISOR_115200);
    cpu_out8(SERIAL_DIVISOR_HIGH, 0);
    cpu_out8(SERIAL_LINE, LINE_8N1);
    cpu_out8(SERIAL_FIFO, FIFO_ENABLE_CLEAR);
    cpu_out8(SERIAL_MODEM, MODEM_READY);
}

static void serial_wait_empty(void)
{
    for (unsigned polls = 0; polls < POLLS_MAX; polls++)
        if (cpu_in8(SERIAL_STATUS) & STATUS_EMPTY)
            return;
}

void machine_write(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (i % FIFO_BYTES == 0)
            serial_wait_empty();
        cpu_out8(SERIAL_DATA, (uint8_t)text[i]);
    }
}
