/* SPDX-License-Identifier: MIT */
/* What every board does first at an interrupt that it takes. */
#ifndef BOARDS_ENTRY_H
#define BOARDS_ENTRY_H

#include "boards/board.h"
#include <bareheap/port.h>

/* Moves an interrupted restartable sequence back to its start. Not left to the hook: an image that
 * puts its own in place has the fixup all the same. */
static inline void entry_fixup(uintptr_t *pc)
{
    uintptr_t interrupted = *pc;
    bh_restart_fixup(pc);
    board_on_interrupt(pc, interrupted);
}

#endif
