/* SPDX-License-Identifier: MIT */
/*
 * The image's table of its own functions, made by tools/gen-symbols after the first link: sorted by
 * address, in section .bh_symbols, read-only.
 */
#ifndef BOARDS_COMMON_SYMBOLS_H
#define BOARDS_COMMON_SYMBOLS_H

#include <stdint.h>

struct symbol {
    int32_t distance_bytes; /* of its first instruction from that of bh_symbol_name() */
    uint32_t name_idx;      /* of its name's first character in symbols_names */
};

extern const uint32_t symbols_count;
extern const struct symbol symbols_table[];
extern const char symbols_names[];

#endif
