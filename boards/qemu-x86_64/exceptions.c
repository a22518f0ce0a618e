/* SPDX-License-Identifier: MIT */
/*
 * The report of an exception: what, where and with which registers, in words, then the end.
 *
 * The first line names the exception and the core and has no address in it, so that tests can
 * expect it; a page fault in the guard of a stack is called what it is, a stack overflow.
 * Everything is printed from registers and the frame; nothing is allocated and no lock of
 * the library is taken. Not here: who may report when several cores fault (boards/common/start.c).
 */
#include "boards/common/start.h"
#include "boards/qemu-x86_64/core.h"
#include "boards/qemu-x86_64/cpu.h"
#include "boards/qemu-x86_64/interrupts.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"
#include <bareheap/port.h>

#define DOUBLE_FAULT 8u
#define PAGE_FAULT   14u

/* Error code of a page fault. Intel SDM volume 3, figure 4-12. */
#define FAULT_PRESENT  0x1u
#define FAULT_WRITE    0x2u
#define FAULT_RESERVED 0x8u
#define FAULT_FETCH    0x10u

/* What lies in the first pages, which are never mapped. */
#define NULL_BYTES 4096u

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

static bool is_stack_overflow(const struct interrupt_frame *frame, unsigned *core)
{
    if (frame->vector == PAGE_FAULT)
        return stack_guard_at(cpu_read_cr2(), core);
    return frame->vector == DOUBLE_FAULT && stack_guard_at(frame->rsp, core);
}

static const char *exception_name(const struct interrupt_frame *frame)
{
    unsigned core;
    if (frame->vector >= VECTOR_EXCEPTIONS)
        return "unexpected interrupt";
    if (is_stack_overflow(frame, &core))
        return "stack overflow";
    const char *name = exception_names[frame->vector];
    return name ? name : "reserved exception";
}

static const char *page_fault_cause(uint64_t error_code, uint64_t address)
{
    unsigned core;
    if (stack_guard_at(address, &core))
        return "the guard under a stack";
    if (error_code & FAULT_RESERVED)
        return "a reserved bit is set in the page table";
    if (error_code & FAULT_PRESENT)
        return error_code & FAULT_FETCH ? "the page is not executable" : "the page is read-only";
    return address < NULL_BYTES ? "a null pointer, or a small offset from one"
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

static void report_code_address(const char *what, uint64_t address)
{
    size_t offset = 0;
    const char *name = bh_symbol_name(address, &offset);
    if (name)
        print_log("  %s 0x%llx, %s+0x%zx\n", what, (unsigned long long)address, name, offset);
    else
        print_log("  %s 0x%llx\n", what, (unsigned long long)address);
}

/* Whether [address, address + bytes) can be read as part of this core's stack that ends at `top`.
 */
static bool on_stack(uintptr_t address, size_t bytes, uintptr_t top)
{
    unsigned core;
    return address % 8 == 0 && address < top && top - address >= bytes &&
           top - address <= STACK_MAIN_TOP && !stack_guard_at(address, &core);
}

/* Where it happened; after a jump to nowhere, also the return address that the call left. */
static void report_place(const struct interrupt_frame *frame)
{
    report_code_address("at", frame->rip);
    bool is_jump = frame->vector == PAGE_FAULT && (frame->error_code & FAULT_FETCH);
    if (is_jump && on_stack(frame->rsp, 8, bh_port_stack_top(frame->rsp)))
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
    for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
        print_log("%s%-6s 0x%016llx%s", i % 4 == 0 ? "  " : " ", registers[i].name,
                  (unsigned long long)registers[i].value, i % 4 == 3 ? "\n" : "");
}

/* A frame pointer that is not on the stack in use would only fault again. */
static void report_callers(const struct interrupt_frame *frame)
{
    uintptr_t top = bh_port_stack_top(frame->rsp);
    if (on_stack(frame->rbp, 16, top))
        backtrace_log(frame->rbp, top);
    else
        print_log("  no call chain: rbp does not point into this core's stack\n");
}

_Noreturn void exception_report(const struct interrupt_frame *frame)
{
    const char *name = exception_name(frame);
    start_report_exception(name);
    if (frame->vector == PAGE_FAULT)
        report_page_fault(frame->error_code);
    print_log("  vector %llu, error code 0x%llx\n", (unsigned long long)frame->vector,
              (unsigned long long)frame->error_code);
    report_place(frame);
    report_registers(frame);
    report_callers(frame);
    bh_port_panic(name);
}
