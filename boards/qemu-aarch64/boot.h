/* SPDX-License-Identifier: MIT */
/* The C side of start.S. */
#ifndef BOARDS_QEMU_AARCH64_BOOT_H
#define BOARDS_QEMU_AARCH64_BOOT_H

#include <stdint.h>

/* start.S calls this on core 0 with the address of the device tree. */
_Noreturn void boot_first_core(uintptr_t tree);

#endif
