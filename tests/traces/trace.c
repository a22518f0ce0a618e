/* SPDX-License-Identifier: MIT */
/*
 * The decoder of allocation traces. The format is tools/trace-format.md, the interface trace.h.
 *
 * 1. An event is a lead byte, two bits of operation and the first bits of a number, and then
 *    the rest of that number and perhaps a second one, seven bits a byte, lowest first.
 * 2. take_byte() is the only place that reads an event byte, and it compares with the end first: a
 *    damaged file runs into TRACE_BAD_NUMBER, never past the end.
 * 3. trace_open() checks the header, then the checksum, then walks all events once.
 *
 * Invariants: cursor->at is in [start, end]; next_id <= births; thread < threads.
 * Locks: none. Not here: what a death needs to know of the past (trace_verify keeps that in
 * memory it is lent).
 */
#include "tests/traces/trace.h"

/* Offsets in the header, little-endian, as in the format's table. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_HEADER_BYTES = 10,
    AT_CHECKSUM = 12,
    AT_CHECKED = 16, /* the checksum is of all bytes from here on */
    AT_THREADS = 16,
    AT_NAME_BYTES = 20,
    AT_NOTE_BYTES = 22,
    AT_EVENTS = 24,
    AT_BIRTHS = 32,
    AT_PEAK_LIVE_BYTES = 40,
    AT_PEAK_LIVE_OBJS = 48,
    AT_MAX_OBJECT_BYTES = 56,
    AT_EVENT_BYTES = 64,
    HEADER_BYTES = 72,
};

/* The two high bits of a lead byte, and for OTHER the two bits below them. */
enum { LEAD_ALLOC = 0, LEAD_FREE = 1, LEAD_REALLOC = 2, LEAD_OTHER = 3 };
enum { OTHER_CALLOC = 0, OTHER_ALIGNED = 1, OTHER_THREAD = 2 };

#define MAX_ALIGN_SHIFT 47

/* Reads a little-endian number of `bytes` bytes at any alignment. */
static uint64_t read_le(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | from[bytes];
    return value;
}

