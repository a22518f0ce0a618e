/* SPDX-License-Identifier: MIT */
/*
 * The console: a PL011 (Arm DDI 0183), output only, polled. QEMU and firmware leave it enabled,
 * with a line speed; a bare board would set both here.
 */
#include "boards/qemu-aarch64/uart.h"

#include "boards/common/machine.h"
#include "boards/qemu-aarch64/layout.h"
#include "boards/qemu-aarch64/sysreg.h"

enum uart_register {
    UART_DR = 0x00,
    UART_FR = 0x18,
};

#define UART_FR_TRANSMIT_FULL (1u << 5)

static uintptr_t uart = VIRT_UART;

void uart_init(uintptr_t address)
{
    if (address)
        uart = address;
}

void machine_write(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        while (mmio_read32(uart + UART_FR) & UART_FR_TRANSMIT_FULL)
            ;
        mmio_write32(uart + UART_DR, (uint8_t)text[i]);
    }
}
