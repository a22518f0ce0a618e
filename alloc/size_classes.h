/* SPDX-License-Identifier: MIT */
/*
 * The size classes. Made by tools/gen-size-classes, which also says the rules: do not edit.
 * SIZE_CLASS_ROW(class, object bytes, span pages, objects, reciprocal, batch, cache slots)
 */
#ifndef ALLOC_SIZE_CLASSES_H
#define ALLOC_SIZE_CLASSES_H

/* clang-format off */
#define SIZE_CLASS_COUNT    60 /* class 0 stands for large */
#define SIZE_CLASS_MAX      32768 /* the largest small object, bytes */
#define SIZE_CLASS_FINE_MAX 1024 /* up to here the lookup steps by 8 bytes, above by 128 */
#define SIZE_CLASS_MAX_BATCH 32
#define SIZE_CLASS_MAX_SLOTS 254
#define SIZE_CLASS_MAX_OBJS 1024

#define SIZE_CLASS_TABLE \
    SIZE_CLASS_ROW( 1,     8,  1, 1024, 536870913u, 32, 254) \
    SIZE_CLASS_ROW( 2,    16,  1,  512, 268435457u, 32, 254) \
    SIZE_CLASS_ROW( 3,    32,  1,  256, 134217729u, 32, 254) \
    SIZE_CLASS_ROW( 4,    48,  1,  170,  89478486u, 32, 254) \
    SIZE_CLASS_ROW( 5,    64,  1,  128,  67108865u, 32, 254) \
    SIZE_CLASS_ROW( 6,    80,  1,  102,  53687092u, 32, 254) \
    SIZE_CLASS_ROW( 7,    96,  1,   85,  44739243u, 32, 254) \
    SIZE_CLASS_ROW( 8,   112,  1,   73,  38347923u, 32, 254) \
    SIZE_CLASS_ROW( 9,   128,  1,   64,  33554433u, 32, 254) \
    SIZE_CLASS_ROW(10,   144,  1,   56,  29826162u, 28, 226) \
    SIZE_CLASS_ROW(11,   160,  1,   51,  26843546u, 25, 204) \
    SIZE_CLASS_ROW(12,   176,  1,   46,  24403224u, 23, 186) \
    SIZE_CLASS_ROW(13,   192,  1,   42,  22369622u, 21, 170) \
    SIZE_CLASS_ROW(14,   208,  1,   39,  20648882u, 19, 156) \
    SIZE_CLASS_ROW(15,   224,  1,   36,  19173962u, 18, 146) \
    SIZE_CLASS_ROW(16,   256,  1,   32,  16777217u, 16, 128) \
    SIZE_CLASS_ROW(17,   288,  1,   28,  14913081u, 14, 112) \
    SIZE_CLASS_ROW(18,   320,  1,   25,  13421773u, 12, 102) \
    SIZE_CLASS_ROW(19,   352,  1,   23,  12201612u, 11,  92) \
    SIZE_CLASS_ROW(20,   400,  1,   20,  10737419u, 10,  80) \
    SIZE_CLASS_ROW(21,   448,  1,   18,   9586981u,  9,  72) \
    SIZE_CLASS_ROW(22,   512,  1,   16,   8388609u,  8,  64) \
    SIZE_CLASS_ROW(23,   576,  1,   14,   7456541u,  7,  56) \
    SIZE_CLASS_ROW(24,   656,  1,   12,   6547207u,  6,  48) \
    SIZE_CLASS_ROW(25,   736,  1,   11,   5835554u,  5,  44) \
    SIZE_CLASS_ROW(26,   832,  1,    9,   5162221u,  4,  38) \
    SIZE_CLASS_ROW(27,   944,  1,    8,   4549754u,  4,  34) \
    SIZE_CLASS_ROW(28,  1024,  1,    8,   4194305u,  4,  32) \
    SIZE_CLASS_ROW(29,  1152,  1,    7,   3728271u,  3,  28) \
    SIZE_CLASS_ROW(30,  1280,  1,    6,   3355444u,  3,  24) \
    SIZE_CLASS_ROW(31,  1408,  2,   11,   3050403u,  2,  22) \
    SIZE_CLASS_ROW(32,  1536,  1,    5,   2796203u,  2,  20) \
    SIZE_CLASS_ROW(33,  1664,  2,    9,   2581111u,  2,  18) \
    SIZE_CLASS_ROW(34,  1792,  1,    4,   2396746u,  2,  18) \
    SIZE_CLASS_ROW(35,  2048,  1,    4,   2097153u,  2,  16) \
    SIZE_CLASS_ROW(36,  2304,  2,    7,   1864136u,  2,  14) \
    SIZE_CLASS_ROW(37,  2560,  1,    3,   1677722u,  2,  12) \
    SIZE_CLASS_ROW(38,  2816,  3,    8,   1525202u,  2,  10) \
    SIZE_CLASS_ROW(39,  3200,  2,    5,   1342178u,  2,  10) \
    SIZE_CLASS_ROW(40,  3584,  1,    2,   1198373u,  2,   8) \
    SIZE_CLASS_ROW(41,  4096,  1,    2,   1048577u,  2,   8) \
    SIZE_CLASS_ROW(42,  4608,  4,    7,    932068u,  2,   6) \
    SIZE_CLASS_ROW(43,  5248,  2,    3,    818401u,  2,   6) \
    SIZE_CLASS_ROW(44,  5888,  3,    4,    729445u,  2,   4) \
    SIZE_CLASS_ROW(45,  6656,  5,    6,    645278u,  2,   4) \
    SIZE_CLASS_ROW(46,  7552,  1,    1,    568720u,  2,   4) \
    SIZE_CLASS_ROW(47,  8192,  1,    1,    524289u,  2,   4) \
    SIZE_CLASS_ROW(48,  9344,  6,    5,    459650u,  2,   2) \
    SIZE_CLASS_ROW(49, 10624,  4,    3,    404271u,  2,   2) \
    SIZE_CLASS_ROW(50, 12032,  3,    2,    356963u,  2,   2) \
    SIZE_CLASS_ROW(51, 13696,  7,    4,    313593u,  2,   2) \
    SIZE_CLASS_ROW(52, 15616,  2,    1,    275037u,  2,   2) \
    SIZE_CLASS_ROW(53, 16384,  2,    1,    262145u,  2,   2) \
    SIZE_CLASS_ROW(54, 18688,  7,    3,    229825u,  2,   2) \
    SIZE_CLASS_ROW(55, 21248,  8,    3,    202136u,  2,   2) \
    SIZE_CLASS_ROW(56, 24192,  3,    1,    177537u,  2,   2) \
    SIZE_CLASS_ROW(57, 27648,  7,    2,    155345u,  2,   2) \
    SIZE_CLASS_ROW(58, 31488,  4,    1,    136401u,  2,   2) \
    SIZE_CLASS_ROW(59, 32768,  4,    1,    131073u,  2,   2)

