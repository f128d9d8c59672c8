/*
 * ui-protocol/live_msg.h - the messages that only the live protocol has (docs/ui-protocol.md).
 * Those it shares with Gradio are in gradio_msg.h, with SP_GRADIO_LIVE.
 *
 * An encoder appends one JSON object; sp_ws_put_text frames it.
 */
#ifndef SP_UI_PROTOCOL_LIVE_MSG_H
#define SP_UI_PROTOCOL_LIVE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"
#include "base/str.h"

struct sp_buf;
struct sp_error;

#define SP_LIVE_TOKEN_MAX 64 /* session, secret, epoch, ref */

/* --- server to client ------------------------------------------------------------------------- */

struct sp_live_hello {
    const char *session;
    const char *secret;
    const char *epoch;
    bool resumed;
    const char *version; /* of the app; NULL = null */
    uint32_t heartbeat_s;
};
void sp_live_put_hello(struct sp_buf *out, const struct sp_live_hello *hello);

/* snapshot: begin, an entry per event, end. `first` is true for the first entry. */
struct sp_live_event {
    const struct sp_id *event_id;
    struct sp_slice ref; /* plain text; empty = null (joined by another transport) */
    uint32_t fn;
    const char *state;      /* waiting, running, done, failed, canceled, lost, gone */
    struct sp_slice output; /* raw object; empty = absent */
    uint64_t age_us;
};
void sp_live_put_snapshot_begin(struct sp_buf *out);
void sp_live_put_snapshot_event(struct sp_buf *out, bool first, const struct sp_live_event *event);
void sp_live_put_snapshot_end(struct sp_buf *out, uint64_t seq);

void sp_live_put_joined(struct sp_buf *out, uint64_t seq, struct sp_slice ref,
                        const struct sp_id *event_id);
/* `code` and `message` as listed in docs/ui-protocol.md. */
void sp_live_put_refused(struct sp_buf *out, uint64_t seq, struct sp_slice ref, const char *code,
                         const char *message);
/* `version` is the one that serves, as in hello; NULL before the first. */
void sp_live_put_stage(struct sp_buf *out, uint64_t seq, const char *stage, const char *reason,
                       const char *version);
void sp_live_put_pong(struct sp_buf *out);
void sp_live_put_bye(struct sp_buf *out, const char *reason);

/*
 * Gives a number to a message that was encoded with seq 0: the text is one object at the end of
 * `out`, from `start` on. Lets one encoding serve several streams.
 */
void sp_live_put_seq(struct sp_buf *out, size_t start, uint64_t seq);

/* --- client to server ------------------------------------------------------------------------- */

enum sp_live_type { SP_LIVE_HELLO, SP_LIVE_JOIN, SP_LIVE_CANCEL, SP_LIVE_ACK, SP_LIVE_PING };

/* Slices point into the text; only the fields of the type are set. */
struct sp_live_msg {
    enum sp_live_type type;

    /* HELLO */
    bool resume;
    char session[SP_LIVE_TOKEN_MAX + 1];
    char secret[SP_LIVE_TOKEN_MAX + 1];
    char epoch[SP_LIVE_TOKEN_MAX + 1];
    uint64_t last_seq;

    /* JOIN */
    char ref[SP_LIVE_TOKEN_MAX + 1]; /* not empty */
    uint32_t fn;
    struct sp_slice data; /* raw array */
    size_t n_data;
    struct sp_slice event_data; /* raw value; the text null when absent */
    int64_t trigger_id;         /* -1 when absent or null */

    struct sp_id event_id; /* CANCEL */
    uint64_t seq;          /* ACK */
};

/*
 * SP_ERR_INVALID names the field. When the message is a join whose `ref` could be read, `ret->type`
 * and `ret->ref` are set even on failure, so that it can be refused by name; otherwise ref is "".
 */
int sp_live_msg_decode(struct sp_slice text, struct sp_live_msg *ret, struct sp_error *err);

#endif
