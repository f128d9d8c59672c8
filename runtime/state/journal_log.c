#include "runtime/state/journal-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"

#define COPY_ENTRIES   32    /* moved in one step of reclaiming, so that appends wait little */
#define RESET_EVERY_MS 10000 /* an empty journal gets a new file at most so often */
#define RETRY_MS       1000  /* after a full disk */

/* --- entries ---------------------------------------------------------------------------------- */

/* Event ids are random and ours; eight of their bytes tell them apart. */
static uint64_t entry_key(const struct sp_id *event)
{
    uint64_t key;

    memcpy(&key, event->bytes, sizeof(key));
    return key;
}

static struct journal_entry *find(const struct journal_log *log, const struct sp_id *event)
{
    struct journal_entry *entry = sp_map_get_u64(&log->entries, entry_key(event));

    return entry && memcmp(&entry->event, event, sizeof(*event)) == 0 ? entry : NULL;
}

static uint64_t file_bytes(const struct journal_place *place)
{
    return place->file ? place->payload_len : 0;
}

/* Takes a place into the sums, or out of them. */
static void count_place(struct journal_log *log, const struct journal_place *place, bool in)
{
    uint64_t files = file_bytes(place);
    uint64_t all = place->size + files;

    if (!place->segment)
        return;
    log->live_bytes += in ? all : -all;
    log->live_file_bytes += in ? files : -files;
}

static struct journal_place place_of(const struct journal_record *record,
                                     struct journal_segment *segment, uint64_t offset)
{
    return (struct journal_place){
        .segment = segment,
        .offset = offset,
        .size = (uint32_t)journal_record_size(record),
        .payload_len = record->payload_len,
        .file = record->file,
        .payload_crc = record->payload_crc,
    };
}

/* A new place for the same record, or another record in the place of the old. */
static void set_place(struct journal_log *log, struct journal_place *place,
                      struct journal_place with)
{
    count_place(log, place, false);
    if (place->file != with.file)
        journal_payload_unlink(log->dir_fd, place->file);
    *place = with;
    count_place(log, place, true);
}

void journal_log_forget(struct journal_log *log, struct journal_entry *entry)
{
    count_place(log, &entry->accepted, false);
    count_place(log, &entry->done, false);
    journal_payload_unlink(log->dir_fd, entry->accepted.file);
    journal_payload_unlink(log->dir_fd, entry->done.file);
    sp_list_remove(&entry->node);
    (void)sp_map_remove_u64(&log->entries, entry_key(&entry->event));
    free(entry);
}

static void apply_accepted(struct journal_log *log, const struct journal_record *record,
                           struct journal_segment *segment, uint64_t offset)
{
    struct journal_entry *entry = find(log, &record->event);

    if (!entry && sp_map_get_u64(&log->entries, entry_key(&record->event))) {
        /* Eight random bytes do not meet by chance: the file was tampered with. */
        sp_log(SP_LOG_ERROR, "journal.same_id", "space=%llu", (unsigned long long)record->space);
        journal_payload_unlink(log->dir_fd, record->file);
        return;
    }
    if (!entry) {
        entry = sp_new0(struct journal_entry);
        sp_list_init(&entry->node);
        entry->event = record->event;
        entry->space = record->space;
        entry->order = record->order;
        entry->accepted_ms = record->wall_ms;
        (void)sp_map_put_u64(&log->entries, entry_key(&entry->event), entry);
    }
    set_place(log, &entry->accepted, place_of(record, segment, offset));
    sp_list_remove(&entry->node); /* a copy: from now on it keeps that segment alive */
    sp_list_append(&segment->entries, &entry->node);
}

void journal_log_apply(struct journal_log *log, const struct journal_record *record,
                       struct journal_segment *segment, uint64_t offset)
{
    struct journal_entry *entry;

    if (record->type == SP_JOURNAL_ACCEPTED) {
        apply_accepted(log, record, segment, offset);
        return;
    }
    entry = find(log, &record->event);
    if (!entry) { /* forgotten already: nothing of it is kept */
        journal_payload_unlink(log->dir_fd, record->file);
        return;
    }
    switch (record->type) {
    case SP_JOURNAL_DISPATCHED: entry->dispatched = true; break;
    case SP_JOURNAL_DONE:
        entry->done_ms = record->wall_ms;
        set_place(log, &entry->done, place_of(record, segment, offset));
        break;
    case SP_JOURNAL_FORGET: journal_log_forget(log, entry); break;
    case SP_JOURNAL_ACCEPTED: break;
    }
}

/* --- segments --------------------------------------------------------------------------------- */