/* the class of n <= 1024 at (n + 7) / 8 */
#define SIZE_CLASS_FINE \
    1, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, \
    13, 14, 14, 15, 15, 16, 16, 16, 16, 17, 17, 17, 17, 18, 18, 18, 18, 19, 19, 19, 19, 20, 20, 20, \
    20, 20, 20, 21, 21, 21, 21, 21, 21, 22, 22, 22, 22, 22, 22, 22, 22, 23, 23, 23, 23, 23, 23, 23, \
    23, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 26, 26, 26, \
    26, 26, 26, 26, 26, 26, 26, 26, 26, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 28, \
    28, 28, 28, 28, 28, 28, 28, 28, 28

/* the class of n > 1024 at (n + 127) / 128 - 8 */
#define SIZE_CLASS_COARSE \
    28, 29, 30, 31, 32, 33, 34, 35, 35, 36, 36, 37, 37, 38, 38, 39, 39, 39, 40, 40, 40, 41, 41, 41, \
    41, 42, 42, 42, 42, 43, 43, 43, 43, 43, 44, 44, 44, 44, 44, 45, 45, 45, 45, 45, 45, 46, 46, 46, \
    46, 46, 46, 46, 47, 47, 47, 47, 47, 48, 48, 48, 48, 48, 48, 48, 48, 48, 49, 49, 49, 49, 49, 49, \
    49, 49, 49, 49, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 51, 51, 51, 51, 51, 51, 51, 51, 51, \
    51, 51, 51, 51, 52, 52, 52, 52, 52, 52, 52, 52, 52, 52, 52, 52, 52, 52, 52, 53, 53, 53, 53, 53, \
    53, 54, 54, 54, 54, 54, 54, 54, 54, 54, 54, 54, 54, 54, 54, 54, 54, 54, 54, 55, 55, 55, 55, 55, \
    55, 55, 55, 55, 55, 55, 55, 55, 55, 55, 55, 55, 55, 55, 55, 56, 56, 56, 56, 56, 56, 56, 56, 56, \
    56, 56, 56, 56, 56, 56, 56, 56, 56, 56, 56, 56, 56, 56, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, \
    57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 58, 58, 58, 58, 58, 58, 58, \
    58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 59, \
    59, 59, 59, 59, 59, 59, 59, 59, 59
/* clang-format on */

#endif
