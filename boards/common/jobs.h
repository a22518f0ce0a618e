/* SPDX-License-Identifier: MIT */
/* The life of a secondary core: it sleeps until core 0 gives it a job with board_start(). */
#ifndef BOARDS_COMMON_JOBS_H
#define BOARDS_COMMON_JOBS_H

/*
 * The last call of a secondary core's boot, once it takes interrupts of machine_wake() and
 * bh_port_signal_core(). Runs the core's jobs, interrupts on, on the stack it is called on.
 */
_Noreturn void jobs_idle(void);

#endif
