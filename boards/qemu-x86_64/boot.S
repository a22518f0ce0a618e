/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of core 0, from the PVH entry to boot_main() in 64-bit mode; the memory
 * that they need; and the entry of the other cores in 64-bit mode.
 *
 * 1. QEMU finds the note, loads the image and enters boot_entry in 32-bit protected mode, paging
 *    off, flat segments, EBX = hvm_start_info (Xen, docs/misc/pvh.pandoc).
 * 2. Boot page tables map the first 4 GiB to themselves with 2 MiB pages, writable.
 * 3. Long mode goes on with our own descriptor table; core 0 gets its stack.
 * 4. boot_main(start_info) in board.c does the rest and builds the real page tables.
 *
 * Invariant: everything here lies under 4 GiB, at the address it is linked to.
 */
#include "boards/qemu-x86_64/layout.h"

#define PVH_NOTE_ENTRY   18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define PAGE_BYTES       4096
#define TABLE_ENTRIES    512
#define PAGE_TABLE       3 /* present, writable */
#define PAGE_LARGE       0x83 /* the same, 2 MiB */
#define LARGE_PAGE_BYTES 0x200000

/* The data segments, in 64-bit mode: flat ones, and none in FS and GS, whose bases are set later. */
        .macro load_segments
        movl    $SELECTOR_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        .endm

        .section .note.pvh, "a", @note
        .balign 4
        .long   4                       /* bytes of the name */
        .long   8                       /* bytes of the entry address */
        .long   PVH_NOTE_ENTRY
        .asciz  "Xen"
        .quad   boot_entry

        .section .text.boot, "ax", @progbits
        .code32
        .globl  boot_entry
        .type   boot_entry, @function
boot_entry:
        cli
        cld
        movl    %ebx, %ebp              /* start info, until it can be an argument */

        /* The level 4 table has one entry, the level 3 table four, one per level 2 table. */
        movl    $(boot_level3 + PAGE_TABLE), boot_level4
        movl    $(boot_level2 + PAGE_TABLE), %eax
        movl    $boot_level3, %edi
        movl    $BOOT_MAP_GIB, %ecx
1:      movl    %eax, (%edi)
        addl    $PAGE_BYTES, %eax
        addl    $8, %edi
        loop    1b

        movl    $PAGE_LARGE, %eax
        movl    $boot_level2, %edi
        movl    $(BOOT_MAP_GIB * TABLE_ENTRIES), %ecx
2:      movl    %eax, (%edi)
        addl    $LARGE_PAGE_BYTES, %eax
        addl    $8, %edi
        loop    2b

        movl    $CR4_VALUE, %eax
        movl    %eax, %cr4
        movl    $boot_level4, %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        movl    $EFER_VALUE, %eax
        xorl    %edx, %edx
        wrmsr
        movl    $CR0_VALUE, %eax
        movl    %eax, %cr0
        lgdt    gdt_pointer
        ljmp    $SELECTOR_CODE, $boot_entry_64
        .size   boot_entry, . - boot_entry

        .code64
        .type   boot_entry_64, @function
boot_entry_64:
        load_segments
        leaq    __stacks_start + STACK_MAIN_TOP, %rsp
        movl    %ebp, %edi
        xorl    %ebp, %ebp              /* the end of every call chain */
        call    boot_main
        ud2
        .size   boot_entry_64, . - boot_entry_64

        /* Where the trampoline goes once it is in 64-bit mode. cores.c has set the variables. */
        .globl  secondary_entry_64
        .type   secondary_entry_64, @function
secondary_entry_64:
        load_segments
        movq    secondary_stack_top, %rsp
        movl    secondary_core, %edi
        xorl    %ebp, %ebp
        call    secondary_main
        ud2
        .size   secondary_entry_64, . - secondary_entry_64

        .section .data.gdt, "aw", @progbits
        .balign 16
        .globl  gdt
        .type   gdt, @object
gdt:
        .quad   0
        .quad   0x00af9b000000ffff      /* SELECTOR_CODE: 64-bit, present, accessed */
        .quad   0x00cf93000000ffff      /* SELECTOR_DATA: writable */
        .skip   GDT_CORES * 16          /* SELECTOR_TSS: filled by core.c */
gdt_end:
        .size   gdt, . - gdt

        .globl  gdt_pointer
        .type   gdt_pointer, @object
        .balign 8
gdt_pointer:
        .word   gdt_end - gdt - 1
        .quad   gdt
        .size   gdt_pointer, . - gdt_pointer

        /* Neither roots of the collector nor zeroed at run time: the loader zeroes them. */
        .section .stacks, "aw", @nobits
        .balign PAGE_BYTES
        .skip   GDT_CORES * STACKS_BYTES
boot_level4:
        .skip   PAGE_BYTES
boot_level3:
        .skip   PAGE_BYTES
boot_level2:
        .skip   BOOT_MAP_GIB * PAGE_BYTES

        .section .note.GNU-stack, "", @progbits
