/* SPDX-License-Identifier: MIT */
/*
 * The trace decoder: what it reads out of files made by hand, byte for byte after the
 * format (tools/trace-format.md), and that every kind of damage gives its own error and offset.
 *
 * Files are made in a static buffer whose events end where the buffer's own end is declared to be,
 * so that a read too far meets the guard bytes behind it, which no event uses. The host's
 * sanitizers watch the same with files of exact length (tests/traces/selftest.py).
 */
#include "tests/harness/harness.h"
#include "tests/traces/trace.h"

#define HEADER_BYTES 72
#define TEXTS        "cc\0cc -c a.c" /* name and note; the literal's own zero ends the note */
#define EVENTS_AT    (HEADER_BYTES + sizeof(TEXTS))
#define FILE_MAX     512
#define GUARD        0xff

/* What a file's header says; events and their bytes come separately. */
struct claims {
    uint32_t threads;
    uint64_t events, births, peak_bytes, peak_objs, max_bytes;
};

static uint8_t file[FILE_MAX];
static size_t file_bytes;

static void put_le(size_t at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        file[at + i] = (uint8_t)(value >> (8 * i));
}

/* The checksum bit by bit: not the decoder's way of computing it. */
static void seal(void)
{
    uint32_t crc = UINT32_MAX;

    for (size_t at = 16; at < file_bytes; at++) {
        crc ^= file[at];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
    }
    put_le(12, ~crc, 4);
}

static void put_header(const struct claims *says, size_t event_bytes)
{
    static const uint8_t magic[8] = {'B', 'H', 'T', 'R', 'A', 'C', 'E', 0};

    for (size_t i = 0; i < sizeof(magic); i++)
        file[i] = magic[i];
    put_le(8, TRACE_VERSION, 2);
    put_le(10, HEADER_BYTES, 2);
    put_le(16, says->threads, 4);
    put_le(20, 3, 2);
    put_le(22, sizeof(TEXTS) - 3, 2);
    put_le(24, says->events, 8);
    put_le(32, says->births, 8);
    put_le(40, says->peak_bytes, 8);
    put_le(48, says->peak_objs, 8);
    put_le(56, says->max_bytes, 8);
    put_le(64, event_bytes, 8);
}

static void make_file(struct claims says, const uint8_t *events, size_t event_bytes)
{
    static const char texts[] = TEXTS;

    for (size_t i = 0; i < FILE_MAX; i++)
        file[i] = GUARD;
    put_header(&says, event_bytes);
    for (size_t i = 0; i < sizeof(texts); i++)
        file[HEADER_BYTES + i] = (uint8_t)texts[i];
    for (size_t i = 0; i < event_bytes; i++)
        file[EVENTS_AT + i] = events[i];
    file_bytes = EVENTS_AT + event_bytes;
    seal();
}

/* The example of the format's description: malloc, thread 1, calloc, free, realloc. */
static const uint8_t example[] = {0x18, 0xe1, 0xc8, 0x09, 0x41, 0x80, 0x24};
static const struct claims example_says = {
    .threads = 2, .events = 4, .births = 3, .peak_bytes = 96, .peak_objs = 2, .max_bytes = 72};

#define EXAMPLE_BYTES (EVENTS_AT + sizeof(example))

static void make_example(void)
{
    make_file(example_says, example, sizeof(example));
}

static enum trace_status open_file(struct trace *trace)
{
    return trace_open(trace, file, file_bytes);
}

/* Opens a file of these events, whose header claims what it may; the error must be at `offset`. */
static void expect_error(struct claims says, const uint8_t *events, size_t bytes,
                         enum trace_status status, size_t offset)
{
    struct trace trace;

    make_file(says, events, bytes);
    EXPECT_EQ(open_file(&trace), status);
    EXPECT_EQ(trace.error_offset, EVENTS_AT + offset);
}

