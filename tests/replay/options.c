/* SPDX-License-Identifier: MIT */
/*
 * The image's command line: words of the form name=value. Words without '=' are skipped, because
 * boot loaders put the image's own name there; "cores" and "mem" are for the host board; any other
 * name that is not known is an error.
 */
#include "kernel-lib/print.h"
#include "tests/replay/replay.h"

struct option {
    const char *name;
    char *text; /* where a text goes, with its room; NULL for a number */
    size_t room;
    uint64_t *number;
};

/* Whether [word, word + bytes) is `name`. */
static bool same(const char *word, size_t bytes, const char *name)
{
    size_t i = 0;
    while (i < bytes && name[i] != '\0' && word[i] == name[i])
        i++;
    return i == bytes && name[i] == '\0';
}

static bool parse_number(const char *digits, size_t bytes, uint64_t *number)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (digits[i] < '0' || digits[i] > '9' || value > UINT64_MAX / 16)
            return false;
        value = value * 10 + (uint64_t)(digits[i] - '0');
    }
    *number = value;
    return bytes > 0;
}

static bool parse_value(const struct option *option, const char *value, size_t bytes)
{
    if (option->text == NULL)
        return parse_number(value, bytes, option->number);
    if (bytes == 0 || bytes >= option->room)
        return false;
    for (size_t i = 0; i < bytes; i++)
        option->text[i] = value[i];
    option->text[bytes] = '\0';
    return true;
}

static bool parse_word(const struct option *table, const char *word, size_t bytes)
{
    size_t name = 0;
    while (name < bytes && word[name] != '=')
        name++;
    if (name == bytes)
        return true;
    for (const struct option *o = table; o->name != NULL; o++)
        if (same(word, name, o->name) && parse_value(o, word + name + 1, bytes - name - 1))
            return true;
    print_log(
        "@error command line: \"%.*s\" is not understood; known are trace=NAME "
        "mode=alloc|gc gctrace=0|1|2 dump=0|1 collects=N window=N corrupt=0|1 leak=N idle=0|1 "
        "hold=N\n",
        (int)bytes, word);
    return false;
}

bool options_parse(const char *line, struct replay_options *options)
{
    char ignored[16];
    const struct option table[] = {
        {"trace", options->trace, sizeof(options->trace), NULL},
        {"mode", options->mode, sizeof(options->mode), NULL},
        {"gctrace", NULL, 0, &options->gctrace},
        {"dump", NULL, 0, &options->dump},
        {"collects", NULL, 0, &options->collects},
        {"window", NULL, 0, &options->window},
        {"corrupt", NULL, 0, &options->corrupt},
        {"leak", NULL, 0, &options->leak},
        {"idle", NULL, 0, &options->idle},
        {"hold", NULL, 0, &options->hold},
        {"cores", ignored, sizeof(ignored), NULL},
        {"mem", ignored, sizeof(ignored), NULL},
        {NULL, NULL, 0, NULL},
    };

    while (*line != '\0') {
        size_t bytes = 0;
        while (line[bytes] != '\0' && line[bytes] != ' ')
            bytes++;
        if (!parse_word(table, line, bytes))
            return false;
        line += bytes + (line[bytes] == ' ');
    }
    return true;
}
