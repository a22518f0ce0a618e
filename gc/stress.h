/* SPDX-License-Identifier: MIT */
/* The hook by which an allocation's slow path asks for more cycles than pacing does: stress.c. */
#ifndef GC_STRESS_H
#define GC_STRESS_H

/* Called at the beginning of each slow path of a collected allocation, in any context. NULL: not.
 * In gc.c, so that stress.c is linked only where it is used. */
extern void (*stress_hook)(void);

#endif