static bool texts_equal(const char *a, const char *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

TEST(trace_header_is_read)
{
    struct trace trace;

    make_example();
    REQUIRE(open_file(&trace) == TRACE_OK);
    EXPECT(texts_equal(trace.name, "cc"));
    EXPECT(texts_equal(trace.note, "cc -c a.c"));
    EXPECT_EQ(trace.threads, 2);
    EXPECT_EQ(trace.events, 4);
    EXPECT_EQ(trace.births, 3);
    EXPECT_EQ(trace.peak_live_bytes, 96);
    EXPECT_EQ(trace.peak_live_objs, 2);
    EXPECT_EQ(trace.max_object_bytes, 72);
    EXPECT_EQ(trace.file_bytes, file_bytes);
}

static void expect_event(struct trace_cursor *cursor, struct trace_event want)
{
    struct trace_event event;

    REQUIRE(trace_next(cursor, &event));
    EXPECT_EQ(event.op, want.op);
    EXPECT_EQ(event.thread, want.thread);
    EXPECT_EQ(event.id, want.id);
    EXPECT_EQ(event.old_id, want.old_id);
    EXPECT_EQ(event.bytes, want.bytes);
    EXPECT_EQ(event.align, want.align);
}

TEST(trace_events_are_read_in_order)
{
    struct trace trace;
    struct trace_cursor cursor;
    struct trace_event event;

    make_example();
    REQUIRE(open_file(&trace) == TRACE_OK);
    trace_start(&cursor, &trace);
    expect_event(&cursor, (struct trace_event){TRACE_ALLOC, 0, 0, TRACE_NO_ID, 24, 0});
    expect_event(&cursor, (struct trace_event){TRACE_CALLOC, 1, 1, TRACE_NO_ID, 72, 0});
    expect_event(&cursor, (struct trace_event){TRACE_FREE, 1, TRACE_NO_ID, 0, 0, 0});
    EXPECT_EQ(trace_offset(&cursor), EVENTS_AT + 5);
    expect_event(&cursor, (struct trace_event){TRACE_REALLOC, 1, 2, 1, 36, 0});
    EXPECT(!trace_next(&cursor, &event));
    EXPECT_EQ(cursor.status, TRACE_OK);
    EXPECT_EQ(cursor.done, 4);
}

TEST(trace_numbers_of_all_lengths)
{
    /* Sizes 0, 31, 32, 4095, 4096, 2^40; calloc 7, 8; aligned 2^12 size 0; aligned 2^3 size 300. */
    static const uint8_t events[] = {0x00, 0x1f, 0x20, 0x01, 0x3f, 0x7f, 0x20, 0x80, 0x01,
                                     0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0xc7, 0xc8,
                                     0x01, 0xdc, 0x01, 0x00, 0xd3, 0xac, 0x02};
    static const uint64_t sizes[] = {0, 31, 32, 4095, 4096, 1ULL << 40, 7, 8, 0, 300};
    static const uint64_t aligns[] = {0, 0, 0, 0, 0, 0, 0, 0, 4096, 8};
    struct trace trace;
    struct trace_cursor cursor;
    struct trace_event event;

    make_file((struct claims){1, 10, 10, 0, 10, 1ULL << 40}, events, sizeof(events));
    REQUIRE(open_file(&trace) == TRACE_OK);
    trace_start(&cursor, &trace);
    for (uint32_t i = 0; i < 10; i++) {
        REQUIRE(trace_next(&cursor, &event));
        EXPECT_EQ(event.id, i);
        EXPECT_EQ(event.bytes, sizes[i]);
        EXPECT_EQ(event.align, aligns[i]);
    }
    EXPECT(!trace_next(&cursor, &event));
}

TEST(trace_without_events)
{
    struct trace trace;
    struct trace_cursor cursor;
    struct trace_event event;
    uint64_t unused;

    make_file((struct claims){.threads = 1}, NULL, 0);
    REQUIRE(open_file(&trace) == TRACE_OK);
    trace_start(&cursor, &trace);
    EXPECT(!trace_next(&cursor, &event));
    EXPECT_EQ(cursor.status, TRACE_OK);
    EXPECT_EQ(trace_verify(&trace, &unused, 0), TRACE_OK);
}

TEST(trace_padding_behind_the_end_is_ignored)
{
    struct trace trace;

    make_example();
    EXPECT_EQ(trace_open(&trace, file, FILE_MAX), TRACE_OK);
    EXPECT_EQ(trace.file_bytes, file_bytes);
}

TEST(trace_cut_anywhere_is_an_error)
{
    struct trace trace;

    make_example();
    for (size_t bytes = 0; bytes < file_bytes; bytes++) {
        EXPECT_EQ(trace_open(&trace, file, bytes), TRACE_TOO_SHORT);
        EXPECT_EQ(trace.error_offset, bytes);
    }
}

TEST(trace_changed_anywhere_is_an_error)
{
    struct trace trace;

    make_example();
    for (size_t at = 0; at < file_bytes; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            file[at] ^= (uint8_t)(1u << bit);
            EXPECT(open_file(&trace) != TRACE_OK);
            EXPECT(trace.error_offset <= file_bytes);
            file[at] ^= (uint8_t)(1u << bit);
        }
    }
    EXPECT_EQ(open_file(&trace), TRACE_OK);
}

