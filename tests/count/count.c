/* SPDX-License-Identifier: MIT */
/*
 * The instructions of one warm call, call and return included, as a machine started with
 * -icount shift=0 counts them: exact, and the same on every run.
 *
 * 1. Two readings of the clock are taken around a call through a pointer. The same code around
 *    count_nothing(), whose call and return are two instructions, tells what the readings cost.
 * 2. After a warm-up each row is counted often. The least is
 * printed, the way that is taken when all goes well, and the average, in hundredths, for whoever
 * wants to know how often it does not.
 * 3. One core, interrupts off.
 *
 * Output: "# compiler VERSION", a line "NAME LEAST AVERAGE" per row, "# END". tools/count reads it.
 */
#include "tests/count/count.h"
#include "boards/board.h"
#include "kernel-lib/check.h"
#include "kernel-lib/print.h"

#define SMALL_BYTES     64
#define COLLECTED_BYTES 32
#define ALIGN_BYTES     64
#define BATCH           8
#define WARM_UP_ROUNDS  50
#define ROUNDS          200

#define CALL_AND_RETURN 2

enum row_name {
    ROW_MALLOC,
    ROW_FREE,
    ROW_PAIR,
    ROW_FREE_SIZED,
    ROW_REALLOC,
    ROW_CALLOC,
    ROW_ALIGNED,
    ROW_COLLECTED,
    ROW_TYPED,
    ROW_COUNT,
};

static struct row {
    const char *name;
    uint64_t least;
    uint64_t sum;
    uint64_t calls;
} rows[ROW_COUNT] = {
    [ROW_MALLOC] = {.name = "malloc_64"},         [ROW_FREE] = {.name = "free_64"},
    [ROW_PAIR] = {.name = "malloc_free_64"},      [ROW_FREE_SIZED] = {.name = "free_sized_64"},
    [ROW_REALLOC] = {.name = "realloc_in_place"}, [ROW_CALLOC] = {.name = "calloc_64"},
    [ROW_ALIGNED] = {.name = "aligned_64"},       [ROW_COLLECTED] = {.name = "collected_32"},
    [ROW_TYPED] = {.name = "typed_16"},
};

/* Any function of an allocator: both ABIs pass two words in registers and return one in a register,
 * whatever their types. */
typedef void *any_fn(size_t a, size_t b);
#define ANY(fn) ((any_fn *)(void (*)(void))(fn))

static uint64_t overhead;  /* of reading the clock, and of count_nothing() */
static uint64_t last_call; /* instructions of it */

static __attribute__((noinline)) void *timed(any_fn *fn, size_t a, size_t b)
{
    uint64_t start = count_clock();
    void *result = fn(a, b);
    last_call = count_clock() - start - overhead;
    return result;
}

static void row_add(enum row_name name, uint64_t instructions)
{
    struct row *row = &rows[name];
    if (row->calls == 0 || instructions < row->least)
        row->least = instructions;
    row->sum += instructions;
    row->calls++;
}

static void *count(enum row_name name, any_fn *fn, size_t a, size_t b)
{
    void *result = timed(fn, a, b);
    row_add(name, last_call);
    return result;
}

static void clock_calibrate(void)
{
    timed(count_nothing, 0, 0);
    overhead = last_call - CALL_AND_RETURN;
    timed(count_nothing, 0, 0);
    BH_CHECK(
        last_call == CALL_AND_RETURN,
        "count: the clock does not count instructions; start QEMU with -icount shift=0 -smp 1");
}

/* ---- the calls ---- */

static void *object_new(size_t bytes)
{
    void *object = count_allocator.malloc(bytes);
    BH_CHECK(object, "count: out of memory");
    return object;
}

static void run_batch(void)
{
    void *objects[BATCH];
    for (unsigned i = 0; i < BATCH; i++)
        objects[i] = count(ROW_MALLOC, ANY(count_allocator.malloc), SMALL_BYTES, 0);
    for (unsigned i = 0; i < BATCH; i++)
        count(ROW_FREE, ANY(count_allocator.free), (size_t)objects[i], 0);
}

static void run_pair(void)
{
    void *object = timed(ANY(count_allocator.malloc), SMALL_BYTES, 0);
    uint64_t instructions = last_call;
    timed(ANY(count_allocator.free), (size_t)object, 0);
    row_add(ROW_PAIR, instructions + last_call);
}

static void run_free_sized(void)
{
    void *object = object_new(SMALL_BYTES);
    count(ROW_FREE_SIZED, ANY(count_allocator.free_sized), (size_t)object, SMALL_BYTES);
}

static void run_realloc(void)
{
    void *object = object_new(SMALL_BYTES);
    void *same = count(ROW_REALLOC, ANY(count_allocator.realloc), (size_t)object, SMALL_BYTES - 4);
    BH_CHECK(same == object, "count: realloc to %d bytes has moved the object", SMALL_BYTES - 4);
    count_allocator.free(same);
}

static void run_calloc(void)
{
    count_allocator.free(count(ROW_CALLOC, ANY(count_allocator.calloc), 1, SMALL_BYTES));
}

static void run_aligned(void)
{
    void *object = count(ROW_ALIGNED, ANY(count_allocator.aligned_alloc), ALIGN_BYTES, SMALL_BYTES);
    count_allocator.free(object);
}

static void run_collected(void)
{
    count(ROW_COLLECTED, ANY(count_allocator.collected), COLLECTED_BYTES, 0);
}

static void run_typed(void)
{
    count(ROW_TYPED, ANY(count_allocator.typed), (size_t)count_allocator.type, 0);
}

static void run_round(void)
{
    run_batch();
    run_pair();
    run_realloc();
    run_calloc();
    run_aligned();
    if (count_allocator.free_sized)
        run_free_sized();
    if (count_allocator.collected)
        run_collected();
    if (count_allocator.typed)
        run_typed();
}

static void run_rounds(unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++)
        run_round();
}

static void rows_reset(void)
{
    for (unsigned i = 0; i < ROW_COUNT; i++)
        rows[i] = (struct row){.name = rows[i].name};
}

static void print_row(const struct row *row)
{
    if (row->calls > 0)
        print_log("%s %llu %llu\n", row->name, (unsigned long long)row->least,
                  (unsigned long long)(row->sum * 100 / row->calls));
}

int board_main(void)
{
    count_allocator.init();
    board_irq_off();
    count_clock_init();
    clock_calibrate();
    print_log("# compiler %s\n", __VERSION__);
    run_rounds(WARM_UP_ROUNDS);
    rows_reset();
    run_rounds(ROUNDS);
    for (unsigned i = 0; i < ROW_COUNT; i++)
        print_row(&rows[i]);
    print_log("# END\n");
    return 0;
}
