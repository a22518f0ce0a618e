/* SPDX-License-Identifier: MIT */
/*
 * The scavenger: free pages go back to the kernel, through bh_port_pages_released(). Three ways:
 *
 *   at once    bh_release_pages(): all of them
 *   gradual    bh_scavenge(): those that were not needed for a while, paced
 *   eager      what has been freed, by the core that freed it
 *
 * 1. A page that was handed over is PAGE_RELEASED in the page map, until it is used again. So runs
 *    are joined and cut whatever the kernel has of them, and each page is handed over once.
 * 2. A walk goes from the longest run to the shortest, in each from its end: the opposite of where
 *    requests take from, so what will be wanted next is taken away last.
 * 3. What is being handed over is out of the trees and in nobody's hands, with no lock held: a MiB
 *    at a time, since a heap may be a single run.
 * 4. How long a page has been free is asked of the page, not of its run: a busy program cuts small
 *    pieces off one long run and gives them back, and any age of the run as a whole would be that
 * of the last piece. Every pass over the free runs leaves its mark (PAGE_IDLE, PAGE_IDLE_LAST in
 *    turn) on pages that have none, and takes those with the mark of the pass before. Using a
 *    page takes the mark off. Passes are `delay` apart, from the end of one to the start of the
 * next: a page goes after it has been free for one to two delays. Freeing costs nothing: no clock,
 *    no list, no stamp.
 * 5. Two marks rather than one, because a run that grows during a pass is seen twice by it.
 * 6. Pacing, as Go's background scavenger: each step says that it wants to be called again after
 *    99 times as long as it took. Retained, as in Go: a tenth of what is in use.
 * 7. Eager: while it is on, what is freed waits outside the trees (page_heap.h), uncut and
 * unjoined; the way out of every function that frees hands it over. With interrupts off nothing is
 * handed over, because the hook may wait: the next core that frees with interrupts on does it. No
 * more than DEFERRED_MOST runs wait; past that they become free without having been handed over.
 *
 * Lock: the page heap's, for a few thousand class bytes at most. The state of the passes belongs to
 * the one core that is in bh_scavenge().
 */
#ifndef ALLOC_SCAVENGE_H
#define ALLOC_SCAVENGE_H

#include <stddef.h>

/* Hands over all free pages. Returns the bytes. No lock held, interrupts on. */
size_t scavenge_all(void);

#endif
