/* SPDX-License-Identifier: MIT */
/* The PL011 that machine_write() writes to. */
#ifndef BOARDS_QEMU_AARCH64_UART_H
#define BOARDS_QEMU_AARCH64_UART_H

#include <stdint.h>

/* Moves the console to the UART at `address`; 0 leaves it at QEMU virt's, where it is at first. */
void uart_init(uintptr_t address);

#endif
