/* SPDX-License-Identifier: MIT */
/*
 * System registers and barriers by name.
 *
 * A write to a system register is seen by later instructions only after an ISB; a function that
 * writes one says where its ISB is. DSB waits until memory accesses have completed for the others
 * of its domain: ISH is all cores, ISHST stores only, SY also devices.
 */
#ifndef BOARDS_QEMU_AARCH64_SYSREG_H
#define BOARDS_QEMU_AARCH64_SYSREG_H

#include <stdint.h>

#define sysreg_read(name)                                                     \
    __extension__({                                                           \
        uint64_t sysreg_value_;                                               \
        __asm__ volatile("mrs %0, " name : "=r"(sysreg_value_) : : "memory"); \
        sysreg_value_;                                                        \
    })

#define sysreg_write(name, value) \
    __asm__ volatile("msr " name ", %0" : : "r"((uint64_t)(value)) : "memory")

#define barrier_isb()       __asm__ volatile("isb" : : : "memory")
#define barrier_dsb_sy()    __asm__ volatile("dsb sy" : : : "memory")
#define barrier_dsb_ish()   __asm__ volatile("dsb ish" : : : "memory")
#define barrier_dsb_ishst() __asm__ volatile("dsb ishst" : : : "memory")

/* GICv3's CPU interface, by encoding: assemblers know the names only with some -march. */
#define ICC_PMR_EL1     "S3_0_C4_C6_0"
#define ICC_IAR1_EL1    "S3_0_C12_C12_0"
#define ICC_EOIR1_EL1   "S3_0_C12_C12_1"
#define ICC_BPR1_EL1    "S3_0_C12_C12_3"
#define ICC_CTLR_EL1    "S3_0_C12_C12_4"
#define ICC_SRE_EL1     "S3_0_C12_C12_5"
#define ICC_IGRPEN1_EL1 "S3_0_C12_C12_7"
#define ICC_SGI1R_EL1   "S3_0_C12_C11_5"

/* Memory-mapped device registers. */
static inline uint32_t mmio_read32(uintptr_t address)
{
    return *(volatile uint32_t *)address;
}

static inline void mmio_write32(uintptr_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

static inline uint64_t mmio_read64(uintptr_t address)
{
    return *(volatile uint64_t *)address;
}

#endif
