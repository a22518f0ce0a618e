/* SPDX-License-Identifier: MIT */
/*
 * Everything a user of Bareheap calls, in one include. What Bareheap calls of the
 * kernel around it is port.h, which only the file that implements it needs.
 */
#ifndef BAREHEAP_BAREHEAP_H
#define BAREHEAP_BAREHEAP_H

#include <bareheap/alloc.h>
#include <bareheap/gc.h>

#endif
