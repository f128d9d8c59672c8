/* Messages to the page: numbered when they leave, kept for a resume, or told as a snapshot. */
#include "runtime/app/live-internal.h"

/* Before each message in `pending`. */
struct pending_head {
    uint32_t len;
    bool repeats; /* worth repeating after a resume; the newest of the others is sent instead */
};

/* --- out -------------------------------------------------------------------------------------- */

struct sp_buf *sp_live_begin(struct sp_app_session *session)
{
    struct sp_buf *scratch = &session->space->apps->scratch;

    sp_buf_reset(scratch);
    return scratch;
}

/* Puts what was encoded into scratch in line. */
void sp_live_finish(struct sp_app_session *session, bool repeats)
{
    const struct sp_buf *scratch = &session->space->apps->scratch;
    const struct pending_head head = {.len = (uint32_t)scratch->len, .repeats = repeats};

    (void)sp_buf_append(&session->pending, &head, sizeof(head));
    (void)sp_buf_append_slice(&session->pending, sp_buf_slice(scratch));
    sp_session_settle(session);
}

/* In one move: one message at a time would cost the square of their number. */
void sp_live_forget_until(struct sp_live *live, uint64_t seq)
{
    size_t at = 0;

    while (at < live->replay.len && live->first <= seq) {
        uint32_t len;

        memcpy(&len, live->replay.data + at, sizeof(len));
        at += sizeof(len) + len;
        live->first++;
    }
    sp_buf_consume(&live->replay, at);
}

/* But for the message that is being numbered. */
static void forget_all(struct sp_live *live)
{
    sp_buf_done(&live->replay);
    live->first = live->seq;
}

/*
 * Keeps the message for a resume. One that is not repeated leaves an empty place, so that numbers
 * stay in step.
 */
static void remember(struct sp_app_session *session, struct sp_slice text, bool repeats)
{
    struct sp_live *live = session->live;
    uint32_t len = repeats ? (uint32_t)text.len : 0;

    if (live->replay.len + len + sizeof(len) > session->space->apps->limit.replay)
        forget_all(live);
    (void)sp_buf_append(&live->replay, &len, sizeof(len));
    (void)sp_buf_append(&live->replay, text.ptr, len);
}

/* Numbers and sends one message; false when the client does not read. */
static bool send_next(struct sp_app_session *session, const struct pending_head *head,
                      const char *text)
{
    struct sp_live *live = session->live;
    struct sp_buf *scratch = sp_live_begin(session);

    (void)sp_buf_append(scratch, text, head->len);
    sp_live_put_seq(scratch, 0, ++live->seq);
    remember(session, sp_buf_slice(scratch), head->repeats);
    return sp_ws_send(live->conn->ws, sp_buf_slice(scratch));
}

static void too_slow(struct sp_app_session *session)
{
    struct sp_live_conn *conn = session->live->conn;

    session->live->conn = NULL;
    conn->session = NULL;
    sp_ws_close(conn->ws, 1013, "the messages are not read; resume");
}

/* What waits but nobody is there for: a resume is told how things are then. */
static void drop_pending(struct sp_app_session *session)
{
    if (session->pending.len)
        session->lossy = true;
    sp_buf_done(&session->pending);
}

void sp_live_flush(struct sp_app_session *session)
{
    struct sp_live *live = session->live;
    struct sp_buf out;
    size_t at = 0;
    bool ok = true;

    if (!sp_live_attached(live)) {
        if (session->pending.len > session->space->apps->limit.replay)
            drop_pending(session);
        return;
    }
    out = session->pending;
    sp_buf_init(&session->pending, 0);
    while (at < out.len && ok) {
        struct pending_head head;

        memcpy(&head, out.data + at, sizeof(head));
        ok = send_next(session, &head, out.data + at + sizeof(head));
        at += sizeof(head) + head.len;
    }
    sp_buf_done(&out);
    if (ok) {
        session->slow = sp_ws_pending(live->conn->ws) > SP_LIVE_SLOW_BYTES;
        return;
    }
    session->lossy = true;
    too_slow(session);
    sp_session_settle(session);
}

bool sp_live_attached(const struct sp_live *live)
{
    return live && live->conn && live->conn->ws;
}

/* --- snapshot and resume ---------------------------------------------------------------------- */

static const char *state_of(const struct sp_app_event *ev)
{
    if (ev->state == SP_EVENT_ENDED && !ev->ending)
        return sp_sched_outcome_to_string(ev->outcome);
    return ev->state == SP_EVENT_WAITING ? "waiting" : "running";
}

/* The `output` object as the event's messages have it. */
static void put_output(struct sp_app_event *ev, struct sp_buf *out)
{
    struct sp_gradio_output output = {.run_us = ev->run_us, .average_us = ev->average_us};
    bool ended = ev->state == SP_EVENT_ENDED && !ev->ending;

    if (ended && (ev->outcome == SP_SCHED_FAILED || ev->outcome == SP_SCHED_LOST)) {
        (void)sp_buf_append(out, ev->result, ev->result_len);
        return;
    }
    output.data = ended ? sp_slice(ev->result, ev->result_len) : sp_event_output(ev);
    output.is_generating = !ended;
    if (output.data.len)
        sp_gradio_put_output(out, &output);
}

static void put_snapshot_event(struct sp_app_event *ev, struct sp_buf *out, bool first)
{
    struct sp_buf output SP_AUTO_BUF = {0};
    struct sp_live_event entry = {
        .event_id = &ev->id,
        .ref = sp_slice_str(ev->ref),
        .fn = ev->fn,
        .state = state_of(ev),
        .age_us = (uv_now(ev->apps->loop) - ev->joined_ms) * 1000,
    };

    sp_buf_init(&output, 0);
    put_output(ev, &output);
    entry.output = sp_buf_slice(&output);
    sp_live_put_snapshot_event(out, first, &entry);
    /* Edits from here on are against what the snapshot says. */
    ev->yielded = output.len > 0 && ev->state == SP_EVENT_RUNNING;
    ev->told = ev->state == SP_EVENT_ENDED && !ev->ending;
}

void sp_live_send_snapshot(struct sp_app_session *session)
{
    struct sp_live *live = session->live;
    struct sp_buf out SP_AUTO_BUF = {0};
    bool first = true;

    sp_buf_init(&out, 0);
    sp_live_put_snapshot_begin(&out);
    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session) {
        if (!ev->accepted)
            continue;
        put_snapshot_event(ev, &out, first);
        first = false;
    }
    sp_live_put_snapshot_end(&out, ++live->seq);
    sp_buf_done(&live->replay);
    live->first = live->seq;
    session->lossy = false;
    sp_buf_done(&session->pending);
    remember(session, sp_buf_slice(&out), true);
    (void)sp_ws_send(live->conn->ws, sp_buf_slice(&out));
}

/* Repeats what came after `last_seq`. */
void sp_live_replay(struct sp_app_session *session, uint64_t last_seq)
{
    struct sp_live *live = session->live;
    uint64_t seq = live->first;
    size_t at = 0;

    while (at < live->replay.len) {
        uint32_t len;

        memcpy(&len, live->replay.data + at, sizeof(len));
        at += sizeof(len);
        if (seq++ > last_seq && len)
            (void)sp_ws_send(live->conn->ws, sp_slice(live->replay.data + at, len));
        at += len;
    }
}

bool sp_live_can_replay(const struct sp_app_session *session, const struct sp_live_msg *hello)
{
    const struct sp_live *live = session->live;

    return strcmp(hello->epoch, session->space->apps->epoch) == 0 && !session->lossy &&
           hello->last_seq <= live->seq && hello->last_seq + 1 >= live->first;
}
