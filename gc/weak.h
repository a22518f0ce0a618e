/* SPDX-License-Identifier: MIT */
/* Weak references, as services.c drives them. How: weak.c. */
#ifndef GC_WEAK_H
#define GC_WEAK_H

#include "gc/special.h"

/* With the lock held, or all cores stopped: the record's references are NULL from here on. */
static inline void weak_clear(struct special at)
{
    special_unlink_locked(at);
}

/* References that exist, cleared or not. With the lock held. */
size_t weak_count_locked(void);

#endif
