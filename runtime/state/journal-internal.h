/*
 * runtime/state/journal-internal.h - the parts of the journal, from the bytes up:
 *
 *     journal_record.c    one record <-> bytes, checksum            (pure; fuzzed)
 *     journal_segment.c   files: segments and large payloads
 *     journal_log.c       which requests are live, where, and what can be reclaimed
 *     journal_open.c      reading it all back at start
 *     journal.c           the thread and the callbacks
 *
 * Everything but journal.c is synchronous and used by one thread at a time.
 */
#ifndef SP_RUNTIME_STATE_JOURNAL_INTERNAL_H
#define SP_RUNTIME_STATE_JOURNAL_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "runtime/state/journal.h"

#define JOURNAL_VERSION       1
#define JOURNAL_SEGMENT_HEAD  32
#define JOURNAL_RECORD_HEAD   80
#define JOURNAL_INLINE_MAX    ((size_t)64 * 1024) /* larger payloads are files */
#define JOURNAL_META_MAX      ((size_t)64 * 1024)
#define JOURNAL_PENDING_BYTES ((size_t)64 << 20) /* that wait for the thread */
#define JOURNAL_RECORD_MAX    (JOURNAL_RECORD_HEAD + JOURNAL_META_MAX + JOURNAL_INLINE_MAX)

/* --- records ---------------------------------------------------------------------------------- */

struct journal_record {
    enum sp_journal_type type;
    uint64_t seq;   /* position in the journal: each is one more than the one before */
    uint64_t order; /* of acceptance: the seq of the first ACCEPTED; copies keep it */
    uint64_t space;
    int64_t wall_ms;
    struct sp_id event;
    uint64_t file; /* the number of the payload's file; 0 = inline */
    uint32_t payload_len;
    uint32_t payload_crc; /* of a file's content */
    struct sp_slice meta;
    struct sp_slice payload; /* inline ones only */
};

uint32_t journal_crc32c(uint32_t crc, const void *data, size_t len);

/* Whole bytes of the record: head, meta and inline payload. */
size_t journal_record_size(const struct journal_record *record);
/* Writes the head; the checksum covers meta and inline payload, wherever these lie. */
void journal_record_head(const struct journal_record *record, uint8_t ret[JOURNAL_RECORD_HEAD]);

enum journal_parsed {
    JOURNAL_WHOLE,
    JOURNAL_SHORT, /* what is there may be the beginning of a record */
    JOURNAL_BAD,
};
/* Slices of `*ret` point into `bytes`. */
enum journal_parsed journal_record_parse(const uint8_t *bytes, size_t len,
                                         struct journal_record *ret);

void journal_segment_head(uint64_t number, uint64_t first_seq, uint8_t ret[JOURNAL_SEGMENT_HEAD]);
/* SP_ERR_CONFLICT for a newer version, SP_ERR_INVALID for what is no segment. */
int journal_segment_head_parse(const uint8_t bytes[JOURNAL_SEGMENT_HEAD], uint64_t *ret_number,
                               uint64_t *ret_first_seq, struct sp_error *err);

/* --- files ------------------------------------------------------------------------------------ */

struct journal_segment {
    struct sp_list node;    /* in journal_log.segments, oldest first */
    struct sp_list entries; /* live ones whose ACCEPTED lies here */
    uint64_t number;
    uint64_t size; /* up to the end of the last good record */
    int fd;
};

int journal_segment_create(int dir_fd, uint64_t number, uint64_t first_seq,
                           struct journal_segment **ret, struct sp_error *err);
/* An existing file; its head has been read. */
int journal_segment_open(int dir_fd, uint64_t number, uint64_t *ret_first_seq,
                         struct journal_segment **ret, struct sp_error *err);
void journal_segment_close(struct journal_segment *segment);
void journal_segment_unlink(int dir_fd, uint64_t number);
/* Appends all or nothing. Returns 0 or a negative errno. */
int journal_segment_write(struct journal_segment *segment, struct iovec *vecs, size_t n);
/* Reads the record at `offset` whole; slices of `*ret` point into `*ret_bytes`, which is yours. */
int journal_segment_read(const struct journal_segment *segment, uint64_t offset, size_t size,
                         uint8_t **ret_bytes, struct journal_record *ret, struct sp_error *err);

