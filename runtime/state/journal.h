/*
 * runtime/state/journal.h - the queue's memory across a crash: append-only, checksummed segments.
 *
 * Records of a request, in this order: ACCEPTED (synced before the client hears 200), DISPATCHED
 * (written before the call is sent), DONE (written before it is streamed). After a crash, accepted
 * and not dispatched runs once; dispatched without an end is lost; ended keeps its result until its
 * time is over. A torn tail is cut. Payloads above 64 KiB are files that the record names.
 *
 * Writing and syncing happen on the journal's own thread, grouped: callbacks come on the loop.
 * Format: docs/journal.md.
 */
#ifndef SP_RUNTIME_STATE_JOURNAL_H
#define SP_RUNTIME_STATE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/id.h"
#include "base/str.h"

struct sp_error;
struct sp_journal;

enum sp_journal_type {
    SP_JOURNAL_ACCEPTED = 1, /* meta: JSON of who, where, which function; payload: the data array */
    SP_JOURNAL_DISPATCHED,   /* meta empty or JSON; no payload */
    SP_JOURNAL_DONE,         /* meta: JSON of outcome and times; payload: the output */
    SP_JOURNAL_FORGET,       /* its time is over, or it was never admitted: erase the payload */
};

/* What is known of a request after a restart. Slices are valid during the callback. */
struct sp_journal_entry {
    struct sp_id event;
    uint64_t space;
    int64_t accepted_ms; /* wall clock */
    bool dispatched;
    bool done;
    int64_t done_ms;
    struct sp_slice accepted_meta;
    struct sp_slice accepted_payload;
    struct sp_slice done_meta;
    struct sp_slice done_payload;
};

struct sp_journal_options {
    const char *dir;        /* relative to the working folder; made when absent */
    uint64_t segment_bytes; /* a new segment begins above this; default 16 MiB */
    uint64_t max_bytes;     /* live bytes; above it ACCEPTED is refused with SP_ERR_UNAVAILABLE */
    uint64_t result_ttl_ms; /* entries whose DONE is older are not replayed */
};

/*
 * Opens, cuts a torn tail, and calls `each` for every request that is neither forgotten nor too
 * old, in the order of acceptance. Then the thread starts.
 */
int sp_journal_open(uv_loop_t *loop, const struct sp_journal_options *options,
                    void (*each)(void *arg, const struct sp_journal_entry *entry), void *arg,
                    struct sp_journal **ret, struct sp_error *err);
/* Writes and syncs what was asked, then calls `closed`. */
void sp_journal_close(struct sp_journal *journal, void (*closed)(void *arg), void *arg);

/* `err` NULL: the record is as safe as was asked for. */
typedef void sp_journal_fn(void *arg, const struct sp_error *err);

enum sp_journal_safety { SP_JOURNAL_WRITTEN, SP_JOURNAL_SYNCED };

/*
 * Appends one record; meta and payload are copied. `done` may be NULL (then failures are only
 * logged). Records become visible in the order of the calls. Returns SP_ERR_UNAVAILABLE at once
 * when the journal is full or its disk has failed.
 */
int sp_journal_append(struct sp_journal *journal, enum sp_journal_type type,
                      const struct sp_id *event, uint64_t space, struct sp_slice meta,
                      struct sp_slice payload, enum sp_journal_safety safety, sp_journal_fn *done,
                      void *arg, struct sp_error *err);

struct sp_journal_stats {
    uint64_t live_bytes;
    uint64_t records;
    uint64_t syncs;
    uint64_t sync_ns; /* in all */
    uint64_t segments;
};
void sp_journal_stats(const struct sp_journal *journal, struct sp_journal_stats *ret);

#endif