void journal_log_add_segment(struct journal_log *log, struct journal_segment *segment)
{
    sp_list_append(&log->segments, &segment->node);
    log->active = segment;
    log->disk_bytes += segment->size;
    log->n_segments++;
}

int journal_log_sync(struct journal_log *log)
{
    uint64_t began = sp_clock_mono_ns();

    if (!log->unsynced)
        return 0;
    if (sp_fault("journal.sync") || fdatasync(log->active->fd) < 0) {
        /* The kernel may have dropped the pages: a second try would say yes and be wrong. */
        log->failed = true;
        return -EIO;
    }
    log->unsynced = false;
    log->syncs++;
    log->sync_ns += sp_clock_mono_ns() - began;
    return 0;
}

int journal_log_rotate(struct journal_log *log, struct sp_error *err)
{
    struct journal_segment *segment = NULL;
    int r = 0;

    /* Never a newer record on the disk without the older ones. */
    if (log->active && (r = journal_log_sync(log)) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, r, "sync the journal");
    r = journal_segment_create(log->dir_fd, log->active ? log->active->number + 1 : 1,
                               log->next_seq, &segment, err);
    if (r == 0)
        journal_log_add_segment(log, segment);
    return r;
}

/* --- appending -------------------------------------------------------------------------------- */

/* Writes records whose payloads are inline or files already, and takes note of them. */
static int write_records(struct journal_log *log, struct journal_record **records, size_t n)
{
    SP_AUTO_FREE uint8_t *heads = sp_alloc0(n, JOURNAL_RECORD_HEAD);
    SP_AUTO_FREE struct iovec *vecs = sp_new0n(struct iovec, 3 * n);
    struct journal_segment *segment;
    uint64_t offset;
    int r;

    if (log->active->size >= log->segment_bytes && (r = journal_log_rotate(log, NULL)) < 0)
        return r;
    segment = log->active;
    offset = segment->size;
    for (size_t i = 0; i < n; i++) {
        struct journal_record *record = records[i];
        uint8_t *head = heads + i * JOURNAL_RECORD_HEAD;

        record->seq = log->next_seq + i;
        if (record->order == 0)
            record->order = record->seq;
        journal_record_head(record, head);
        vecs[3 * i] = (struct iovec){head, JOURNAL_RECORD_HEAD};
        vecs[3 * i + 1] = (struct iovec){(char *)record->meta.ptr, record->meta.len};
        vecs[3 * i + 2] =
            (struct iovec){(char *)record->payload.ptr, record->file ? 0 : record->payload.len};
    }
    if ((r = journal_segment_write(segment, vecs, 3 * n)) < 0) {
        log->failed |= r == -EIO;
        return r;
    }
    log->unsynced = true;
    log->next_seq += n;
    log->disk_bytes += segment->size - offset;
    for (size_t i = 0; i < n; i++) {
        journal_log_apply(log, records[i], segment, offset);
        offset += journal_record_size(records[i]);
    }
    return 0;
}

static int write_files(struct journal_log *log, struct journal_record **records, size_t n,
                       bool sync)
{
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        struct journal_record *record = records[i];
        int r;

        record->order = 0;
        record->file = 0;
        record->payload_len = (uint32_t)record->payload.len;
        record->payload_crc = 0;
        if (record->payload.len <= JOURNAL_INLINE_MAX)
            continue;
        record->payload_crc = journal_crc32c(0, record->payload.ptr, record->payload.len);
        r = journal_payload_write(log->dir_fd, log->next_file, record->payload, sync);
        if (r < 0)
            return r;
        record->file = log->next_file++;
        any = true;
    }
    return any && sync && fsync(log->dir_fd) < 0 ? -errno : 0;
}

/* Files first, then the records that name them: all or nothing. */
static int append_once(struct journal_log *log, struct journal_record **records, size_t n,
                       bool sync)
{
    int r;

    for (size_t i = 0; i < n; i++)
        records[i]->file = 0;
    r = write_files(log, records, n, sync);
    if (r == 0)
        r = write_records(log, records, n);
    for (size_t i = 0; r < 0 && i < n; i++)
        journal_payload_unlink(log->dir_fd, records[i]->file);
    return r;
}

static bool accepts_any(struct journal_record **records, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (records[i]->type == SP_JOURNAL_ACCEPTED)
            return true;
    return false;
}

int journal_log_append(struct journal_log *log, struct journal_record **records, size_t n,
                       bool sync)
{
    int r;

    if (log->failed)
        return -EIO;
    r = append_once(log, records, n, sync);
    /* A full disk refuses new requests, but what was admitted must be able to end. */
    if ((r == -ENOSPC || r == -EDQUOT) && log->reserved && !accepts_any(records, n)) {
        journal_reserve_release(log->dir_fd);
        log->reserved = false;
        r = append_once(log, records, n, sync);
    }
    return r;
}

