/* SPDX-License-Identifier: MIT */
/* COM1, which machine_write() prints on. */
#ifndef BOARDS_QEMU_X86_64_SERIAL_H
#define BOARDS_QEMU_X86_64_SERIAL_H

/* Core 0, before the first text. */
void serial_init(void);

#endif
