/* SPDX-License-Identifier: MIT */
/*
 * The interrupt descriptor table and the three interrupts of this board: the timer of each core,
 * the wake-up of a sleeping core, and the signal of bh_port_signal_core(). All other vectors are
 * reported by exceptions.c and end the machine, NMIs included; but for the debug exception, with
 * which tests step through code (step.c).
 *
 * Restartable sequences: what is taken and returns goes through entry_fixup() before its
 * handler, which may allocate. What ends the machine does not: nothing is resumed, and the
 * report is to say where it was.
 *
 * Every handler runs on the interrupted stack with interrupts off and may allocate; the faults that
 * may come with a broken stack have stacks of their own (layout.h).
 */
#include "boards/qemu-x86_64/interrupts.h"

#include "boards/entry.h"
#include "boards/qemu-x86_64/apic.h"
#include "boards/qemu-x86_64/core.h"
#include <bareheap/port.h>

#define VECTOR_COUNT       256
#define VECTOR_ENTRY_BYTES 16
#define GATE_INTERRUPT     0x8e00 /* present, ring 0, interrupts go off */

#define EXCEPTION_DEBUG         1
#define EXCEPTION_NMI           2
#define EXCEPTION_DOUBLE_FAULT  8
#define EXCEPTION_PAGE_FAULT    14
#define EXCEPTION_MACHINE_CHECK 18

/* Intel SDM volume 3, figure 6-8. */
struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t flags; /* IST in the low bits */
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

static struct gate idt[VECTOR_COUNT] __attribute__((aligned(16)));

/* In vectors.S. */
extern const char vectors[];

static const uint8_t interrupt_stack[VECTOR_EXCEPTIONS] = {
    [EXCEPTION_NMI] = IST_FAULT,
    [EXCEPTION_DOUBLE_FAULT] = IST_FAULT,
    [EXCEPTION_PAGE_FAULT] = IST_PAGE_FAULT,
    [EXCEPTION_MACHINE_CHECK] = IST_FAULT,
};

static void gate_set(unsigned vector)
{
    uint64_t entry = (uint64_t)vectors + (uint64_t)vector * VECTOR_ENTRY_BYTES;
    unsigned stack = vector < VECTOR_EXCEPTIONS ? interrupt_stack[vector] : 0;
    idt[vector] = (struct gate){
        .offset_low = (uint16_t)entry,
        .selector = SELECTOR_CODE,
        .flags = (uint16_t)(GATE_INTERRUPT | stack),
        .offset_middle = (uint16_t)(entry >> 16),
        .offset_high = (uint32_t)(entry >> 32),
    };
}

void interrupts_init(void)
{
    for (unsigned vector = 0; vector < VECTOR_COUNT; vector++)
        gate_set(vector);
}

void interrupts_load(void)
{
    struct table_pointer pointer = {.limit = sizeof(idt) - 1, .base = (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

/* The interrupt is acknowledged first: a handler may end in a panic, or in a long stop. */
static void on_timer(struct interrupt_frame *frame)
{
    (void)frame;
    apic_end_of_interrupt();
    void (*tick)(void) = core_here()->tick;
    if (tick)
        tick();
}

static void on_wake(struct interrupt_frame *frame)
{
    (void)frame;
    apic_end_of_interrupt();
}

static void on_stop(struct interrupt_frame *frame)
{
    apic_end_of_interrupt();
    bh_handle_signal(frame->rsp);
}

/* The APIC asks for no acknowledgement here. */
static void on_spurious(struct interrupt_frame *frame)
{
    (void)frame;
}

static void (*const handlers[VECTOR_COUNT])(struct interrupt_frame *frame) = {
    [EXCEPTION_DEBUG] = step_on_debug, [VECTOR_TIMER] = on_timer,       [VECTOR_WAKE] = on_wake,
    [VECTOR_STOP] = on_stop,           [VECTOR_SPURIOUS] = on_spurious,
};

void interrupt_dispatch(struct interrupt_frame *frame)
{
    void (*handler)(struct interrupt_frame *) = handlers[frame->vector];
    if (!handler)
        exception_report(frame);
    /* The debug exception is an interrupt only when it stands for one: see step.c. */
    if (frame->vector != EXCEPTION_DEBUG)
        entry_fixup(&frame->rip);
    handler(frame);
}
