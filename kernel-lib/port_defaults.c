/* SPDX-License-Identifier: MIT */
/*
 * The defaults of the hooks that port.h calls optional.
 *
 * Each is a weak definition: a kernel that defines the same function replaces it at link time,
 * without an option or a registration. A default either does what is right for a kernel
 * without that feature, or panics naming the hook that is missing and who needs it.
 *
 * That is so for objects. A linker takes from an archive only what it lacks at that moment: before
 * ours nobody has asked for the hook, behind ours it has the default. port.h says what a kernel
 * does that has its hooks in an archive.
 *
 * No state, no locks. Not here: bh_port_core, bh_port_core_count, bh_port_log, bh_port_panic and
 * the three of BH_PORT_IRQ, without which nothing works: leaving one out is a link error.
 */
#include "kernel-lib/port_defaults.h"
#include "kernel-lib/check.h"
#include <bareheap/port.h>

#define PORT_DEFAULT __attribute__((weak))

static uintptr_t port_default_stack_top(uintptr_t sp)
{
    bh_panic("bh_port_stack_top is missing: the collector must know where the stack at %p ends; "
             "port.h describes it",
             (void *)sp);
}

uintptr_t bh_port_stack_top(uintptr_t sp) __attribute__((weak, alias("port_default_stack_top")));

bool port_has_stack_top(void)
{
    return bh_port_stack_top != port_default_stack_top;
}

PORT_DEFAULT uint64_t bh_port_now_ns(void)
{
    return 0;
}

static void port_default_signal_core(unsigned core)
{
    bh_panic("bh_port_signal_core is missing: core %u must be stopped or drained; port.h describes "
             "it",
             core);
}

void bh_port_signal_core(unsigned core) __attribute__((weak, alias("port_default_signal_core")));

bool port_has_signal_core(void)
{
    return bh_port_signal_core != port_default_signal_core;
}

PORT_DEFAULT void bh_port_for_each_stack(void (*visit)(const void *lo, const void *hi, void *arg),
                                         void *arg)
{
    (void)visit;
    (void)arg;
}

PORT_DEFAULT bool bh_port_pages_wanted(size_t bytes)
{
    (void)bytes;
    return false;
}

PORT_DEFAULT void bh_port_wait(unsigned round)
{
    (void)round;
}

PORT_DEFAULT void bh_port_out_of_memory(void)
{
}

static bool port_default_guard(void *base, size_t bytes, bool guard)
{
    (void)base, (void)bytes, (void)guard;
    return false;
}

bool bh_port_guard(void *base, size_t bytes, bool guard)
    __attribute__((weak, alias("port_default_guard")));

bool port_has_guard(void)
{
    return bh_port_guard != port_default_guard;
}

PORT_DEFAULT void bh_port_pages_released(void *base, size_t bytes)
{
    (void)base;
    (void)bytes;
}

PORT_DEFAULT void bh_port_finalizers_due(void)
{
}
