/* SPDX-License-Identifier: MIT */
/*
 * librecord.so: preloaded into a Linux program, it logs every call of the malloc family.
 *
 * 1. The functions here come before the program's allocator (LD_PRELOAD) and call it: glibc's, or
 *    jemalloc where a program is linked with it. The first call looks the five of them up;
 *    what the lookup itself allocates comes from a small static arena and is never given back.
 *    C++'s operators come through malloc.
 * 2. The first call opens the log too: $BH_RECORD names it, process id and a number are appended,
 *    since a process that execs is recorded anew. Without $BH_RECORD nothing is recorded.
 * 3. A record is one atomic add and 24 bytes written to the mapped log (rawlog.h): no lock, no
 *    system call, no allocation, so it is safe in signal handlers and while threads start and end.
 * 4. The pointer to the log lies in a page that the kernel clears in a forked child, whichever
 *    call forked it. The child stops recording, or with BH_RECORD_FORKS=1 opens a log of its
 *    own. A child of vfork shares its parent's heap and log until it execs, as it should.
 *
 * Locks: none. Not here: turning the log into a trace (tools/trace-convert), choosing among the
 * logs of several processes (tools/record).
 */
#include "tools/recorder/rawlog.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT          __attribute__((visibility("default")))
#define PAGE_BYTES      4096
#define DEFAULT_RECORDS (1ULL << 27)
#define MAX_LOGS        1000 /* of one process id, by exec */
#define ARENA_BYTES     16384
#define ARENA_ALIGN     16

/* The allocator behind us. Complete once `malloc`, which is stored last, is not NULL. */
struct allocator {
    void *(*malloc)(size_t bytes);
    void *(*calloc)(size_t count, size_t bytes);
    void *(*realloc)(void *object, size_t bytes);
    int (*posix_memalign)(void **object, size_t align, size_t bytes);
    void (*free)(void *object);
};

/* The life of the recorder in one process. */
enum phase { PHASE_NEW = 0, PHASE_STARTING, PHASE_ON, PHASE_OFF };

/* Kept in a page of its own, which a forked child finds full of zeros. */
struct fork_page {
    struct rawlog_header *log;
};

static struct allocator real;
static bool looking_up;
static char arena[ARENA_BYTES] __attribute__((aligned(ARENA_ALIGN)));
static size_t arena_used;
static enum phase phase;
static struct fork_page *fork_page;
static uint32_t next_thread;
static __thread uint32_t thread_plus_1 __attribute__((tls_model("initial-exec")));

/* Tells the user, who has no other way to know, and carries on without recording. */
static void complain(const char *path, const char *what)
{
    char line[PAGE_BYTES + 256];
    int bytes = snprintf(line, sizeof(line),
                         "librecord: %s: cannot %s: error %d; this process is not recorded\n", path,
                         what, errno);

    if (bytes > 0 && write(STDERR_FILENO, line, (size_t)bytes) < 0)
        return;
}

/* The next definition of `name` after ours. A program always has one: glibc's. */
static void *next_definition(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    if (function == NULL) {
        complain(name, "find the program's own");
        abort();
    }
    return function;
}

/*
 * Looks the allocator up, before the program has a second thread: its start allocates. Release:
 * pairs with the acquire in real_is_ready().
 */
static void look_up(void)
{
    void *first = next_definition("malloc");

    real.calloc = (void *(*)(size_t, size_t))next_definition("calloc");
    real.realloc = (void *(*)(void *, size_t))next_definition("realloc");
    real.posix_memalign = (int (*)(void **, size_t, size_t))next_definition("posix_memalign");
    real.free = (void (*)(void *))next_definition("free");
    __atomic_store_n(&real.malloc, (void *(*)(size_t))first, __ATOMIC_RELEASE);
}

/* False only inside the lookup. */
static bool real_is_ready(void)
{
    if (__atomic_load_n(&real.malloc, __ATOMIC_ACQUIRE) != NULL)
        return true;
    if (looking_up)
        return false;
    looking_up = true;
    look_up();
    looking_up = false;
    return true;
}

/* Zeroed memory for the lookup; NULL when it asks for more than any C library does. */
static void *arena_alloc(size_t bytes)
{
    void *object = arena + arena_used;

    if (bytes > ARENA_BYTES - arena_used - ARENA_ALIGN)
        return NULL;
    arena_used += (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    return object;
}

static bool in_arena(const void *object)
{
    return (const char *)object >= arena && (const char *)object < arena + ARENA_BYTES;
}

/* A number from the environment, or `otherwise`. */
static uint64_t env_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL && *text != 0 ? strtoull(text, NULL, 10) : otherwise;
}