/* --- reclaiming ------------------------------------------------------------------------------- */

static struct journal_segment *oldest(const struct journal_log *log)
{
    return SP_CONTAINER(log->segments.next, struct journal_segment, node);
}

/*
 * Writes what is known of a request once more, at the end. A crash in between is harmless: the old
 * records are there until the new ones are synced, and reading both gives the same.
 */
static int copy_entry(struct journal_log *log, struct journal_entry *entry)
{
    SP_AUTO_FREE uint8_t *accepted_bytes = NULL;
    SP_AUTO_FREE uint8_t *done_bytes = NULL;
    struct journal_record records[3];
    struct journal_record *list[3] = {&records[0], &records[1], &records[2]};
    size_t n = 0;
    int r;

    r = journal_segment_read(entry->accepted.segment, entry->accepted.offset, entry->accepted.size,
                             &accepted_bytes, &records[n++], NULL);
    if (r == 0 && entry->dispatched)
        records[n++] = (struct journal_record){.type = SP_JOURNAL_DISPATCHED,
                                               .event = entry->event,
                                               .space = entry->space,
                                               .wall_ms = entry->accepted_ms};
    if (r == 0 && entry->done.segment)
        r = journal_segment_read(entry->done.segment, entry->done.offset, entry->done.size,
                                 &done_bytes, &records[n++], NULL);
    if (r < 0) {
        sp_log(SP_LOG_ERROR, "journal.entry_lost", "space=%llu err=\"a record cannot be read\"",
               (unsigned long long)entry->space);
        journal_log_forget(log, entry);
        return 0;
    }
    return write_records(log, list, n);
}

static int copy_some(struct journal_log *log, struct journal_segment *segment)
{
    size_t left = COPY_ENTRIES;
    int r = 0;

    SP_LIST_EACH (entry, &segment->entries, struct journal_entry, node) {
        if (left-- == 0 || (r = copy_entry(log, entry)) < 0)
            break;
    }
    return r;
}

static int drop_oldest(struct journal_log *log)
{
    struct journal_segment *segment = oldest(log);
    int r;

    /* What was copied out of it must be safe first. */
    if ((r = journal_log_sync(log)) < 0)
        return r;
    journal_segment_unlink(log->dir_fd, segment->number);
    log->disk_bytes -= segment->size;
    log->n_segments--;
    journal_segment_close(segment);
    return 0;
}

/* One that lives long must not keep everything that came after it. */
static bool worth_copying(const struct journal_log *log)
{
    uint64_t live = log->live_bytes - log->live_file_bytes;

    return oldest(log) != log->active && log->disk_bytes > 2 * live + 2 * log->segment_bytes;
}

/* Nothing is live: what the last segment still holds of people's data goes with it. */
static uint64_t reset_empty(struct journal_log *log)
{
    uint64_t now = sp_clock_mono_ms();

    if (log->entries.count > 0 || log->active->size == JOURNAL_SEGMENT_HEAD)
        return UINT64_MAX;
    if (log->last_reset_ms && now < log->last_reset_ms + RESET_EVERY_MS)
        return log->last_reset_ms + RESET_EVERY_MS - now;
    log->last_reset_ms = now;
    return journal_log_rotate(log, NULL) < 0 ? RETRY_MS : 0;
}

uint64_t journal_log_reclaim(struct journal_log *log, bool idle)
{
    struct journal_segment *first = oldest(log);

    if (log->failed)
        return UINT64_MAX;
    if (first != log->active && sp_list_empty(&first->entries))
        return drop_oldest(log) < 0 ? RETRY_MS : 0;
    if (worth_copying(log))
        return copy_some(log, first) < 0 ? RETRY_MS : 0;
    if (!idle)
        return UINT64_MAX;
    if (!log->reserved && !(log->reserved = journal_reserve_make(log->dir_fd)))
        return RETRY_MS;
    return reset_empty(log);
}

/* --- the end ---------------------------------------------------------------------------------- */

void journal_log_close(struct journal_log *log)
{
    struct journal_entry *entry;
    size_t cursor = 0;

    if (!log)
        return;
    while ((entry = sp_map_next(&log->entries, &cursor, NULL)))
        free(entry);
    sp_map_done(&log->entries);
    SP_LIST_EACH (segment, &log->segments, struct journal_segment, node) {
        journal_segment_close(segment);
    }
    sp_auto_fd(&log->dir_fd);
    free(log);
}
