/* SPDX-License-Identifier: MIT */
/*
 * The report of an exception: what, where and with which registers, in words, then the end.
 *
 * The first line names the exception and the core and has no address in it, so that tests can
 * expect it; an access to the guard under this core's main stack is called what it is, a stack
 * overflow. In any other guard a pointer has gone astray: that stays a page fault.
 * Everything is printed from registers and the frame; nothing is allocated and no lock of
 * the library is taken. Not here: who may report when several cores fault (boards/common/start.c).
 */
#include "boards/common/report.h"
#include "boards/common/start.h"
#include "boards/qemu-x86_64/core.h"
#include "boards/qemu-x86_64/cpu.h"
#include "boards/qemu-x86_64/interrupts.h"
#include "kernel-lib/print.h"
#include <bareheap/port.h>

#define DOUBLE_FAULT 8u
#define PAGE_FAULT   14u

/* Error code of a page fault. Intel SDM volume 3, figure 4-12. */
#define FAULT_PRESENT  0x1u
#define FAULT_WRITE    0x2u
#define FAULT_RESERVED 0x8u
#define FAULT_FETCH    0x10u

/* Intel SDM volume 3, table 6-1. */
static const char *const exception_names[VECTOR_EXCEPTIONS] = {
    "divide error",
    "debug exception",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid TSS",
    "segment not present",
    "stack segment fault",
    "general protection fault",
    "page fault",
    "reserved exception",
    "x87 floating-point error",
    "alignment check",
    "machine check",
    "SIMD floating-point error",
    "virtualization exception",
    "control protection exception",
};

static bool is_jump(const struct interrupt_frame *frame)
{
    return frame->vector == PAGE_FAULT && (frame->error_code & FAULT_FETCH) != 0;
}

/* What was touched is in a guard of this core's, and that under its main stack. */
static bool is_stack_overflow(const struct interrupt_frame *frame)
{
    uintptr_t address = frame->vector == PAGE_FAULT ? cpu_read_cr2() : frame->rsp;
    unsigned core;
    return (frame->vector == PAGE_FAULT || frame->vector == DOUBLE_FAULT) && !is_jump(frame) &&
           stack_guard_at(address, &core) && core == bh_port_core() &&
           address < stack_main_top(core);
}

static const char *exception_name(const struct interrupt_frame *frame)
{
    if (frame->vector >= VECTOR_EXCEPTIONS)
        return "unexpected interrupt";
    if (is_stack_overflow(frame))
        return "stack overflow";
    const char *name = exception_names[frame->vector];
    return name ? name : "reserved exception";
}

static const char *page_fault_cause(uint64_t error_code, uint64_t address)
{
    unsigned core;
    if (stack_guard_at(address, &core))
        return "the guard of a stack";
    if (error_code & FAULT_RESERVED)
        return "a reserved bit is set in the page table";
    if (error_code & FAULT_PRESENT)
        return error_code & FAULT_FETCH ? "the page is not executable" : "the page is read-only";
    return address < REPORT_NULL_BYTES ? "a null pointer, or a small offset from one"
                                       : "nothing is mapped there";
}

static void report_page_fault(uint64_t error_code)
{
    uint64_t address = cpu_read_cr2();
    const char *access = "read from";
    if (error_code & FAULT_WRITE)
        access = "write to";
    if (error_code & FAULT_FETCH)
        access = "jump to";
    print_log("  %s 0x%llx: %s\n", access, (unsigned long long)address,
              page_fault_cause(error_code, address));
}

/* Where it happened; after a jump to nowhere, also the return address that the call left. */
static void report_place(const struct interrupt_frame *frame)
{
    struct stack_range stack = stack_range_of(frame->rsp);
    report_code_address("at", frame->rip);
    if (is_jump(frame) && frame->rsp % 8 == 0 && frame->rsp >= stack.lo &&
        frame->rsp <= stack.hi - 8)
        report_code_address("called from", *(const uint64_t *)frame->rsp);
}

static void report_registers(const struct interrupt_frame *f)
{
    const struct {
        const char *name;
        uint64_t value;
    } registers[] = {
        {"rax", f->rax}, {"rbx", f->rbx}, {"rcx", f->rcx},       {"rdx", f->rdx},
        {"rsi", f->rsi}, {"rdi", f->rdi}, {"rbp", f->rbp},       {"rsp", f->rsp},
        {"r8", f->r8},   {"r9", f->r9},   {"r10", f->r10},       {"r11", f->r11},
        {"r12", f->r12}, {"r13", f->r13}, {"r14", f->r14},       {"r15", f->r15},
        {"rip", f->rip}, {"cs", f->cs},   {"rflags", f->rflags}, {"cr3", cpu_read_cr3()},
    };
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
        report_register(i, registers[i].name, registers[i].value);
}

_Noreturn void exception_report(const struct interrupt_frame *frame)
{
    const char *name = exception_name(frame);
    start_report_exception(name, frame->vector == PAGE_FAULT ? cpu_read_cr2() : 0);
    if (frame->vector == PAGE_FAULT)
        report_page_fault(frame->error_code);
    print_log("  vector %llu, error code 0x%llx\n", (unsigned long long)frame->vector,
              (unsigned long long)frame->error_code);
    report_place(frame);
    report_registers(frame);
    struct stack_range stack = stack_range_of(frame->rsp);
    report_callers(frame->rbp, stack.lo, stack.hi);
    bh_port_panic(name);
}
