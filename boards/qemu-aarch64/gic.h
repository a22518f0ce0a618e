/* SPDX-License-Identifier: MIT */
/*
 * The interrupt controller, GICv2 or GICv3, as far as the board uses it: interrupts private to
 * a core, that is SGIs (0 to 15, sent by software) and PPIs (16 to 31, the core's own timer).
 */
#ifndef BOARDS_QEMU_AARCH64_GIC_H
#define BOARDS_QEMU_AARCH64_GIC_H

#include "boards/qemu-aarch64/hardware.h"
#include <stdint.h>

/* gic_id() of what gic_acknowledge() returns when no interrupt is pending (any more). */
#define GIC_ID_FIRST_SPECIAL 1020u

/* Core 0, once: the distributor; the devices' registers are mapped. */
void gic_init(const struct hardware *hardware);

/* Every core for itself: all its private interrupts of `mask` (bit = id) are delivered to it. */
void gic_init_core(uint32_t mask);

/* Sends SGI `id` to another core. What this core stored before is seen by its handler. */
void gic_send(unsigned core, unsigned id);

/* Takes the pending interrupt; gic_end() takes the returned word, gic_id() its number. */
uint32_t gic_acknowledge(void);
void gic_end(uint32_t acknowledged);
unsigned gic_id(uint32_t acknowledged);

/* One version's way of doing these; gic.c chooses by the device tree. */
struct gic_ops {
    void (*init)(const struct hardware *hardware);
    void (*init_core)(uint32_t mask);
    void (*send)(unsigned core, unsigned id);
    uint32_t (*acknowledge)(void);
    void (*end)(uint32_t acknowledged);
};

extern const struct gic_ops gic_v2_ops;
extern const struct gic_ops gic_v3_ops;

#endif
