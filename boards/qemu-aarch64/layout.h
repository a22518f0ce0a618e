/* SPDX-License-Identifier: MIT */
/*
 * Constants that the assembly files and the C files share: stacks, frames, the first RAM.
 *
 * Stacks of one core, from low to high addresses; core n's block begins at
 * __stacks_start + n * STACK_BLOCK_BYTES:
 *
 *   guard        not mapped: running off the main stack faults here
 *   main         everything the core runs, interrupt handlers included
 *   guard        not mapped
 *   exception    SP_EL1: reports of synchronous exceptions, which need a stack that works even
 *                when the main one is full
 */
#ifndef BOARDS_QEMU_AARCH64_LAYOUT_H
#define BOARDS_QEMU_AARCH64_LAYOUT_H

#define STACK_GUARD_BYTES     0x4000
#define STACK_MAIN_BYTES      0x20000
#define STACK_EXCEPTION_BYTES 0x4000

#define STACK_MAIN_OFFSET      STACK_GUARD_BYTES
#define STACK_MAIN_TOP         (STACK_MAIN_OFFSET + STACK_MAIN_BYTES)
#define STACK_EXCEPTION_OFFSET (STACK_MAIN_TOP + STACK_GUARD_BYTES)
#define STACK_BLOCK_BYTES      (STACK_EXCEPTION_OFFSET + STACK_EXCEPTION_BYTES)

/* As many blocks as BOARD_MAX_CORES; cores.c checks that they agree. */
#define STACK_BLOCKS 16

/* QEMU virt: RAM begins here, and here lies the device tree of an ELF image. */
#define VIRT_RAM_START 0x40000000

/* The end of what boot_table in start.S maps as RAM. */
#define VIRT_BOOT_MAP_END 0x80000000

/* QEMU virt's PL011, for messages before the device tree is read. */
#define VIRT_UART 0x09000000

/* Offsets in struct exception_frame (exception.h), which vectors.S fills. */
#define EXCEPTION_FRAME_SP    248
#define EXCEPTION_FRAME_PC    256
#define EXCEPTION_FRAME_ESR   272
#define EXCEPTION_FRAME_BYTES 288

/* The bytes of what an interrupt leaves on the stack (vectors.S). */
#define INTERRUPT_FRAME_BYTES 800

/* ESR_EL1: where the exception class is, and the class of a software step at EL1. */
#define ESR_CLASS_SHIFT 26
#define ESR_CLASS_STEP  0x33

/* The bytes of a struct core_base (cores.h), to which TPIDR_EL1 points. */
#define CORE_BASE_BYTES 64

/* Offsets in struct core_start (cores.c), which secondary_entry reads with the MMU off. */
#define CORE_START_TABLE 0
#define CORE_START_CORE  8

#endif
