/* SPDX-License-Identifier: MIT */
/*
 * What the environment may say:
 *
 *   BAREHEAP_RELEASE=eager|gradual|never   when free pages go back to the system (gradual)
 *   BAREHEAP_RESERVE=256M                  the first region, with K, M or G (4 times the RAM)
 *   BAREHEAP_STATS=1                       figures on standard error at exit
 *
 * A value that is none of these is as good as none. A program with more rights than its user
 * (set-user-id) has no options. Allocations come before the C library has an environment, so this
 * is looked at again until there is one. Nothing here allocates.
 */
#define _GNU_SOURCE
#include "boards/preload/preload.h"
#include "kernel-lib/print.h"
#include "kernel-lib/string.h"
#include <bareheap/alloc.h>
#include <stdlib.h>
#include <unistd.h>

static struct preload_options options;

/* Digits and perhaps a unit; 0 when it is something else. */
static size_t parse_bytes(const char *text)
{
    size_t bytes = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(bytes, 10, &bytes) ||
            __builtin_add_overflow(bytes, (size_t)(*text - '0'), &bytes))
            return 0;
    unsigned shift = *text == 'K' ? 10 : *text == 'M' ? 20 : *text == 'G' ? 30 : 0;
    bool is_end = text[0] == '\0' || (shift && text[1] == '\0');
    return is_end && bytes <= SIZE_MAX >> 20 >> shift ? bytes << shift : 0;
}

static void read_release(const char *text)
{
    static const struct {
        const char *name;
        enum bh_release mode;
    } modes[] = {
        {"never", BH_RELEASE_NEVER}, {"gradual", BH_RELEASE_GRADUAL}, {"eager", BH_RELEASE_EAGER}};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (string_equal(text, modes[i].name))
            bh_set_release(modes[i].mode);
}

/* The variable's value, or "". */
static const char *variable(const char *name)
{
    const char *value = secure_getenv(name);
    return value ? value : "";
}

const struct preload_options *preload_options(void)
{
    if (options.read || !environ)
        return &options;
    options.read = true;
    options.reserve_bytes = parse_bytes(variable("BAREHEAP_RESERVE"));
    options.stats = string_equal(variable("BAREHEAP_STATS"), "1");
    read_release(variable("BAREHEAP_RELEASE"));
    return &options;
}

void preload_print_stats(void)
{
    struct bh_stats stats;
    bh_get_stats(&stats);
    print_log("bareheap: objects %zu, %zu bytes; cached %zu; heap %zu, peak %zu\n",
              stats.manual_objects, stats.manual_bytes, stats.cached_bytes, stats.heap_bytes,
              stats.heap_peak_bytes);
    print_log(
        "bareheap: free pages %zu bytes, of which released %zu; metadata %zu of %zu reserved\n",
        stats.free_page_bytes, stats.released_bytes, stats.metadata_bytes, stats.region_bytes);
}

/* For what was allocated before there was an environment. */
static __attribute__((constructor)) void read_options_late(void)
{
    (void)preload_options();
}

static __attribute__((destructor)) void print_stats_late(void)
{
    if (preload_options()->stats)
        preload_print_stats();
}
