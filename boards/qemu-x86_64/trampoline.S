/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of a secondary core. The start-up IPI sets it off in real mode at the
 * page TRAMPOLINE_ADDRESS, to which cores.c has copied [trampoline_start, trampoline_end)
 * and filled in trampoline_page_table.
 *
 * Real mode goes straight to 64-bit mode: with EFER.LME and CR4.PAE set, setting CR0.PE and
 * CR0.PG at once is allowed (Intel SDM volume 3, 9.8.5; AMD volume 2, 14.6). The page is
 * mapped to itself and executable, so the jump after that is still there.
 */
#include "boards/qemu-x86_64/layout.h"

/* An address in the copy, relative to the segment that the SIPI sets up. */
#define HERE(label) ((label) - trampoline_start)

        .section .rodata.trampoline, "a", @progbits
        .globl  trampoline_start, trampoline_end, trampoline_page_table
        .balign 16
        .code16
trampoline_start:
        cli
        cld
        movw    %cs, %ax
        movw    %ax, %ds
        movl    $CR4_VALUE, %eax
        movl    %eax, %cr4
        movl    HERE(trampoline_page_table), %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        movl    $EFER_VALUE, %eax
        xorl    %edx, %edx
        wrmsr
        lgdtl   HERE(trampoline_gdt_pointer)
        movl    $CR0_VALUE, %eax
        movl    %eax, %cr0
        ljmpl   $SELECTOR_CODE, $secondary_entry_64

        .balign 4
trampoline_page_table:
        .long   0                       /* CR3 */
trampoline_gdt_pointer:
        .word   SELECTOR_TSS - 1        /* up to and with SELECTOR_DATA */
        .long   gdt
trampoline_end:
        .code64

        .section .note.GNU-stack, "", @progbits