/* One byte of the header changed, checksum right again. */
static void expect_header_error(size_t at, uint8_t value, enum trace_status status, size_t offset)
{
    struct trace trace;

    make_example();
    file[at] = value;
    seal();
    EXPECT_EQ(open_file(&trace), status);
    EXPECT_EQ(trace.error_offset, offset);
}

TEST(trace_header_errors_say_where)
{
    struct trace trace;

    expect_header_error(0, 'X', TRACE_BAD_MAGIC, 0);
    expect_header_error(8, TRACE_VERSION + 1, TRACE_BAD_VERSION, 8);
    expect_header_error(10, 64, TRACE_BAD_HEADER, 10);
    expect_header_error(16, 0, TRACE_BAD_HEADER, 16);
    expect_header_error(20, 0, TRACE_BAD_HEADER, 20);
    expect_header_error(HEADER_BYTES + 2, 'x', TRACE_BAD_HEADER, HEADER_BYTES);
    expect_header_error(36, 1, TRACE_BAD_HEADER, 32);
    expect_header_error(71, 0x80, TRACE_TOO_SHORT, EXAMPLE_BYTES);
    make_example();
    file[13] ^= 1;
    EXPECT_EQ(open_file(&trace), TRACE_BAD_CHECKSUM);
    EXPECT_EQ(trace.error_offset, 12);
}

TEST(trace_counts_must_be_true)
{
    expect_header_error(24, 5, TRACE_BAD_COUNT, EXAMPLE_BYTES);
    expect_header_error(32, 4, TRACE_BAD_COUNT, EXAMPLE_BYTES);
    expect_header_error(16, 3, TRACE_BAD_COUNT, EXAMPLE_BYTES);
    expect_header_error(56, 71, TRACE_BAD_PEAK, 56);
    expect_header_error(32, 2, TRACE_BAD_ID, EVENTS_AT + 5);
    expect_header_error(16, 1, TRACE_BAD_THREAD, EVENTS_AT + 1);
}

TEST(trace_event_errors_say_where)
{
    static const struct claims says = {.threads = 1, .events = 9, .births = 9};
    static const uint8_t undefined[] = {0x08, 0xf0};
    static const uint8_t before_first[] = {0x40};
    static const uint8_t too_far[] = {0x08, 0x08, 0x42};
    static const uint8_t realloc_too_far[] = {0x08, 0x81, 0x08};
    static const uint8_t cut_number[] = {0x08, 0x3f, 0x80};
    static const uint8_t cut_realloc[] = {0x08, 0x80};
    static const uint8_t switch_at_end[] = {0x08, 0xe0};
    static const uint8_t long_number[] = {0x3f, 0x80, 0x80, 0x80, 0x80, 0x80,
                                          0x80, 0x80, 0x80, 0x80, 0x80, 0x01};
    static const uint8_t alignment[] = {0x08, 0xd8, 0x06, 0x08};

    expect_error(says, undefined, sizeof(undefined), TRACE_BAD_OPERATION, 1);
    expect_error(says, before_first, sizeof(before_first), TRACE_BAD_ID, 0);
    expect_error(says, too_far, sizeof(too_far), TRACE_BAD_ID, 2);
    expect_error(says, realloc_too_far, sizeof(realloc_too_far), TRACE_BAD_ID, 1);
    expect_error(says, cut_number, sizeof(cut_number), TRACE_BAD_NUMBER, 1);
    expect_error(says, cut_realloc, sizeof(cut_realloc), TRACE_BAD_NUMBER, 1);
    expect_error(says, switch_at_end, sizeof(switch_at_end), TRACE_BAD_NUMBER, 1);
    expect_error(says, long_number, sizeof(long_number), TRACE_BAD_NUMBER, 0);
    expect_error(says, alignment, sizeof(alignment), TRACE_BAD_ALIGNMENT, 1);
}

