/* SPDX-License-Identifier: MIT */
/*
 * Numbers that the assembler files and the C files of this board share: segments, vectors,
 * stacks, low memory. Only macros here.
 *
 * The stacks of one core, ascending; every guard is left unmapped:
 *
 *   guard       16 KiB
 *   main       240 KiB   everything the core runs, interrupt handlers included
 *   guard        4 KiB
 *   fault       12 KiB   IST_FAULT
 *   guard        4 KiB
 *   page fault  12 KiB   IST_PAGE_FAULT
 *
 * The wide guard under the main stack catches functions whose locals would step over a page.
 */
#ifndef BOARDS_QEMU_X86_64_LAYOUT_H
#define BOARDS_QEMU_X86_64_LAYOUT_H

/* Offsets in the global descriptor table; core n's task state is at SELECTOR_TSS + 16 n. */
#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TSS  0x18
#define GDT_CORES     16 /* BOARD_MAX_CORES, which the assembler cannot see */

/* Vectors 0 to 31 are the CPU's exceptions. The highest number has the highest priority. */
#define VECTOR_EXCEPTIONS 32
#define VECTOR_TIMER      0x40
#define VECTOR_WAKE       0x41
#define VECTOR_STOP       0x50
#define VECTOR_SPURIOUS   0xff

#define STACK_MAIN_GUARD_BYTES 0x4000
#define STACK_MAIN_TOP         0x40000
#define STACK_SIDE_GUARD_BYTES 0x1000
#define STACK_FAULT_TOP        0x44000
#define STACK_PAGE_FAULT_TOP   0x48000
#define STACKS_BYTES           0x48000 /* all of one core */

/* Entries of the interrupt stack table (TSS) that exceptions switch to. */
#define IST_FAULT      1 /* double fault, NMI, machine check */
#define IST_PAGE_FAULT 2 /* so that the overflow of a stack can be reported */

/* What the boot page tables map: [0, BOOT_MAP_END). */
#define BOOT_MAP_GIB 4
#define BOOT_MAP_END 0x100000000

/* Where a starting core begins, in real mode: a page under 640 KiB. The SIPI carries its number. */
#define TRAMPOLINE_ADDRESS 0x8000

/* Control bits. Intel SDM volume 3, 2.5 and 2.2.1. */
#define CR0_VALUE   0x80010033 /* PG WP NE ET MP PE; not EM, TS, CD, NW */
#define CR4_VALUE   0x620      /* OSXMMEXCPT OSFXSR PAE */
#define MSR_EFER    0xc0000080
#define EFER_VALUE  0x900 /* NXE LME */
#define MSR_GS_BASE 0xc0000101

#endif
