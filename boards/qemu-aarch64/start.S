/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of every core, up to the first C function.
 *
 * 1. QEMU enters core 0 at _start: an ELF image with x0 = 0 and the device tree at the start of
 *    RAM, a raw image (which opens with the arm64 Image header) with x0 = device tree. PSCI enters
 *    the others at secondary_entry with x0 = struct core_start. MMU and caches are off.
 * 2. A core at EL2 (virtualization=on) goes down to EL1, with nothing trapped.
 * 3. The MMU goes on before anything shared is touched: core 0 with the two blocks below, the
 *    others with core 0's finished tables, whose address they read from core_start.
 * 4. C code runs at EL1 with SP_EL0 selected (EL1t). A synchronous exception switches to SP_EL1,
 *    so a full main stack can be reported; interrupts switch back to SP_EL0 (vectors.S).
 *
 * x19 to x22 hold: struct core_start or the device tree, the translation table, the core's index.
 */
#include "boards/qemu-aarch64/layout.h"

/* SCTLR_EL1: the bits that are always one in ARMv8.0 (29, 28, 23, 22, 20, 11); with the MMU also M,
 * data cache C, stack alignment check SA, instruction cache I. */
#define SCTLR_MMU_OFF 0x30d00800
#define SCTLR_MMU_ON  (SCTLR_MMU_OFF | 1 << 0 | 1 << 2 | 1 << 3 | 1 << 12)

/* TCR_EL1: 48-bit addresses by TTBR0, 4 KiB pages, tables read through the caches (write-back,
 * inner shareable); no walks by TTBR1. The physical size is added at run time. */
#define TCR (16 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 30)

/* MAIR_EL1: attribute 0 is Device-nGnRE, 1 is Normal write-back. mmu.c uses the same indices. */
#define MAIR 0xff04

    /* A section of its own, first in the image. Not .text.something: with -ffunction-sections that
     * may be the name of a function's. */
    .section .boot_header, "ax", %progbits
    .globl _start
    .type _start, %function
_start:
    /* The Image header. Linux's Documentation/arm64/booting.rst has its fields. */
    b       boot_entry
    .long   0
    .quad   __image_load_offset     /* from a 2 MiB boundary of RAM */
    .quad   __image_bytes           /* with .bss and stacks: the device tree goes behind it */
    .quad   2                       /* little-endian, 4 KiB pages */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0
    .size _start, . - _start

    .type boot_entry, %function
boot_entry:
    mov     x19, x0
    cbnz    x19, 1f
    ldr     x19, =VIRT_RAM_START
1:  mov     x22, #0
    bl      drop_to_el1
    ldr     x20, =boot_table
    bl      core_setup

    /* A raw image's .bss is whatever was in RAM. Multiples of 16 by the linker script. */
    ldr     x0, =__bss_start
    ldr     x1, =__bss_end
2:  cmp     x0, x1
    b.hs    3f
    stp     xzr, xzr, [x0], #16
    b       2b
3:  mov     x0, x19
    bl      boot_first_core
    b       core_halt
    .size boot_entry, . - boot_entry

    .globl secondary_entry
    .type secondary_entry, %function
