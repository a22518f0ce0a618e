/* SPDX-License-Identifier: MIT */
/* What the files of the harness share with one another; no case includes this. */
#ifndef TESTS_HARNESS_INTERNAL_H
#define TESTS_HARNESS_INTERNAL_H

#include "tests/harness/harness.h"

/* text.c: words, patterns and the command line. */
bool harness_matches(const char *glob, const char *text);
bool harness_matches_panic(const char *pattern, const char *message);
bool harness_word(const char *name);
bool harness_option_text(const char *name, char *value, size_t bytes);

/* harness.c: the running case fails. Returns how often it has. Any core, any context. */
unsigned harness_count_failure(void);

/* random.c */
uint64_t harness_seed(void);
void harness_random_start(const char *case_name);

/* barrier.c: `members` cores take part until each has left. */
void harness_barrier_init(unsigned members);
void harness_barrier_leave(void);

#endif
