/* SPDX-License-Identifier: MIT */
/*
 * Calls to what is below the kernel. All are C functions: arguments and result are where the SMC
 * calling convention (Arm DEN 0028) and semihosting want them, and both change only registers
 * that a C function may change.
 *
 *   int64_t firmware_hvc(uint64_t function, uint64_t a, uint64_t b, uint64_t c)   to the hypervisor
 *   int64_t firmware_smc(uint64_t function, uint64_t a, uint64_t b, uint64_t c)   to EL3
 *   int64_t firmware_semihosting(uint64_t operation, const void *block)           to the debugger
 *
 * Where semihosting is off, its instruction is undefined: exception.c knows it by its address,
 * firmware_semihosting_trap.
 */
    .text
    .globl firmware_hvc
    .type firmware_hvc, %function
firmware_hvc:
    hvc     #0
    ret
    .size firmware_hvc, . - firmware_hvc

    .globl firmware_smc
    .type firmware_smc, %function
firmware_smc:
    smc     #0
    ret
    .size firmware_smc, . - firmware_smc

    .globl firmware_semihosting
    .globl firmware_semihosting_trap
    .type firmware_semihosting, %function
firmware_semihosting:
firmware_semihosting_trap:
    hlt     #0xf000
    ret
    .size firmware_semihosting, . - firmware_semihosting

    .section .note.GNU-stack, "", %progbits
