/* SPDX-License-Identifier: MIT */
/*
 * Plays scripts without libFuzzer, with any compiler: files, and random ones from a seed.
 *
 *     fuzz-NAME FILE...                     each file is a script
 *     fuzz-NAME --random COUNT SEED         COUNT scripts of random bytes
 *     fuzz-NAME --write FOLDER COUNT SEED   writes them as files, for a first corpus
 *
 * A script that fails ends the process by abort(); the last line says which one it was. That of a
 * good run is "N passed, 0 failed".
 */
#include "tests/fuzz/fuzz.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCRIPT_BYTES 2048 /* of a random one, at most */

static unsigned played;

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Random bytes (splitmix64), a stream per number. Returns how many. */
static size_t make_script(uint8_t *bytes, uint64_t seed, uint64_t number)
{
    uint64_t state = mix(seed * 0x9e3779b97f4a7c15u + number);
    size_t count = 16 + mix(state) % (SCRIPT_BYTES - 16);
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)mix(state + (i + 1) * 0x9e3779b97f4a7c15u);
    return count;
}

static void play(const uint8_t *bytes, size_t count)
{
    struct fuzz_script script = {bytes, bytes + count};
    machine_reset();
    fuzz_run(&script);
    played++;
}

/* What is being played, for the handler. */
static char playing[512];

static void on_abort(int number)
{
    (void)number;
    (void)!write(STDOUT_FILENO, "failed: ", 8);
    (void)!write(STDOUT_FILENO, playing, strlen(playing));
    (void)!write(STDOUT_FILENO, "\n", 1);
}

static void play_file(const char *path)
{
    static uint8_t bytes[(size_t)1 << 20];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    size_t count = fread(bytes, 1, sizeof(bytes), file);
    (void)fclose(file);
    (void)snprintf(playing, sizeof(playing), "%s", path);
    play(bytes, count);
}

static void play_random(uint64_t count, uint64_t seed)
{
    uint8_t bytes[SCRIPT_BYTES];
    for (uint64_t i = 0; i < count; i++) {
        (void)snprintf(playing, sizeof(playing), "random script %llu of seed %llu",
                       (unsigned long long)i, (unsigned long long)seed);
        play(bytes, make_script(bytes, seed, i));
    }
}

static void write_random(const char *folder, uint64_t count, uint64_t seed)
{
    uint8_t bytes[SCRIPT_BYTES];
    char path[512];
    for (uint64_t i = 0; i < count; i++) {
        size_t script_bytes = make_script(bytes, seed, i);
        (void)snprintf(path, sizeof(path), "%s/random-%llu-%llu", folder, (unsigned long long)seed,
                       (unsigned long long)i);
        FILE *file = fopen(path, "wb");
        if (!file) {
            perror(path);
            exit(EXIT_FAILURE);
        }
        (void)fwrite(bytes, 1, script_bytes, file);
        (void)fclose(file);
    }
}

int main(int argc, char **argv)
{
    (void)signal(SIGABRT, on_abort);
    if (argc == 4 && strcmp(argv[1], "--random") == 0)
        play_random(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    else if (argc == 5 && strcmp(argv[1], "--write") == 0)
        write_random(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
    else
        for (int i = 1; i < argc; i++)
            play_file(argv[i]);
    printf("%u passed, 0 failed\n", played);
    return 0;
}
