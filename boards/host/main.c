/* SPDX-License-Identifier: MIT */
/*
 * main() of a board image on the host: what firmware and boot code do elsewhere.
 *
 * 1. The arguments, joined by blanks, are the command line; "cores=4" and "mem=256M" are ours.
 * 2. RAM is mapped, fault reports and interrupts are set up, the keepers of cores 1 and up start.
 * 3. Core 0 is a thread of its own, because a thread's stack has a guard and known bounds;
 *    the process's first stack has neither. It calls board_main().
 *
 * Not linked into programs that have their own main() and use host.h.
 */
#define _GNU_SOURCE
#include "boards/board.h"
#include "boards/host/internal.h"
#include "kernel-lib/print.h"
#include "kernel-lib/string.h"
#include <stdlib.h>
#include <unistd.h>

#define MAIN_COMMAND_LINE_BYTES 4096
#define MAIN_DEFAULT_CORES      4
#define MAIN_DEFAULT_RAM_BYTES  ((size_t)256 << 20)

static char command_line[MAIN_COMMAND_LINE_BYTES];

const char *board_command_line(void)
{
    return command_line;
}

static void main_join(int count, char **arguments)
{
    size_t length = 0;
    for (int i = 1; i < count && length < sizeof(command_line); i++)
        length += print_format(command_line + length, sizeof(command_line) - length, "%s%s",
                               i > 1 ? " " : "", arguments[i]);
}

/* "64", "64K", "64M" or "64G" in bytes; 0 for anything else. */
static size_t main_parse_size(const char *text)
{
    static const char units[] = "KMG";
    char *end = NULL;
    size_t value = strtoull(text, &end, 10);
    for (unsigned i = 0; *end != '\0' && units[i] != '\0'; i++) {
        if (*end == units[i] && end[1] == '\0')
            return value << (10 * (i + 1));
    }
    return *end == '\0' ? value : 0;
}

/* The value of "name=size" among the arguments, or `otherwise`; ends the process when it is not in
 * [lowest, highest]. */
static size_t main_option(char **arguments, const char *name, size_t otherwise, size_t lowest,
                          size_t highest)
{
    size_t value = otherwise;
    for (char **a = arguments + 1; *a != NULL; a++) {
        const char *text = string_after(*a, name);
        if (text != NULL && *text == '=')
            value = main_parse_size(text + 1);
    }
    if (value < lowest || value > highest) {
        print_log("host: %s= must be %zu to %zu\n", name, lowest, highest);
        exit(EXIT_FAILURE);
    }
    return value;
}

static void *core_0_main(void *arg)
{
    (void)arg;
    host_fault_attach();
    host_core_enter(0);
    host_register_roots(); /* takes a lock, so a core must do it */
    board_exit(board_main());
}

int main(int argc, char **argv)
{
    host_become_board();
    main_join(argc, argv);
    size_t cores = main_option(argv, "cores", MAIN_DEFAULT_CORES, 1, BOARD_MAX_CORES);
    size_t bytes = main_option(argv, "mem", MAIN_DEFAULT_RAM_BYTES, 1 << 20, SIZE_MAX >> 16);
    host_fault_init();
    host_irq_init();
    host_step_init();
    if (!host_ram_map(bytes) || !host_cores_start(1, (unsigned)cores) ||
        !host_thread_create(core_0_main, NULL)) {
        print_log("host: the system does not give %zu bytes and %zu threads\n", bytes, cores);
        return EXIT_FAILURE;
    }
    for (;;)
        pause(); /* core 0 ends the process */
}