int journal_payload_write(int dir_fd, uint64_t file, struct sp_slice data, bool sync);
int journal_payload_read(int dir_fd, uint64_t file, size_t len, uint32_t crc, char **ret,
                         struct sp_error *err);
void journal_payload_unlink(int dir_fd, uint64_t file);

/* Space that is given back when the disk is full, so that the ends of requests can be recorded. */
bool journal_reserve_make(int dir_fd);
void journal_reserve_release(int dir_fd);

/* What a name in the folder is. */
enum journal_name { JOURNAL_NAME_OTHER, JOURNAL_NAME_SEGMENT, JOURNAL_NAME_PAYLOAD };
enum journal_name journal_name_parse(const char *name, uint64_t *ret_number);
#define JOURNAL_NAME_SIZE 32
void journal_segment_name(uint64_t number, char ret[JOURNAL_NAME_SIZE]);
void journal_payload_name(uint64_t number, char ret[JOURNAL_NAME_SIZE]);

/* --- what is live ----------------------------------------------------------------------------- */

/* Where a record of a live request lies. */
struct journal_place {
    struct journal_segment *segment; /* NULL: there is none */
    uint64_t offset;
    uint32_t size;
    uint32_t payload_len;
    uint64_t file;
    uint32_t payload_crc;
};

struct journal_entry {
    struct sp_list node; /* in the segment of its ACCEPTED */
    struct sp_id event;
    uint64_t space;
    uint64_t order;
    int64_t accepted_ms;
    int64_t done_ms;
    bool dispatched;
    struct journal_place accepted;
    struct journal_place done;
};

struct journal_log {
    int dir_fd;
    uint64_t segment_bytes;
    uint64_t next_seq;
    uint64_t next_file;
    struct sp_list segments;
    struct journal_segment *active; /* the last of them */
    struct sp_map entries;          /* first 8 bytes of the random event id -> journal_entry */
    uint64_t live_bytes;            /* of live entries, their files included */
    uint64_t live_file_bytes;       /* of these, what lies in files */
    uint64_t disk_bytes;            /* of all segments */
    uint64_t n_segments;
    uint64_t syncs;
    uint64_t sync_ns;
    uint64_t last_reset_ms; /* monotonic */
    bool reserved;          /* the reserve is there */
    bool unsynced;          /* the active segment holds what no fdatasync has covered */
    bool failed;            /* an fdatasync failed: what is on the disk is unknown from here on */
};

/* Opens the folder, reads everything, cuts the torn tail, forgets what is older than the ttl. */
int journal_log_open(const struct sp_journal_options *options, struct journal_log **ret,
                     struct sp_error *err);
/* Calls `each` for the live requests in order of acceptance. */
int journal_log_replay(struct journal_log *log,
                       void (*each)(void *arg, const struct sp_journal_entry *entry), void *arg,
                       struct sp_error *err);
void journal_log_close(struct journal_log *log);

/*
 * Writes the records (whose seq and order it sets) as one. Their payloads may be of any size: large
 * ones become files first, synced when `sync`. All or nothing: 0 or a negative errno.
 */
int journal_log_append(struct journal_log *log, struct journal_record **records, size_t n,
                       bool sync);
/* One fdatasync for all that was written. */
int journal_log_sync(struct journal_log *log);
/*
 * Does a bounded piece of reclaiming and says in how many ms to come again: 0 = at once, UINT64_MAX
 * = after the next append. `idle`: nothing waits.
 */
uint64_t journal_log_reclaim(struct journal_log *log, bool idle);

/* Takes note of a record that lies at `offset` of `segment`. */
void journal_log_apply(struct journal_log *log, const struct journal_record *record,
                       struct journal_segment *segment, uint64_t offset);
void journal_log_forget(struct journal_log *log, struct journal_entry *entry);
/* Starts a new last segment; syncs the one before. */
int journal_log_rotate(struct journal_log *log, struct sp_error *err);
void journal_log_add_segment(struct journal_log *log, struct journal_segment *segment);

#endif
