/* SPDX-License-Identifier: MIT */
/* Chooses between gic_v2.c and gic_v3.c. `ops` is set once, before the second core starts. */
#include "boards/qemu-aarch64/gic.h"

#define GIC_ID_MASK 0x3ffu

static const struct gic_ops *ops;

void gic_init(const struct hardware *hardware)
{
    ops = hardware->gic_version == 2 ? &gic_v2_ops : &gic_v3_ops;
    ops->init(hardware);
}

void gic_init_core(uint32_t mask)
{
    ops->init_core(mask);
}

void gic_send(unsigned core, unsigned id)
{
    ops->send(core, id);
}

uint32_t gic_acknowledge(void)
{
    return ops->acknowledge();
}

void gic_end(uint32_t acknowledged)
{
    ops->end(acknowledged);
}

unsigned gic_id(uint32_t acknowledged)
{
    return acknowledged & GIC_ID_MASK;
}
