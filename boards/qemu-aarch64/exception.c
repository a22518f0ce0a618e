/* SPDX-License-Identifier: MIT */
/*
 * The report of an exception: what, where and with which registers, in words, then the end.
 *
 * 1. vectors.S has filled a struct exception_frame on this core's exception stack.
 * 2. The first line names the exception and the core and has no address in it, so that tests can
 *    expect it. A data abort in the guard under this core's main stack is called what it is:
 *    a stack overflow. In any other guard a pointer has gone astray: that stays a data abort.
 * 3. Nothing is allocated, and no lock of the library is taken.
 *
 * One exception is no error: the semihosting instruction where semihosting is off (firmware.c).
 * Nothing here returns, so a restartable sequence that was interrupted is not resumed and not
 * moved: the report says where it was. Not here: who may report when several cores fault
 * (boards/common/start.c), software steps (step.c).
 */
#include "boards/qemu-aarch64/exception.h"
#include "boards/common/report.h"
#include "boards/common/start.h"
#include "boards/qemu-aarch64/cores.h"
#include "boards/qemu-aarch64/firmware.h"
#include "boards/qemu-aarch64/layout.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include <bareheap/port.h>

BH_STATIC_ASSERT(offsetof(struct exception_frame, sp) == EXCEPTION_FRAME_SP, "layout.h");
BH_STATIC_ASSERT(offsetof(struct exception_frame, pc) == EXCEPTION_FRAME_PC, "layout.h");
BH_STATIC_ASSERT(offsetof(struct exception_frame, esr) == EXCEPTION_FRAME_ESR, "layout.h");
BH_STATIC_ASSERT(sizeof(struct exception_frame) == EXCEPTION_FRAME_BYTES, "layout.h");

/* ESR_EL1: exception class, then what depends on it. Arm ARM, ESR_EL1. */
#define ESR_CLASS(esr) ((unsigned)((esr) >> ESR_CLASS_SHIFT & 0x3f))
#define ESR_FAULT(esr) ((unsigned)((esr)&0x3f))
#define ESR_WRITE      ((uint64_t)1 << 6)

enum exception_class {
    CLASS_UNKNOWN = 0x00,
    CLASS_FETCH_LOWER = 0x20,
    CLASS_FETCH = 0x21,
    CLASS_PC_ALIGNMENT = 0x22,
    CLASS_DATA_LOWER = 0x24,
    CLASS_DATA = 0x25,
    CLASS_COUNT = 0x40,
};

static const char *const class_names[CLASS_COUNT] = {
    [CLASS_UNKNOWN] = "undefined instruction",
    [0x01] = "trapped WFI or WFE",
    [0x07] = "trapped FP or SIMD instruction",
    [0x09] = "trapped pointer authentication",
    [0x0d] = "branch target exception",
    [0x0e] = "illegal execution state",
    [0x15] = "SVC instruction",
    [0x16] = "HVC instruction",
    [0x17] = "SMC instruction",
    [0x18] = "trapped system register access",
    [0x19] = "trapped SVE instruction",
    [0x1c] = "pointer authentication failure",
    [CLASS_FETCH_LOWER] = "instruction abort",
    [CLASS_FETCH] = "instruction abort",
    [CLASS_PC_ALIGNMENT] = "pc alignment fault",
    [CLASS_DATA_LOWER] = "data abort",
    [CLASS_DATA] = "data abort",
    [0x26] = "sp alignment fault",
    [0x2c] = "floating-point exception",
    [0x2f] = "SError interrupt",
    [0x30] = "breakpoint",
    [0x31] = "breakpoint",
    [0x32] = "software step",
    [0x33] = "software step",
    [0x34] = "watchpoint",
    [0x35] = "watchpoint",
    [0x3c] = "BRK instruction",
};

static const char *const kind_names[] = {
    [EXCEPTION_INTERRUPT] = "unexpected interrupt",
    [EXCEPTION_FIQ] = "unexpected FIQ",
    [EXCEPTION_SERROR] = "SError interrupt",
    [EXCEPTION_FROM_EL0] = "exception from EL0",
};

/* Fault status by its upper four bits; the lower two are the level of the table walk. */
static const char *const walk_faults[] = {
    "address size fault",
    "nothing is mapped there",
    "access flag fault",
    "the page does not permit it",
};

static bool is_fetch_abort(uint64_t esr)
{
    unsigned class = ESR_CLASS(esr);
    return class == CLASS_FETCH || class == CLASS_FETCH_LOWER;
}

static bool is_abort(uint64_t esr)
{
    unsigned class = ESR_CLASS(esr);
    return class == CLASS_DATA || class == CLASS_DATA_LOWER || is_fetch_abort(esr);
}

/* In a guard of this core's, and the one under the main stack, not the one above it. */
static bool is_stack_overflow(const struct exception_frame *frame)
{
    unsigned core = bh_port_core();
    return ESR_CLASS(frame->esr) == CLASS_DATA && cores_guard_owner(frame->far) == (int)core &&
           frame->far < cores_main_stack_top(core);
}

static const char *exception_name(const struct exception_frame *frame, enum exception_kind kind)
{
    if (kind != EXCEPTION_SYNCHRONOUS)
        return kind_names[kind];
    if (is_stack_overflow(frame))
        return "stack overflow";
    const char *name = class_names[ESR_CLASS(frame->esr)];
    return name ? name : "unknown exception";
}

static const char *fault_cause(uint64_t esr, uint64_t address)
{
    unsigned fault = ESR_FAULT(esr);
    if (cores_guard_owner(address) >= 0)
        return "the guard of a stack";
    if (fault == 0x21)
        return "the address is not aligned";
    if (fault >= 0x10 && fault <= 0x17)
        return "the bus or device refused (external abort)";
    if (fault >= 0x10)
        return "see the fault status in esr";
    if (fault >> 2 == 1 && address < REPORT_NULL_BYTES)
        return "a null pointer, or a small offset from one";
    return walk_faults[fault >> 2];
}

static void report_abort(const struct exception_frame *frame)
{
    const char *access = frame->esr & ESR_WRITE ? "write to" : "read from";
    if (is_fetch_abort(frame->esr))
        access = "jump to";
    print_log("  %s 0x%llx: %s\n", access, (unsigned long long)frame->far,
              fault_cause(frame->esr, frame->far));
}

static void report_registers(const struct exception_frame *frame)
{
    char name[8];
    for (unsigned i = 0; i < 31; i++) {
        print_format(name, sizeof(name), "x%u", i);
        report_register(i, name, frame->x[i]);
    }
    report_register(31, "sp", frame->sp);
    report_register(32, "pc", frame->pc);
    report_register(33, "spsr", frame->pstate);
    report_register(34, "esr", frame->esr);
    report_register(35, "far", frame->far);
}

static void report_place(const struct exception_frame *frame)
{
    uintptr_t main_top = cores_main_stack_top(bh_port_core());
    report_code_address("at", frame->pc);
    report_code_address("x30 is", frame->x[30]);
    report_registers(frame);
    report_callers(frame->x[29], main_top - STACK_MAIN_BYTES, main_top);
}

_Noreturn void exception_report(const struct exception_frame *frame, enum exception_kind kind)
{
    if (kind == EXCEPTION_SYNCHRONOUS && firmware_is_semihosting(frame->pc))
        firmware_exit_without_semihosting();
    const char *name = exception_name(frame, kind);
    bool abort = kind == EXCEPTION_SYNCHRONOUS && is_abort(frame->esr);
    start_report_exception(name, abort ? frame->far : 0);
    if (abort)
        report_abort(frame);
    report_place(frame);
    bh_port_panic(name);
}
