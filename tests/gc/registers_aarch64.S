/* SPDX-License-Identifier: MIT */
/* tests/gc/registers.h for AArch64. x0: struct spin, or the function to call; x1: its argument. */
#ifdef __aarch64__

#define GO     4
#define HIDDEN 8
#define VALUE  0x1234500000000000
#define SAVED_BYTES 176

/* x18 to x30 and d8 to d15: what a caller may count on. */
.macro saved op_pair, op
        \op_pair x18, x19, [sp]
        \op_pair x20, x21, [sp, #16]
        \op_pair x22, x23, [sp, #32]
        \op_pair x24, x25, [sp, #48]
        \op_pair x26, x27, [sp, #64]
        \op_pair x28, x29, [sp, #80]
        \op     x30, [sp, #96]
        \op_pair d8, d9, [sp, #112]
        \op_pair d10, d11, [sp, #128]
        \op_pair d12, d13, [sp, #144]
        \op_pair d14, d15, [sp, #160]
.endm

.macro push_saved
        sub     sp, sp, #SAVED_BYTES
        saved   stp, str
.endm

.macro pop_saved
        saved   ldp, ldr
        add     sp, sp, #SAVED_BYTES
.endm

/* Until go; w1 is used. The store-release of `ready` (offset 0) comes after what is before it. */
.macro wait_for_go
        mov     w1, #1
        stlr    w1, [x0]
1:      yield
        ldr     w1, [x0, #GO]
        cbz     w1, 1b
.endm

        .section .text.registers, "ax", %progbits
        .balign 4

.macro spin_general n
spin_x\n:
        push_saved
        ldr     x\n, [x0, #HIDDEN]
        mvn     x\n, x\n
        str     xzr, [x0, #HIDDEN]
        wait_for_go
        mvn     x\n, x\n
        str     x\n, [x0, #HIDDEN]
        pop_saved
        ret
.endm

/* By way of x2, which is cleared while the loop runs. */
.macro spin_vector n, half, lane
spin_\half\()_v\n:
        push_saved
        ldr     x2, [x0, #HIDDEN]
        mvn     x2, x2
        movi    v\n\().2d, #0
        mov     v\n\().d[\lane], x2
        mov     x2, #0
        str     xzr, [x0, #HIDDEN]
        wait_for_go
        mov     x2, v\n\().d[\lane]
        mvn     x2, x2
        str     x2, [x0, #HIDDEN]
        movi    v\n\().2d, #0
        pop_saved
        ret
.endm

#define GENERAL 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
#define KEPT    18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
#define VECTOR  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, \
                16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31

        .irp    n, GENERAL
        spin_general \n
        .endr
        .irp    n, VECTOR
        spin_vector \n, low, 0
        spin_vector \n, high, 1
        .endr

        .globl  spin_scratch, spin_link, spin_vector_high
        .set    spin_scratch, spin_x12
        .set    spin_link, spin_x30
        .set    spin_vector_high, spin_high_v21

/* x19 keeps the struct, x24 the pointer, across both calls. */
        .globl  spin_parked
        .type   spin_parked, %function
spin_parked:
        stp     x29, x30, [sp, #-32]!
        mov     x29, sp
        stp     x19, x24, [sp, #16]
        mov     x19, x0
        ldr     x24, [x0, #HIDDEN]
        mvn     x24, x24
        str     xzr, [x0, #HIDDEN]
        bl      bh_gc_park
        mov     x0, x19
        wait_for_go
        bl      bh_gc_unpark
        mvn     x24, x24
        str     x24, [x19, #HIDDEN]
        ldp     x19, x24, [sp, #16]
        ldp     x29, x30, [sp], #32
        ret

        .globl  registers_fill_and_call
        .type   registers_fill_and_call, %function
registers_fill_and_call:
        push_saved
        ldr     x2, =VALUE + 12
        .irp    n, VECTOR
        mov     v\n\().d[0], x2
        add     x2, x2, #1
        mov     v\n\().d[1], x2
        add     x2, x2, #1
        .endr
        ldr     x2, =VALUE
        .irp    n, KEPT
        mov     x\n, x2
        add     x2, x2, #1
        .endr
        bl      arch_call_with_registers
        pop_saved
        ret
        .ltorg

        .globl  registers_wipe
        .type   registers_wipe, %function
registers_wipe:
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
        mov     x\n, #0
        .endr
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        movi    v\n\().2d, #0
        .endr
        ret

/* uintptr_t hold_in_register(uintptr_t hidden, void (*fn)(void *), void *arg) */
        .globl  hold_in_register
        .type   hold_in_register, %function
hold_in_register:
        stp     x29, x30, [sp, #-32]!
        mov     x29, sp
        str     x27, [sp, #16]
        mvn     x27, x0
        mov     x0, x2
        blr     x1
        mvn     x0, x27
        ldr     x27, [sp, #16]
        ldp     x29, x30, [sp], #32
        ret

        .section .rodata.registers, "a", %progbits
.macro text register
9:      .asciz  "\register"
        .pushsection .data.rel.ro.registers_name, "aw", %progbits
        .quad   9b
        .popsection
.endm

        .section .data.rel.ro.registers_name, "aw", %progbits
        .balign 8
        .globl  registers_name
registers_name:
        .section .rodata.registers, "a", %progbits
        .irp    n, GENERAL
        text    "x\n"
        .endr
        .irp    n, VECTOR
        text    "v\n low"
        text    "v\n high"
        .endr

        .section .data.rel.ro.registers_spin, "aw", %progbits
        .balign 8
        .globl  registers_spin
registers_spin:
        .irp    n, GENERAL
        .quad   spin_x\n
        .endr
        .irp    n, VECTOR
        .quad   spin_low_v\n, spin_high_v\n
        .endr

        .section .rodata.registers_count, "a", %progbits
        .balign 8
        .globl  registers_count, registers_kept_count
registers_count:
        .quad   29 + 2 * 32
registers_kept_count:
        .quad   12 + 2 * 32

#endif
        .section .note.GNU-stack, "", %progbits
