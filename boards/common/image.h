/* SPDX-License-Identifier: MIT */
/*
 * The symbols that every board's linker script defines. Sections lie in this order, each on a
 * page boundary, so that each can have its own protection.
 *
 *   __image_start                       first byte that is loaded
 *   __text_start    __text_end          code: read, execute
 *   __rodata_start  __rodata_end        constants, harness_cases, the symbol table: read
 *   __data_start    __data_end          read, write; a root of the collector, with .bss
 *   __bss_start     __bss_end           read, write; zeroed by the loader or the boot code
 *   __stacks_start  __stacks_end        stacks of all cores with their guard pages: no root
 *   __image_end                         end of what the image occupies in RAM
 */
#ifndef BOARDS_COMMON_IMAGE_H
#define BOARDS_COMMON_IMAGE_H

extern char __image_start[], __image_end[];
extern char __text_start[], __text_end[];
extern char __rodata_start[], __rodata_end[];
extern char __data_start[], __data_end[];
extern char __bss_start[], __bss_end[];
extern char __stacks_start[], __stacks_end[];

#endif
