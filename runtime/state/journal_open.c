/*
 * Reading the journal back. The last segment may end in the middle of a record: that tail was never
 * reported safe and is cut. Damage anywhere else stops the reading there, loudly; what is before it
 * is kept, what is after it is set aside in *.bad for a person to look at.
 */
#include "runtime/state/journal-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"

#define WINDOW          ((size_t)1 << 20) /* read at a time; holds at least one whole record */
#define BAD_KEPT_SECS   (7 * 86400)       /* what was set aside is personal data too */
#define SEGMENT_DEFAULT ((uint64_t)16 << 20)

struct listing {
    uint64_t *segments;
    size_t n_segments;
    uint64_t *payloads;
    size_t n_payloads;
};

static void listing_done(struct listing *listing)
{
    free(listing->segments);
    free(listing->payloads);
}
#define AUTO_LISTING __attribute__((cleanup(listing_done)))

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static void sort_numbers(uint64_t *list, size_t n)
{
    if (n > 1) /* qsort wants a real pointer even for nothing */
        qsort(list, n, sizeof(*list), by_number);
}

static void listing_add(uint64_t **list, size_t *n, uint64_t number)
{
    if ((*n & (*n - 1)) == 0)
        *list = sp_realloc(*list, *n ? 2 * *n : 1, sizeof(**list));
    (*list)[(*n)++] = number;
}

static void drop_old_bad(int dir_fd, const char *name)
{
    size_t len = strlen(name);
    struct stat st;

    if (len > 4 && strcmp(name + len - 4, ".bad") == 0 &&
        fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_mtime + BAD_KEPT_SECS < sp_clock_wall_ms() / 1000)
        (void)unlinkat(dir_fd, name, 0);
}

static int list_folder(int dir_fd, struct listing *ret, struct sp_error *err)
{
    int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;

    if (!dir) {
        sp_auto_fd(&copy);
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "list the journal's folder");
    }
    while ((entry = readdir(dir))) {
        uint64_t number = 0;

        switch (journal_name_parse(entry->d_name, &number)) {
        case JOURNAL_NAME_SEGMENT: listing_add(&ret->segments, &ret->n_segments, number); break;
        case JOURNAL_NAME_PAYLOAD: listing_add(&ret->payloads, &ret->n_payloads, number); break;
        case JOURNAL_NAME_OTHER: drop_old_bad(dir_fd, entry->d_name); break;
        }
    }
    (void)closedir(dir);
    sort_numbers(ret->segments, ret->n_segments);
    sort_numbers(ret->payloads, ret->n_payloads);
    return 0;
}

/* --- one segment ------------------------------------------------------------------------------ */

/* Is there any whole record in what follows the first one that could not be read? */
static bool record_follows(const uint8_t *bytes, size_t len)
{
    struct journal_record record;

    for (size_t at = 1; at + JOURNAL_RECORD_HEAD <= len; at++)
        if (journal_record_parse(bytes + at, len - at, &record) == JOURNAL_WHOLE)
            return true;
    return false;
}

