/* SPDX-License-Identifier: MIT */
/*
 * After a collection: everything that is referenced must be there with its contents, and what was
 * dropped two collections ago must be gone. census.c has the how.
 */
#ifndef TESTS_REPLAY_CENSUS_H
#define TESTS_REPLAY_CENSUS_H

#include "tests/replay/replay.h"
#include <stdbool.h>

/* Takes the memory for the maps; before the heap is made. False when there is too little. */
bool census_start(void);

/* Compares the contents of a live object with its pattern. */
void census_check_object(const struct replay_object *object, const char *when);

/* Checks the whole heap. No other core is in the allocator, the graph or the table meanwhile. */
void census_take(void);

/*
 * After a whole collection (marked, swept) since which nothing was allocated: every span that is
 * still in use must hold an allocated object.
 */
void census_check_given_back(void);

#endif