/* CRC-32 as in zip files (reflected, 0xEDB88320), four bits at a time to keep the table small. */
static uint32_t crc32(const uint8_t *from, size_t bytes)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < bytes; i++) {
        crc ^= from[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return ~crc;
}

static bool magic_is_right(const uint8_t *file)
{
    static const uint8_t magic[8] = {'B', 'H', 'T', 'R', 'A', 'C', 'E', 0};

    for (size_t i = 0; i < sizeof(magic); i++) {
        if (file[AT_MAGIC + i] != magic[i])
            return false;
    }
    return true;
}

/* Says where and why opening failed. */
static enum trace_status fail(struct trace *trace, size_t offset, enum trace_status status)
{
    trace->error_offset = offset;
    return status;
}

static void read_counts(struct trace *trace, const uint8_t *file)
{
    trace->threads = (uint32_t)read_le(file + AT_THREADS, 4);
    trace->events = read_le(file + AT_EVENTS, 8);
    trace->births = (uint32_t)read_le(file + AT_BIRTHS, 8);
    trace->peak_live_bytes = read_le(file + AT_PEAK_LIVE_BYTES, 8);
    trace->peak_live_objs = read_le(file + AT_PEAK_LIVE_OBJS, 8);
    trace->max_object_bytes = read_le(file + AT_MAX_OBJECT_BYTES, 8);
}

/* Finds the two texts, each with a zero at its end, and the events behind them. */
static enum trace_status place_parts(struct trace *trace, const uint8_t *file, size_t bytes)
{
    size_t name_bytes = (size_t)read_le(file + AT_NAME_BYTES, 2);
    size_t note_bytes = (size_t)read_le(file + AT_NOTE_BYTES, 2);
    uint64_t event_bytes = read_le(file + AT_EVENT_BYTES, 8);
    size_t events_at = HEADER_BYTES + name_bytes + note_bytes;

    if (name_bytes == 0 || note_bytes == 0)
        return fail(trace, AT_NAME_BYTES, TRACE_BAD_HEADER);
    if (bytes < events_at || bytes - events_at < event_bytes)
        return fail(trace, bytes, TRACE_TOO_SHORT);
    if (file[HEADER_BYTES + name_bytes - 1] != 0 || file[events_at - 1] != 0)
        return fail(trace, HEADER_BYTES, TRACE_BAD_HEADER);
    trace->name = (const char *)file + HEADER_BYTES;
    trace->note = trace->name + name_bytes;
    trace->start = file + events_at;
    trace->end = trace->start + (size_t)event_bytes;
    trace->file_bytes = events_at + (size_t)event_bytes;
    return TRACE_OK;
}

static enum trace_status open_header(struct trace *trace, const uint8_t *file, size_t bytes)
{
    if (bytes < HEADER_BYTES)
        return fail(trace, bytes, TRACE_TOO_SHORT);
    if (!magic_is_right(file))
        return fail(trace, AT_MAGIC, TRACE_BAD_MAGIC);
    if (read_le(file + AT_VERSION, 2) != TRACE_VERSION)
        return fail(trace, AT_VERSION, TRACE_BAD_VERSION);
    if (read_le(file + AT_HEADER_BYTES, 2) != HEADER_BYTES)
        return fail(trace, AT_HEADER_BYTES, TRACE_BAD_HEADER);
    if (read_le(file + AT_THREADS, 4) == 0)
        return fail(trace, AT_THREADS, TRACE_BAD_HEADER);
    if (read_le(file + AT_BIRTHS, 8) >= TRACE_NO_ID)
        return fail(trace, AT_BIRTHS, TRACE_BAD_HEADER);
    read_counts(trace, file);
    return place_parts(trace, file, bytes);
}

/* Walks all events; the counts of the header must be exactly theirs. */
static enum trace_status check_events(struct trace *trace)
{
    struct trace_cursor cursor;
    struct trace_event event;
    uint64_t max_bytes = 0;
    uint32_t threads = 1;

    trace_start(&cursor, trace);
    while (trace_next(&cursor, &event)) {
        if (event.thread >= threads)
            threads = event.thread + 1;
        if (event.bytes > max_bytes)
            max_bytes = event.bytes;
    }
    if (cursor.status != TRACE_OK)
        return fail(trace, trace_offset(&cursor), cursor.status);
    if (cursor.done != trace->events || cursor.at != trace->end)
        return fail(trace, trace_offset(&cursor), TRACE_BAD_COUNT);
    if (cursor.next_id != trace->births || threads != trace->threads)
        return fail(trace, trace_offset(&cursor), TRACE_BAD_COUNT);
    if (max_bytes != trace->max_object_bytes)
        return fail(trace, AT_MAX_OBJECT_BYTES, TRACE_BAD_PEAK);
    return TRACE_OK;
}

enum trace_status trace_open(struct trace *trace, const void *data, size_t bytes)
{
    const uint8_t *file = data;
    enum trace_status status = open_header(trace, file, bytes);

    if (status != TRACE_OK)
        return status;
    if (crc32(file + AT_CHECKED, trace->file_bytes - AT_CHECKED) != read_le(file + AT_CHECKSUM, 4))
        return fail(trace, AT_CHECKSUM, TRACE_BAD_CHECKSUM);
    trace->error_offset = 0;
    return check_events(trace);
}

void trace_start(struct trace_cursor *cursor, const struct trace *trace)
{
    cursor->trace = trace;
    cursor->at = trace->start;
    cursor->done = 0;
    cursor->next_id = 0;
    cursor->thread = 0;
    cursor->status = TRACE_OK;
}

/* The next event byte; at the end 0 and TRACE_BAD_NUMBER, because only numbers are cut short. */
static uint8_t take_byte(struct trace_cursor *cursor)
{
    if (cursor->at == cursor->trace->end) {
        cursor->status = TRACE_BAD_NUMBER;
        return 0;
    }
    return *cursor->at++;
}

/* The rest of a number whose lowest `shift` bits are `low`: seven bits a byte, while bit 7 is set.
 */
static uint64_t take_rest(struct trace_cursor *cursor, uint64_t low, unsigned shift)
{
    uint8_t byte;

    do {
        byte = take_byte(cursor);
        if (shift > 56) {
            cursor->status = TRACE_BAD_NUMBER;
            return 0;
        }
        low |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while ((byte & 0x80) != 0);
    return low;
}

/* The number that begins in the low `bits` bits of `lead`, the topmost of which says it goes on. */
static uint64_t take_number(struct trace_cursor *cursor, uint8_t lead, unsigned bits)
{
    unsigned more = 1u << (bits - 1);
    uint64_t low = lead & (more - 1);

    return (lead & more) == 0 ? low : take_rest(cursor, low, bits - 1);
}

/* The id that `distance` more births would make the newest but one: 0 is the newest. */
static uint32_t take_old_id(struct trace_cursor *cursor, uint64_t distance)
{
    if (distance >= cursor->next_id) {
        if (cursor->status == TRACE_OK)
            cursor->status = TRACE_BAD_ID;
        return TRACE_NO_ID;
    }
    return cursor->next_id - 1 - (uint32_t)distance;
}

static uint32_t take_new_id(struct trace_cursor *cursor)
{
    if (cursor->next_id >= cursor->trace->births) {
        cursor->status = TRACE_BAD_ID;
        return TRACE_NO_ID;
    }
    return cursor->next_id++;
}

static void take_aligned(struct trace_cursor *cursor, struct trace_event *event, uint8_t lead)
{
    uint64_t shift = take_number(cursor, lead, 4);

    event->op = TRACE_ALIGNED;
    if (shift > MAX_ALIGN_SHIFT) {
        cursor->status = TRACE_BAD_ALIGNMENT;
        return;
    }
    event->align = 1ULL << shift;
    event->bytes = take_rest(cursor, 0, 0);
    event->id = take_new_id(cursor);
}

static void take_calloc(struct trace_cursor *cursor, struct trace_event *event, uint8_t lead)
{
    event->op = TRACE_CALLOC;
    event->bytes = take_number(cursor, lead, 4);
    event->id = take_new_id(cursor);
}

static void take_alloc(struct trace_cursor *cursor, struct trace_event *event, uint8_t lead)
{
    event->op = TRACE_ALLOC;
    event->bytes = take_number(cursor, lead, 6);
    event->id = take_new_id(cursor);
}

static void take_free(struct trace_cursor *cursor, struct trace_event *event, uint8_t lead)
{
    event->op = TRACE_FREE;
    event->old_id = take_old_id(cursor, take_number(cursor, lead, 6));
}

static void take_realloc(struct trace_cursor *cursor, struct trace_event *event, uint8_t lead)
{
    event->op = TRACE_REALLOC;
    event->old_id = take_old_id(cursor, take_number(cursor, lead, 6));
    event->bytes = take_rest(cursor, 0, 0);
    event->id = take_new_id(cursor);
}

static void take_other(struct trace_cursor *cursor, struct trace_event *event, uint8_t lead)
{
    unsigned which = lead >> 4 & 3;

    if (which == OTHER_CALLOC)
        take_calloc(cursor, event, lead);
    else if (which == OTHER_ALIGNED)
        take_aligned(cursor, event, lead);
    else
        cursor->status = TRACE_BAD_OPERATION;
}

/* Steps over changes of thread and gives the lead byte of the event behind them. */
static uint8_t take_lead(struct trace_cursor *cursor)
{
    for (;;) {
        uint8_t lead = take_byte(cursor);
        uint64_t thread;

        if (lead >> 4 != (LEAD_OTHER << 2 | OTHER_THREAD) || cursor->status != TRACE_OK)
            return lead;
        thread = take_number(cursor, lead, 4);
        if (thread >= cursor->trace->threads) {
            cursor->status = TRACE_BAD_THREAD;
            return 0;
        }
        cursor->thread = (uint32_t)thread;
    }
}

bool trace_next(struct trace_cursor *cursor, struct trace_event *event)
{
    static void (*const take[])(struct trace_cursor *, struct trace_event *, uint8_t) = {
        [LEAD_ALLOC] = take_alloc,
        [LEAD_FREE] = take_free,
        [LEAD_REALLOC] = take_realloc,
        [LEAD_OTHER] = take_other,
    };
    const uint8_t *before = cursor->at;
    uint8_t lead;

    if (cursor->status != TRACE_OK || cursor->at == cursor->trace->end)
        return false;
    lead = take_lead(cursor);
    *event =
        (struct trace_event){.thread = cursor->thread, .id = TRACE_NO_ID, .old_id = TRACE_NO_ID};
    if (cursor->status == TRACE_OK)
        take[lead >> 6](cursor, event, lead);
    if (cursor->status != TRACE_OK) {
        cursor->at = before;
        return false;
    }
    cursor->done++;
    return true;
}

size_t trace_offset(const struct trace_cursor *cursor)
{
    const struct trace *trace = cursor->trace;

    return trace->file_bytes - (size_t)(trace->end - cursor->at);
}

/* What is alive while trace_verify() walks. sizes[id] is the size plus 1, or 0 for the dead. */
struct census {
    uint64_t *sizes;
    uint64_t live_bytes, peak_bytes;
    uint64_t live_objs, peak_objs;
};

static bool census_death(struct census *census, uint32_t id)
{
    if (census->sizes[id] == 0)
        return false;
    census->live_bytes -= census->sizes[id] - 1;
    census->live_objs--;
    census->sizes[id] = 0;
    return true;
}

static void census_birth(struct census *census, uint32_t id, uint64_t bytes)
{
    census->sizes[id] = bytes + 1;
    census->live_bytes += bytes;
    census->live_objs++;
    if (census->live_bytes > census->peak_bytes)
        census->peak_bytes = census->live_bytes;
    if (census->live_objs > census->peak_objs)
        census->peak_objs = census->live_objs;
}

enum trace_status trace_verify(struct trace *trace, uint64_t *sizes, size_t count)
{
    struct census census = {.sizes = sizes};
    struct trace_cursor cursor;
    struct trace_event event;
    size_t offset;

    if (count < trace->births)
        return fail(trace, 0, TRACE_NO_MEMORY);
    trace_start(&cursor, trace);
    for (offset = trace_offset(&cursor); trace_next(&cursor, &event);
         offset = trace_offset(&cursor)) {
        if (event.old_id != TRACE_NO_ID && !census_death(&census, event.old_id))
            return fail(trace, offset, TRACE_DOUBLE_DEATH);
        if (event.id != TRACE_NO_ID)
            census_birth(&census, event.id, event.bytes);
    }
    if (cursor.status != TRACE_OK)
        return fail(trace, offset, cursor.status);
    if (census.peak_bytes != trace->peak_live_bytes)
        return fail(trace, AT_PEAK_LIVE_BYTES, TRACE_BAD_PEAK);
    if (census.peak_objs != trace->peak_live_objs)
        return fail(trace, AT_PEAK_LIVE_OBJS, TRACE_BAD_PEAK);
    return TRACE_OK;
}

const char *trace_status_text(enum trace_status status)
{
    static const char *const text[] = {
        [TRACE_OK] = "no error",
        [TRACE_TOO_SHORT] = "the file ends too early",
        [TRACE_BAD_MAGIC] = "not a trace: it does not begin with BHTRACE",
        [TRACE_BAD_VERSION] = "a version of the format that this decoder does not know",
        [TRACE_BAD_HEADER] = "the header contradicts itself",
        [TRACE_BAD_CHECKSUM] = "the checksum is wrong: the file was changed or cut",
        [TRACE_BAD_OPERATION] = "an operation that is not defined",
        [TRACE_BAD_NUMBER] = "a number is too long or cut off",
        [TRACE_BAD_THREAD] = "a thread that the header does not count",
        [TRACE_BAD_ID] = "an object id outside the births so far",
        [TRACE_BAD_ALIGNMENT] = "an alignment over 2^47",
        [TRACE_BAD_COUNT] = "the header's counts are not those of the events",
        [TRACE_DOUBLE_DEATH] = "an object dies twice",
        [TRACE_BAD_PEAK] = "the header's peaks are not those of the events",
        [TRACE_NO_MEMORY] = "the memory lent is smaller than a word per birth",
    };

    if ((size_t)status >= sizeof(text) / sizeof(text[0]))
        return "an unknown status";
    return text[status];
}