secondary_entry:
    mov     x19, x0
    bl      drop_to_el1
    ldr     x20, [x19, #CORE_START_TABLE]
    ldr     x22, [x19, #CORE_START_CORE]
    bl      core_setup
    mov     x0, x22
    bl      boot_secondary_core
    b       core_halt
    .size secondary_entry, . - secondary_entry

/* Returns at EL1 with SP_EL1 selected and all interrupts masked. Uses x9 and x10. */
    .type drop_to_el1, %function
drop_to_el1:
    mrs     x9, CurrentEL
    cmp     x9, #(1 << 2)
    b.eq    1f
    cmp     x9, #(2 << 2)
    b.ne    wrong_level
    /* EL1 is 64-bit; pointer authentication (API, APK) is not trapped. */
    ldr     x9, =(1 << 31 | 1 << 41 | 1 << 40)
    msr     hcr_el2, x9
    /* Counter and timer open to EL1, virtual count = physical count. */
    mov     x9, #3
    msr     cnthctl_el2, x9
    msr     cntvoff_el2, xzr
    /* FP and SIMD not trapped (the bits that are always one). */
    mov     x9, #0x33ff
    msr     cptr_el2, x9
    msr     hstr_el2, xzr
    mrs     x9, midr_el1
    msr     vpidr_el2, x9
    mrs     x9, mpidr_el1
    msr     vmpidr_el2, x9
    /* With GICv3's CPU interface: ICC_SRE_EL2.{Enable,SRE}, so that EL1 may use it. */
    mrs     x9, id_aa64pfr0_el1
    ubfx    x9, x9, #24, #4
    cbz     x9, 0f
    mrs     x9, S3_4_C12_C9_5
    mov     x10, #9
    orr     x9, x9, x10
    msr     S3_4_C12_C9_5, x9
    isb                             /* ICH_HCR_EL2 exists only after SRE has taken effect */
    msr     S3_4_C12_C11_0, xzr
0:  ldr     x9, =SCTLR_MMU_OFF
    msr     sctlr_el1, x9
    mov     x9, #0x3c5              /* EL1h, DAIF masked */
    msr     spsr_el2, x9
    msr     elr_el2, x30
    eret                            /* makes all of the above take effect, like an ISB */
1:  msr     daifset, #15
    ret
    .size drop_to_el1, . - drop_to_el1

/* Sets up this core: x20 = translation table, x22 = core index. Returns with the MMU on, on
 * the main stack, in EL1t. Uses x9 to x12. */
    .type core_setup, %function
core_setup:
    ldr     x9, =__stacks_start
    ldr     x10, =STACK_BLOCK_BYTES
    madd    x12, x22, x10, x9       /* this core's stacks */
    add     x9, x12, x10
    msr     tpidrro_el0, x9         /* the top of its exception stack, for vectors.S */
    ldr     x9, =exception_vectors
    msr     vbar_el1, x9
    mov     x9, #(3 << 20)
    msr     cpacr_el1, x9           /* FP and SIMD for EL1 */
    ldr     x9, =core_bases
    mov     x10, #CORE_BASE_BYTES
    madd    x9, x22, x10, x9
    msr     tpidr_el1, x9           /* bh_port_core() */
    ldr     x9, =MAIR
    msr     mair_el1, x9
    ldr     x9, =TCR
    mrs     x10, id_aa64mmfr0_el1
    and     x10, x10, #15
    mov     x11, #5                 /* 48 bits: 52 need another table format */
    cmp     x10, x11
    csel    x10, x10, x11, lo
    orr     x9, x9, x10, lsl #32
    msr     tcr_el1, x9
    msr     ttbr0_el1, x20
    isb                             /* table and format are set before the MMU goes on */
    tlbi    vmalle1                 /* what a warm reset may have left */
    ic      iallu
    dsb     nsh                     /* both are complete ... */
    isb                             /* ... before the next fetch */
    ldr     x9, =SCTLR_MMU_ON
    msr     sctlr_el1, x9
    isb                             /* from here on addresses are translated */
    mrs     x10, tpidrro_el0
    msr     spsel, #1
    mov     sp, x10                 /* SP_EL1: exceptions */
    ldr     x10, =STACK_MAIN_TOP
    add     x10, x12, x10
    msr     spsel, #0
    mov     sp, x10                 /* SP_EL0: everything else */
    msr     daifclr, #4             /* SErrors are reported from here on */
    mov     x29, xzr                /* the end of every backtrace */
    ret
    .size core_setup, . - core_setup

/*
 * void mmu_switch(uint64_t table): continues with other translation tables that map this code and
 * the stack at the same addresses. The MMU is off in between, because old and new entries of
 * different sizes for one address must not meet in the TLB; no memory is accessed meanwhile, so the
 * caches keep what they hold.
 */
    .globl mmu_switch
    .type mmu_switch, %function
mmu_switch:
    mrs     x1, sctlr_el1
    bic     x2, x1, #1
    dsb     ish                     /* the new tables are visible to the table walker */
    msr     sctlr_el1, x2
    isb                             /* the MMU is off before the old entries go */
    msr     ttbr0_el1, x0
    tlbi    vmalle1
    dsb     nsh                     /* the old entries are gone ... */
    isb                             /* ... and the new table is in place ... */
    msr     sctlr_el1, x1           /* ... before the MMU is on */
    isb
    ret
    .size mmu_switch, . - mmu_switch

/* EL3 (secure=on) has no PSCI in QEMU, so no other cores. Says so on the console, stops. */
    .type wrong_level, %function
wrong_level:
    ldr     x9, =VIRT_UART
    adr     x10, 2f
1:  ldrb    w11, [x10], #1
    cbz     w11, core_halt
    str     w11, [x9]
    b       1b
2:  .asciz  "bareheap: started at EL3; start QEMU without secure=on\r\n"
    .balign 4
    .size wrong_level, . - wrong_level

    .globl core_halt
    .type core_halt, %function
core_halt:
    msr     daifset, #15
1:  wfi
    b       1b
    .size core_halt, . - core_halt

/*
 * The first translation tables, with which core 0 reads the device tree: [0, 1 GiB) devices,
 * [1 GiB, 2 GiB) RAM with image and tree. Descriptor: block, attribute index << 2, inner
 * shareable 3 << 8, accessed 1 << 10, never executed by EL1 and EL0 1 << 53 and 1 << 54.
 */
    .section .data.boot_table, "aw", %progbits
    .balign 4096
boot_table:
    .quad   boot_table_1 + 3
    .fill   511, 8, 0
boot_table_1:
    .quad   0x00000000 + (1 | 0 << 2 | 1 << 10 | 1 << 53 | 1 << 54)
    .quad   0x40000000 + (1 | 1 << 2 | 3 << 8 | 1 << 10 | 1 << 54)
    .fill   510, 8, 0

    .section .stacks, "aw", %nobits
    .balign 4096
    .skip   STACK_BLOCKS * STACK_BLOCK_BYTES

    .section .note.GNU-stack, "", %progbits