TEST(trace_verify_checks_deaths_and_peaks)
{
    static const uint8_t twice[] = {0x08, 0x08, 0x41, 0x41};
    static const uint8_t after_realloc[] = {0x08, 0x80, 0x10, 0x41};
    struct trace trace;
    uint64_t sizes[3];

    make_example();
    REQUIRE(open_file(&trace) == TRACE_OK);
    EXPECT_EQ(trace_verify(&trace, sizes, 3), TRACE_OK);
    EXPECT_EQ(trace_verify(&trace, sizes, 2), TRACE_NO_MEMORY);

    make_file((struct claims){1, 4, 2, 16, 2, 8}, twice, sizeof(twice));
    REQUIRE(open_file(&trace) == TRACE_OK);
    EXPECT_EQ(trace_verify(&trace, sizes, 3), TRACE_DOUBLE_DEATH);
    EXPECT_EQ(trace.error_offset, EVENTS_AT + 3);

    make_file((struct claims){1, 3, 2, 16, 1, 16}, after_realloc, sizeof(after_realloc));
    REQUIRE(open_file(&trace) == TRACE_OK);
    EXPECT_EQ(trace_verify(&trace, sizes, 3), TRACE_DOUBLE_DEATH);
    EXPECT_EQ(trace.error_offset, EVENTS_AT + 3);
}

TEST(trace_verify_checks_peaks)
{
    struct claims says = example_says;
    struct trace trace;
    uint64_t sizes[3];

    says.peak_bytes = 95;
    make_file(says, example, sizeof(example));
    REQUIRE(open_file(&trace) == TRACE_OK);
    EXPECT_EQ(trace_verify(&trace, sizes, 3), TRACE_BAD_PEAK);
    EXPECT_EQ(trace.error_offset, 40);

    says = example_says;
    says.peak_objs = 3;
    make_file(says, example, sizeof(example));
    REQUIRE(open_file(&trace) == TRACE_OK);
    EXPECT_EQ(trace_verify(&trace, sizes, 3), TRACE_BAD_PEAK);
    EXPECT_EQ(trace.error_offset, 48);
}

/* Random events under a right checksum: any verdict is right but a crash or a wild read. */
TEST(trace_random_events_never_escape)
{
    struct trace trace;
    struct trace_cursor cursor;
    struct trace_event event;
    uint8_t events[64];

    for (unsigned round = 0; round < 500; round++) {
        size_t bytes = (size_t)harness_random_below(sizeof(events) + 1);

        for (size_t i = 0; i < bytes; i++)
            events[i] = (uint8_t)harness_random();
        make_file((struct claims){4, 64, 64, 0, 0, 0}, events, bytes);
        if (open_file(&trace) != TRACE_OK) {
            EXPECT(trace.error_offset <= file_bytes);
            continue;
        }
        trace_start(&cursor, &trace);
        while (trace_next(&cursor, &event))
            EXPECT(event.id == TRACE_NO_ID || event.id < trace.births);
    }
}

TEST(trace_status_has_words)
{
    EXPECT(texts_equal(trace_status_text(TRACE_DOUBLE_DEATH), "an object dies twice"));
    EXPECT(texts_equal(trace_status_text((enum trace_status)999), "an unknown status"));
}