/* Reads up to `size` bytes at `offset`; fewer only at the end of the file. */
static ssize_t read_window(int fd, uint8_t *window, size_t size, uint64_t offset)
{
    size_t len = 0;

    while (len < size) {
        ssize_t n = pread(fd, window + len, size - len, (off_t)(offset + len));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

enum scan_end { SCAN_WHOLE, SCAN_TORN, SCAN_DAMAGED };

/* Takes note of all records; segment->size ends up behind the last good one. */
static int scan_segment(struct journal_log *log, struct journal_segment *segment, uint8_t *window,
                        enum scan_end *ret, struct sp_error *err)
{
    for (;;) {
        ssize_t len = read_window(segment->fd, window, WINDOW, segment->size);
        size_t at = 0;
        enum journal_parsed parsed = JOURNAL_SHORT;
        struct journal_record record;

        if (len < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, (int)len, "read the journal");
        while ((parsed = journal_record_parse(window + at, (size_t)len - at, &record)) ==
                   JOURNAL_WHOLE &&
               record.seq == log->next_seq) {
            journal_log_apply(log, &record, segment, segment->size);
            at += journal_record_size(&record);
            segment->size += journal_record_size(&record);
            log->next_seq++;
        }
        if (parsed == JOURNAL_SHORT && (size_t)len == WINDOW && at > 0)
            continue; /* the window cut it */
        *ret = at == (size_t)len ? SCAN_WHOLE
               : parsed == JOURNAL_WHOLE || /* the wrong number: something is missing before it */
                       record_follows(window + at, (size_t)len - at)
                   ? SCAN_DAMAGED
                   : SCAN_TORN;
        return 0;
    }
}

/* --- damage ----------------------------------------------------------------------------------- */

static void set_aside_segment(int dir_fd, uint64_t number)
{
    char name[JOURNAL_NAME_SIZE];
    char bad[JOURNAL_NAME_SIZE + 4];

    journal_segment_name(number, name);
    (void)snprintf(bad, sizeof(bad), "%s.bad", name);
    (void)renameat(dir_fd, name, dir_fd, bad);
}

/* Copies what cannot be read into a file of its own before it is cut off. */
static void set_aside_tail(struct journal_log *log, struct journal_segment *segment,
                           uint8_t *window)
{
    char name[JOURNAL_NAME_SIZE];
    char bad[JOURNAL_NAME_SIZE + 4];
    SP_AUTO_FD int fd = -1;
    uint64_t offset = segment->size;
    ssize_t n;

    journal_segment_name(segment->number, name);
    (void)snprintf(bad, sizeof(bad), "%s.bad", name);
    fd = openat(log->dir_fd, bad, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    while (fd >= 0 && (n = read_window(segment->fd, window, WINDOW, offset)) > 0 &&
           sp_write_all(fd, window, (size_t)n) == 0)
        offset += (uint64_t)n;
}

static int cut(struct journal_log *log, struct journal_segment *segment, enum scan_end end,
               uint8_t *window, struct sp_error *err)
{
    struct stat st;

    if (fstat(segment->fd, &st) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "read the journal");
    if (end == SCAN_DAMAGED) {
        set_aside_tail(log, segment, window);
        sp_log(SP_LOG_ERROR, "journal.damaged",
               "segment=%llu offset=%llu bytes=%llu note=\"requests recorded after this place are "
               "lost; the bytes are kept in *.bad\"",
               (unsigned long long)segment->number, (unsigned long long)segment->size,
               (unsigned long long)st.st_size - segment->size);
    } else {
        sp_log(SP_LOG_WARN, "journal.tail_cut", "segment=%llu offset=%llu bytes=%llu",
               (unsigned long long)segment->number, (unsigned long long)segment->size,
               (unsigned long long)st.st_size - segment->size);
    }
    if (ftruncate(segment->fd, (off_t)segment->size) < 0 || fdatasync(segment->fd) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "cut the journal's tail");
    return 0;
}

/* --- all segments ----------------------------------------------------------------------------- */

/* Opens the next segment; NULL when its head is not what must come here. */
static int open_next(struct journal_log *log, uint64_t number, struct journal_segment **ret,
                     struct sp_error *err)
{
    struct sp_error own = {0};
    uint64_t first_seq = 0;
    int r = journal_segment_open(log->dir_fd, number, &first_seq, ret, &own);

    if (r < 0 && own.kind != SP_ERR_INVALID) {
        if (err)
            *err = own;
        return r;
    }
    if (r == 0 && log->active &&
        (number != log->active->number + 1 || first_seq != log->next_seq)) {
        journal_segment_close(*ret);
        *ret = NULL;
    }
    if (r == 0 && *ret && !log->active)
        log->next_seq = first_seq;
    return 0;
}

/* `at` and everything after it cannot follow what has been read. */
static void set_aside_from(struct journal_log *log, const struct listing *listing, size_t at)
{
    struct stat st;
    char name[JOURNAL_NAME_SIZE];

    journal_segment_name(listing->segments[at], name);
    /* Created and never written to: the crash came in between, and nothing is lost. */
    if (at + 1 == listing->n_segments && fstatat(log->dir_fd, name, &st, 0) == 0 &&
        st.st_size < JOURNAL_SEGMENT_HEAD) {
        journal_segment_unlink(log->dir_fd, listing->segments[at]);
        return;
    }
    sp_log(SP_LOG_ERROR, "journal.damaged",
           "segment=%llu note=\"it and all after it are set aside as *.bad\"",
           (unsigned long long)listing->segments[at]);
    for (; at < listing->n_segments; at++)
        set_aside_segment(log->dir_fd, listing->segments[at]);
}

static int scan_all(struct journal_log *log, const struct listing *listing, uint8_t *window,
                    struct sp_error *err)
{
    for (size_t i = 0; i < listing->n_segments; i++) {
        struct journal_segment *segment = NULL;
        enum scan_end end = SCAN_WHOLE;
        int r = open_next(log, listing->segments[i], &segment, err);

        if (r < 0)
            return r;
        if (!segment) {
            set_aside_from(log, listing, i);
            return 0;
        }
        journal_log_add_segment(log, segment);
        log->disk_bytes -= segment->size;
        r = scan_segment(log, segment, window, &end, err);
        log->disk_bytes += segment->size;
        if (r < 0)
            return r;
        if (end == SCAN_WHOLE)
            continue;
        /* A segment that others follow was synced whole, so it cannot be torn. */
        if (i + 1 < listing->n_segments)
            end = SCAN_DAMAGED;
        if ((r = cut(log, segment, end, window, err)) < 0)
            return r;
        if (i + 1 < listing->n_segments)
            set_aside_from(log, listing, i + 1);
        return 0;
    }
    return 0;
}

static void forget_expired(struct journal_log *log, uint64_t ttl_ms)
{
    int64_t now = sp_clock_wall_ms();
    struct journal_entry *entry;
    size_t cursor = 0;

    while ((entry = sp_map_next(&log->entries, &cursor, NULL)))
        if (entry->done.segment && now - entry->done_ms > (int64_t)ttl_ms)
            journal_log_forget(log, entry);
}

/* Files that no live record names: their record was never written, or was forgotten. */
static void drop_unused_payloads(struct journal_log *log, const struct listing *listing)
{
    struct sp_map used;
    struct journal_entry *entry;
    size_t cursor = 0;

    sp_map_init(&used);
    while ((entry = sp_map_next(&log->entries, &cursor, NULL))) {
        if (entry->accepted.file)
            (void)sp_map_put_u64(&used, entry->accepted.file, entry);
        if (entry->done.file)
            (void)sp_map_put_u64(&used, entry->done.file, entry);
    }
    for (size_t i = 0; i < listing->n_payloads; i++) {
        if (!sp_map_get_u64(&used, listing->payloads[i]))
            journal_payload_unlink(log->dir_fd, listing->payloads[i]);
        if (listing->payloads[i] >= log->next_file)
            log->next_file = listing->payloads[i] + 1;
    }
    sp_map_done(&used);
}

static int open_folder(const char *dir, int *ret_fd, struct sp_error *err)
{
    SP_AUTO_FD int fd = -1;
    int r = sp_mkdir_p(AT_FDCWD, dir, 0700, err);

    if (r < 0)
        return r;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "open '%s'", dir);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return sp_error_set(err, SP_ERR_CONFLICT, errno == EWOULDBLOCK ? -EBUSY : -errno,
                            "open the journal in '%s': another spacesd uses it", dir);
    *ret_fd = SP_TAKE_FD(fd);
    return 0;
}

int journal_log_open(const struct sp_journal_options *options, struct journal_log **ret,
                     struct sp_error *err)
{
    SP_AUTO_FREE uint8_t *window = sp_alloc0(1, WINDOW);
    struct journal_log *log = sp_new0(struct journal_log);
    AUTO_LISTING struct listing listing = {0};
    int r;

    log->dir_fd = -1;
    log->segment_bytes = options->segment_bytes ? options->segment_bytes : SEGMENT_DEFAULT;
    log->next_seq = log->next_file = 1;
    sp_list_init(&log->segments);
    sp_map_init(&log->entries);
    if ((r = open_folder(options->dir, &log->dir_fd, err)) < 0 ||
        (r = list_folder(log->dir_fd, &listing, err)) < 0 ||
        (r = scan_all(log, &listing, window, err)) < 0 ||
        (!log->active && (r = journal_log_rotate(log, err)) < 0)) {
        journal_log_close(log);
        return r;
    }
    log->unsynced = true; /* a killed process may have left what only the page cache holds */
    forget_expired(log, options->result_ttl_ms);
    drop_unused_payloads(log, &listing);
    log->reserved = journal_reserve_make(log->dir_fd);
    *ret = log;
    return 0;
}

/* --- replay ----------------------------------------------------------------------------------- */

/* What `each` is shown of one record, and the memory behind it. */
struct shown {
    uint8_t *bytes;
    char *data;
    struct sp_slice meta;
    struct sp_slice payload;
};

static void shown_done(struct shown *shown)
{
    free(shown->bytes);
    free(shown->data);
}
#define AUTO_SHOWN __attribute__((cleanup(shown_done)))

static int show(struct journal_log *log, const struct journal_place *place, struct shown *ret,
                struct sp_error *err)
{
    struct journal_record record;
    int r =
        journal_segment_read(place->segment, place->offset, place->size, &ret->bytes, &record, err);

    if (r < 0)
        return r;
    ret->meta = record.meta;
    ret->payload = record.payload;
    if (record.file == 0)
        return 0;
    r = journal_payload_read(log->dir_fd, record.file, record.payload_len, record.payload_crc,
                             &ret->data, err);
    ret->payload = sp_slice(ret->data, r == 0 ? record.payload_len : 0);
    return r;
}

static void replay_one(struct journal_log *log, const struct journal_entry *entry,
                       void (*each)(void *arg, const struct sp_journal_entry *entry), void *arg)
{
    struct sp_journal_entry told = {
        .event = entry->event,
        .space = entry->space,
        .accepted_ms = entry->accepted_ms,
        .dispatched = entry->dispatched,
        .done = entry->done.segment != NULL,
        .done_ms = entry->done_ms,
    };
    AUTO_SHOWN struct shown accepted = {0};
    AUTO_SHOWN struct shown done = {0};
    struct sp_error err = {0};
    int r = show(log, &entry->accepted, &accepted, &err);

    if (r == 0 && told.done && (r = show(log, &entry->done, &done, &err)) < 0)
        told.done = false;
    if (r < 0) {
        /* Without its payload it cannot run, without its result it cannot be answered: it is lost.
         */
        told.dispatched = true;
        sp_log(SP_LOG_ERROR, "journal.payload_lost", "space=%llu err=%s",
               (unsigned long long)entry->space, sp_log_quoted(err.msg));
    }
    told.accepted_meta = accepted.meta;
    told.accepted_payload = accepted.payload;
    told.done_meta = told.done ? done.meta : (struct sp_slice){0};
    told.done_payload = told.done ? done.payload : (struct sp_slice){0};
    each(arg, &told);
}

static int by_order(const void *a, const void *b)
{
    uint64_t left = (*(const struct journal_entry *const *)a)->order;
    uint64_t right = (*(const struct journal_entry *const *)b)->order;

    return left < right ? -1 : left > right;
}

int journal_log_replay(struct journal_log *log,
                       void (*each)(void *arg, const struct sp_journal_entry *entry), void *arg,
                       struct sp_error *err)
{
    size_t n = log->entries.count;
    SP_AUTO_FREE const struct journal_entry **list = calloc(n + 1, sizeof(*list));
    size_t cursor = 0;

    if (!list)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOMEM, "read the journal");
    for (size_t i = 0; i < n; i++)
        list[i] = sp_map_next(&log->entries, &cursor, NULL);
    qsort(list, n, sizeof(*list), by_order);
    for (size_t i = 0; i < n; i++)
        replay_one(log, list[i], each, arg);
    return 0;
}