/* Makes a log file that did not exist: "$BH_RECORD.<pid>.<n>". -1 when there is none to be had. */
static int create_file(const char *stem, char *path, size_t path_bytes)
{
    for (int n = 0; n < MAX_LOGS; n++) {
        int file;

        snprintf(path, path_bytes, "%s.%d.%d", stem, (int)getpid(), n);
        file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (file >= 0 || errno != EEXIST)
            return file;
    }
    return -1;
}

/* Maps room for `records` records. The file is sparse: room not written to takes no disk. */
static struct rawlog_header *map_file(int file, const char *path, uint64_t records)
{
    size_t bytes = RAWLOG_HEADER_BYTES + (size_t)records * sizeof(struct rawlog_record);
    struct rawlog_header *log;

    if (ftruncate(file, (off_t)bytes) != 0) {
        complain(path, "make the log that long (BH_RECORD_MAX sets its records)");
        return NULL;
    }
    log = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (log == MAP_FAILED) {
        complain(path, "map the log (BH_RECORD_MAX sets its records)");
        return NULL;
    }
    log->capacity = records;
    return log;
}

/* Who this is, for the note in the trace. */
static void describe_process(struct rawlog_header *log, bool forked)
{
    int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t bytes = file < 0 ? 0 : read(file, log->command, RAWLOG_COMMAND_MAX);

    if (file >= 0)
        close(file);
    log->command_bytes = bytes > 0 ? (uint64_t)bytes : 0;
    log->pid = (uint32_t)getpid();
    log->forked = forked;
    log->magic = RAWLOG_MAGIC;
}

static struct rawlog_header *open_log(bool forked)
{
    const char *stem = getenv("BH_RECORD");
    char path[PAGE_BYTES];
    struct rawlog_header *log;
    int file;

    if (stem == NULL || *stem == 0)
        return NULL;
    file = create_file(stem, path, sizeof(path));
    if (file < 0) {
        complain(path, "create the log");
        return NULL;
    }
    log = map_file(file, path, env_number("BH_RECORD_MAX", DEFAULT_RECORDS));
    close(file);
    if (log != NULL)
        describe_process(log, forked);
    return log;
}

/* The page for fork_page, or NULL when the kernel cannot clear a page at fork (before 4.14). */
static struct fork_page *make_fork_page(void)
{
    void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return NULL;
    if (madvise(page, PAGE_BYTES, MADV_WIPEONFORK) != 0) {
        munmap(page, PAGE_BYTES);
        return NULL;
    }
    return page;
}

/*
 * Opens the log, in the one thread that moved the phase from `from` to STARTING. Release: pairs
 * with the acquire in current_log(), so that who sees ON sees the page and the log behind it.
 */
static void start(enum phase from)
{
    int saved_errno = errno;
    struct rawlog_header *log = NULL;

    if (fork_page == NULL)
        fork_page = make_fork_page();
    if (fork_page != NULL)
        log = open_log(from == PHASE_ON);
    if (log != NULL)
        fork_page->log = log;
    errno = saved_errno;
    __atomic_store_n(&phase, log != NULL ? PHASE_ON : PHASE_OFF, __ATOMIC_RELEASE);
}

/* What a call finds when there is no log: the first call, a forked child, or nothing to do. */
static struct rawlog_header *current_log_slow(enum phase seen)
{
    enum phase next = PHASE_STARTING;

    if (seen == PHASE_STARTING || seen == PHASE_OFF || environ == NULL)
        return NULL;
    if (seen == PHASE_ON && env_number("BH_RECORD_FORKS", 0) == 0)
        next = PHASE_OFF;
    if (!__atomic_compare_exchange_n(&phase, &seen, next, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED) ||
        next == PHASE_OFF)
        return NULL;
    start(seen);
    return __atomic_load_n(&phase, __ATOMIC_ACQUIRE) == PHASE_ON ? fork_page->log : NULL;
}

/* The log of this process, or NULL when it is not recorded. Acquire: pairs with start(). */
static struct rawlog_header *current_log(void)
{
    enum phase seen = __atomic_load_n(&phase, __ATOMIC_ACQUIRE);

    if (seen == PHASE_ON && fork_page->log != NULL)
        return fork_page->log;
    return current_log_slow(seen);
}

/* Numbers threads as they appear. Relaxed: only that the numbers differ matters. */
static uint32_t current_thread(void)
{
    if (thread_plus_1 == 0)
        thread_plus_1 = __atomic_add_fetch(&next_thread, 1, __ATOMIC_RELAXED);
    return thread_plus_1 - 1;
}

