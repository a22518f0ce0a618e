/* SPDX-License-Identifier: MIT */
/*
 * Words, patterns and the image's command line: tokens apart by blanks, "word" or "name=value".
 *
 * Two kinds of pattern, told apart by what '*' may stand for: in a glob for case names anything,
 * in a panic's text any run of characters but a blank, so that "0x*" cannot swallow a sentence.
 */
#include "tests/harness/internal.h"

/*
 * Whether `text` is `pattern`, where '*' stands for characters other than `never`. The usual walk
 * with one point of return: the last '*' takes one character more each time the rest fails.
 */
static bool matches(const char *pattern, const char *text, char never)
{
    const char *star = NULL;
    const char *star_end = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            star_end = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL && *star_end != never) {
            pattern = star + 1;
            text = ++star_end;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool harness_matches(const char *glob, const char *text)
{
    return matches(glob, text, '\0');
}

bool harness_matches_panic(const char *pattern, const char *message)
{
    return matches(pattern, message, ' ');
}

/* --- The command line --------------------------------------------------------------------- */

static bool is_end(char c)
{
    return c == ' ' || c == '\0';
}

/* The first character behind `name` where a token starts with it, or NULL. */
static const char *find_token(const char *name)
{
    const char *token = board_command_line();
    while (*token != '\0') {
        const char *t = token;
        const char *n = name;
        while (*n != '\0' && *t == *n) {
            t++;
            n++;
        }
        if (*n == '\0' && (is_end(*t) || *t == '='))
            return t;
        while (!is_end(*token))
            token++;
        while (*token == ' ')
            token++;
    }
    return NULL;
}

/* Whether `name` is a token by itself. */
bool harness_word(const char *name)
{
    const char *rest = find_token(name);
    return rest != NULL && is_end(*rest);
}

/* Copies the value of "name=value", cut to `bytes` - 1; false when there is none. */
bool harness_option_text(const char *name, char *value, size_t bytes)
{
    const char *rest = find_token(name);
    if (rest == NULL || *rest != '=')
        return false;
    size_t n = 0;
    for (rest++; !is_end(*rest) && n + 1 < bytes; rest++)
        value[n++] = *rest;
    value[n] = '\0';
    return true;
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    return 99;
}

uint64_t harness_option(const char *name, uint64_t otherwise)
{
    char text[32];
    if (!harness_option_text(name, text, sizeof(text)))
        return otherwise;
    const char *digit = text;
    unsigned base = 10;
    if (digit[0] == '0' && digit[1] == 'x') {
        base = 16;
        digit += 2;
    }
    uint64_t value = 0;
    for (; digit_value(*digit) < base; digit++)
        value = value * base + digit_value(*digit);
    return value;
}
