/* SPDX-License-Identifier: MIT */
/*
 * Per-core data: a table with one entry per core, indexed by the port's core number.
 *
 * A core reads and writes its own entry with interrupts off, so that neither a handler nor a move
 * to another core comes in between; who reads another core's entry says at that access why it may.
 * Entries that are written often are aligned by their type, so that two cores share no cache line.
 * A table rather than a section per core: a foreign kernel's linker script knows nothing of us.
 */
#ifndef KERNEL_LIB_PERCORE_H
#define KERNEL_LIB_PERCORE_H

#include <bareheap/config.h>
#include <bareheap/port.h>

/* Declares or defines the table `name`. */
#define PER_CORE(type, name) type name[BH_MAX_CORES]

/* Every entry the same. */
#define PER_CORE_INIT(value)               \
    {                                      \
        [0 ... BH_MAX_CORES - 1] = (value) \
    }

/* This core's entry, an lvalue. */
#define per_core_here(name) ((name)[bh_port_core()])

#endif