/*
 * Appends a record. The add is sequentially consistent: when one thread's free of an address comes
 * before another's alloc of the same, the allocator's own order orders the two adds, and so the
 * indices. The release store of op pairs with nothing in this process: the reader comes after its
 * end.
 */
static void append(enum rawlog_op op, const void *object, size_t bytes, unsigned align_shift)
{
    struct rawlog_header *log = current_log();
    struct rawlog_record *record;
    uint64_t index;

    if (log == NULL)
        return;
    index = __atomic_fetch_add(&log->next, 1, __ATOMIC_SEQ_CST);
    if (index >= log->capacity)
        return;
    record = (struct rawlog_record *)((char *)log + RAWLOG_HEADER_BYTES) + index;
    record->address = (uintptr_t)object;
    record->bytes = bytes;
    record->thread = current_thread();
    record->align_shift = (uint8_t)align_shift;
    __atomic_store_n(&record->op, (uint8_t)op, __ATOMIC_RELEASE);
}

static void *log_birth(enum rawlog_op op, void *object, size_t bytes)
{
    if (object != NULL)
        append(op, object, bytes, 0);
    return object;
}

/* memalign with the alignment rounded up to a power of two, as glibc does; errno as it was. */
static int aligned(void **object, size_t align, size_t bytes)
{
    unsigned shift = 0;
    size_t real_align;
    int error;

    if (!real_is_ready())
        return ENOMEM;
    while (shift < 63 && ((size_t)1 << shift) < align)
        shift++;
    real_align = (size_t)1 << shift;
    error = real.posix_memalign(object, real_align < sizeof(void *) ? sizeof(void *) : real_align,
                                bytes);
    if (error == 0)
        append(RAWLOG_ALIGNED, *object, bytes, shift);
    return error;
}

static void *aligned_or_null(size_t align, size_t bytes)
{
    void *object = NULL;
    int error = aligned(&object, align, bytes);

    if (error == 0)
        return object;
    errno = error;
    return NULL;
}

EXPORT void *malloc(size_t bytes)
{
    if (!real_is_ready())
        return arena_alloc(bytes);
    return log_birth(RAWLOG_ALLOC, real.malloc(bytes), bytes);
}

EXPORT void *calloc(size_t count, size_t bytes)
{
    size_t product;

    if (__builtin_mul_overflow(count, bytes, &product)) {
        errno = ENOMEM;
        return NULL;
    }
    if (!real_is_ready())
        return arena_alloc(product);
    return log_birth(RAWLOG_CALLOC, real.calloc(count, bytes), product);
}

EXPORT void free(void *object)
{
    if (object == NULL || in_arena(object) || !real_is_ready())
        return;
    append(RAWLOG_FREE, object, 0, 0);
    real.free(object);
}

/* An object of the arena moves out of it; what lies behind it there is readable and harmless. */
static void *leave_arena(const void *object, size_t bytes)
{
    size_t room = (size_t)(arena + ARENA_BYTES - (const char *)object);
    void *moved = malloc(bytes);

    if (moved != NULL)
        memcpy(moved, object, bytes < room ? bytes : room);
    return moved;
}

/* Two records, since the old address may be another thread's before the real realloc returns. */
EXPORT void *realloc(void *object, size_t bytes)
{
    if (object == NULL)
        return malloc(bytes);
    if (in_arena(object))
        return leave_arena(object, bytes);
    if (!real_is_ready()) {
        errno = ENOMEM;
        return NULL;
    }
    append(RAWLOG_REALLOC_BEGIN, object, 0, 0);
    object = real.realloc(object, bytes);
    append(RAWLOG_REALLOC_END, object, bytes, 0);
    return object;
}

EXPORT void *reallocarray(void *object, size_t count, size_t bytes)
{
    size_t product;

    if (__builtin_mul_overflow(count, bytes, &product)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(object, product);
}

EXPORT int posix_memalign(void **object, size_t align, size_t bytes)
{
    if (align < sizeof(void *) || (align & (align - 1)) != 0)
        return EINVAL;
    return aligned(object, align, bytes);
}

EXPORT void *memalign(size_t align, size_t bytes)
{
    return aligned_or_null(align, bytes);
}

EXPORT void *aligned_alloc(size_t align, size_t bytes)
{
    return aligned_or_null(align, bytes);
}

EXPORT void *valloc(size_t bytes)
{
    return aligned_or_null((size_t)sysconf(_SC_PAGESIZE), bytes);
}

EXPORT void *pvalloc(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (bytes > SIZE_MAX - page) {
        errno = ENOMEM;
        return NULL;
    }
    return aligned_or_null(page, (bytes + page - 1) / page * page);
}
