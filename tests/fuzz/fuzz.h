/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing: a byte string is a script of operations on a heap, with an oracle beside it. Guide:
 * tests/fuzz/README.md.
 *
 * A target is one file fuzz_NAME.c that defines fuzz_run(). It is linked with the library, the
 * machine below, and either libFuzzer or driver.c. Every script starts from the same state: that of
 * the library before bh_init(), and memory full of zeros.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "kernel-lib/check.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the script ---- */

struct fuzz_script {
    const uint8_t *at;
    const uint8_t *end;
};

/* The target: plays one script. What it finds wrong is a panic, which ends the process. */
void fuzz_run(struct fuzz_script *script);

static inline bool fuzz_more(const struct fuzz_script *script)
{
    return script->at < script->end;
}

/* The next byte; 0 for ever when the script has ended. */
static inline uint8_t fuzz_byte(struct fuzz_script *script)
{
    return fuzz_more(script) ? *script->at++ : 0;
}

static inline size_t fuzz_word(struct fuzz_script *script)
{
    size_t low = fuzz_byte(script);
    return low | (size_t)fuzz_byte(script) << 8;
}

/* Less than n <= 256. */
static inline size_t fuzz_below(struct fuzz_script *script, size_t n)
{
    return fuzz_byte(script) % n;
}

/* A size as programs ask for: half of them under 256 bytes, a few up to 4 MiB. */
size_t fuzz_size(struct fuzz_script *script);

/* Whether memory is all zeros. */
bool fuzz_is_zero(const void *memory, size_t bytes);

/* What the oracle demands. */
#define FUZZ_CHECK(cond, ...) BH_CHECK(cond, "fuzz: " __VA_ARGS__)

/* ---- the machine: machine.c ---- */

#define MACHINE_RAM_BYTES ((size_t)8 << 20)
#define MACHINE_CORES     4

/* Memory for regions, at a multiple of 2 MiB; zeros at the start of each script. */
extern char *machine_ram;

/* Everything as before the first script. Called before each. */
void machine_reset(void);

/* How many cores there are; before bh_init(). */
void machine_set_cores(unsigned cores);

/* The thread goes on as this core. `on_switch` may be told, before and after. */
void machine_switch(unsigned core);
extern void (*machine_on_leave)(void);
extern void (*machine_on_enter)(void);

/* The `after`-th time that interrupts are switched on, `handler` runs, once. NULL: never. */
void machine_arm_interrupt(unsigned after, void (*handler)(void));

/* Requests for pages fail from the `after`-th on, `count` of them. */
void machine_arm_faults(unsigned after, unsigned count);
bool machine_has_refused(void); /* any, since it was told to forget */
void machine_forget_refused(void);

/* What bh_port_pages_wanted() does; NULL: it has nothing. */
extern bool (*machine_pages_wanted)(size_t bytes);

/* The clock of bh_port_now_ns(): stands still but for this. */
void machine_advance(uint64_t ns);

#endif
