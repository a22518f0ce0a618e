/* SPDX-License-Identifier: MIT */
/* What the library asks about the optional hooks of port.h: whether the kernel supplies one. */
#ifndef KERNEL_LIB_PORT_DEFAULTS_H
#define KERNEL_LIB_PORT_DEFAULTS_H

#include <stdbool.h>

/* Whether bh_port_stack_top() is the kernel's own and not the default, which panics. */
bool port_has_stack_top(void);

/* Whether bh_port_signal_core() is, so that nobody is asked who cannot hear. */
bool port_has_signal_core(void);

/* Whether bh_port_guard() is, so that pages for guards are not spent in vain. */
bool port_has_guard(void);

#endif
