/*
 * runtime/app/live-internal.h - what live.c (sessions and what clients say), live_out.c (numbers,
 * replay, snapshot) and live_view.c (how a request is shown) share.
 */
#ifndef SP_RUNTIME_APP_LIVE_INTERNAL_H
#define SP_RUNTIME_APP_LIVE_INTERNAL_H

#include "runtime/app/app-internal.h"
#include "runtime/server/server.h"
#include "ui-protocol/live_msg.h"

/* With more than this unread by the client, generators are slowed down to its pace. */
#define SP_LIVE_SLOW_BYTES ((size_t)256 * 1024)

/* One socket. Outlives its session when that is ended first: `closed` frees it. */
struct sp_live_conn {
    struct sp_app_link link;
    struct sp_apps *apps; /* NULL once they are closed */
    uint64_t space;
    struct sp_ws_conn *ws; /* NULL once it is closed */
    struct sp_app_session *session;
    char *request; /* for calls: what the upgrade request said */
    size_t request_len;
};

struct sp_live {
    char secret[SP_ID_HEX];
    struct sp_live_conn *conn;
    uint64_t seq;         /* of the last message sent */
    uint64_t first;       /* of the oldest in `replay` */
    struct sp_buf replay; /* [u32 length][message] in the order of seq */
};

/* --- live_out.c ------------------------------------------------------------------------------- */

/* The buffer to encode a message into, with seq 0, and what follows the encoding. */
struct sp_buf *sp_live_begin(struct sp_app_session *session);
/* `repeats`: worth repeating after a resume; the newest of the others is sent instead. */
void sp_live_finish(struct sp_app_session *session, bool repeats);
/* Acknowledged up to there: they need not be repeated. */
void sp_live_forget_until(struct sp_live *live, uint64_t seq);
/* The state of every request now; what waited is forgotten. */
void sp_live_send_snapshot(struct sp_app_session *session);
bool sp_live_can_replay(const struct sp_app_session *session, const struct sp_live_msg *hello);
/* Repeats what came after `last_seq`. */
void sp_live_replay(struct sp_app_session *session, uint64_t last_seq);

/* --- live_view.c ------------------------------------------------------------------------------ */

void sp_live_refuse(struct sp_app_session *session, const char *ref, const char *code,
                    const char *message);
void sp_live_send_accepted(struct sp_app_event *ev, const struct sp_error *err);
/* The newest of what is not repeated: an estimate of what waits, the progress of what runs. */
void sp_live_send_newest(struct sp_app_session *session);

#endif
