/* SPDX-License-Identifier: MIT */
/* The tables that tools/gen-size-classes made, as data. Lookup: size_class_for() in types.h. */
#include "alloc/types.h"

#define SIZE_CLASS_ROW(class, bytes, long_pages, n, magic, batch_objs, cache_slots, few_pages, \
                       few)                                                                    \
    [class] = {.object_bytes = (bytes),                                                        \
               .reciprocal = (magic),                                                          \
               .objs = (n),                                                                    \
               .pages = (long_pages),                                                          \
               .batch = (batch_objs),                                                          \
               .slots = (cache_slots),                                                         \
               .short_pages = (few_pages),                                                     \
               .short_spans = (few)},
const struct size_class size_classes[SIZE_CLASS_COUNT] = {SIZE_CLASS_TABLE};
#undef SIZE_CLASS_ROW

const uint8_t size_class_fine[SIZE_CLASS_FINE_MAX / 8 + 1] = {SIZE_CLASS_FINE};
const uint8_t size_class_mid[(SIZE_CLASS_MID_MAX - SIZE_CLASS_FINE_MAX) / 64] = {SIZE_CLASS_MID};
const uint8_t size_class_coarse[(SIZE_CLASS_MAX - SIZE_CLASS_MID_MAX) / 256] = {SIZE_CLASS_COARSE};
