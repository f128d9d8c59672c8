/*
 * Our own WebSocket for the page (docs/ui-protocol.md): numbered messages, replay, resume.
 *
 * Messages are encoded without a number into `pending` and get theirs when they are sent, so that
 * nothing is lost or numbered twice when a socket goes in between.
 */
#include "runtime/app-internal.h"

#include <stdio.h>

#include "base/error.h"
#include "runtime/server.h"
#include "ui-protocol/live_msg.h"

#define NAME_PREFIX "live:"
#define SECRET_HEX  SP_ID_HEX
/* With more than this unread by the client, generators are slowed down to its pace. */
#define SLOW_BYTES ((size_t)256 * 1024)

/* One socket. Outlives its session when that is ended first: `closed` frees it. */
struct live_conn {
    struct sp_app_link link;
    struct sp_apps *apps; /* NULL once they are closed */
    uint64_t space;
    struct sp_ws_conn *ws; /* NULL once it is closed */
    struct sp_app_session *session;
    char *request; /* for calls: what the upgrade request said */
    size_t request_len;
};

struct sp_live {
    char secret[SECRET_HEX];
    struct live_conn *conn;
    uint64_t seq;         /* of the last message sent */
    uint64_t first;       /* of the oldest in `replay` */
    struct sp_buf replay; /* [u32 length][message] in the order of seq */
};

/* Before each message in `pending`. */
struct pending_head {
    uint32_t len;
    bool repeats; /* worth repeating after a resume; the newest of the others is sent instead */
};

/* --- out -------------------------------------------------------------------------------------- */

static struct sp_buf *begin(struct sp_app_session *session)
{
    struct sp_buf *scratch = &session->space->apps->scratch;

    sp_buf_reset(scratch);
    return scratch;
}

/* Puts what was encoded into scratch in line. */
static void finish(struct sp_app_session *session, bool repeats)
{
    const struct sp_buf *scratch = &session->space->apps->scratch;
    const struct pending_head head = {.len = (uint32_t)scratch->len, .repeats = repeats};

    (void)sp_buf_append(&session->pending, &head, sizeof(head));
    (void)sp_buf_append_slice(&session->pending, sp_buf_slice(scratch));
    sp_session_settle(session);
}

static void forget_oldest(struct sp_live *live)
{
    uint32_t len;

    memcpy(&len, live->replay.data, sizeof(len));
    sp_buf_consume(&live->replay, sizeof(len) + len);
    live->first++;
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
    struct sp_buf *scratch = begin(session);

    (void)sp_buf_append(scratch, text, head->len);
    sp_live_put_seq(scratch, 0, ++live->seq);
    remember(session, sp_buf_slice(scratch), head->repeats);
    return sp_ws_send(live->conn->ws, sp_buf_slice(scratch));
}

static void too_slow(struct sp_app_session *session)
{
    struct live_conn *conn = session->live->conn;

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
        session->slow = sp_ws_pending(live->conn->ws) > SLOW_BYTES;
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

/* --- the view --------------------------------------------------------------------------------- */

static struct sp_gradio_head head_of(const struct sp_app_event *ev)
{
    return (struct sp_gradio_head){.dialect = SP_GRADIO_LIVE, .event_id = &ev->id};
}

static void refuse(struct sp_app_session *session, const char *ref, const char *code,
                   const char *message)
{
    sp_live_put_refused(begin(session), 0, sp_slice_str(ref), code, message);
    finish(session, true);
}

static void view_accepted(struct sp_app_event *ev, const struct sp_error *err)
{
    if (err) {
        refuse(ev->session, ev->ref, "storage", "The request could not be stored.");
        return;
    }
    sp_live_put_joined(begin(ev->session), 0, sp_slice_str(ev->ref), &ev->id);
    finish(ev->session, true);
}

static void view_estimate(struct sp_app_event *ev)
{
    struct sp_gradio_head head = head_of(ev);

    if (ev->session->lossy)
        return;
    sp_gradio_put_estimation(begin(ev->session), &head, ev->rank, ev->size, ev->eta_us);
    finish(ev->session, false);
}

static void view_starts(struct sp_app_event *ev)
{
    struct sp_gradio_head head = head_of(ev);

    if (ev->session->lossy)
        return;
    sp_gradio_put_starts(begin(ev->session), &head, ev->eta_us);
    finish(ev->session, true);
}

/* More than a progress bar could show is not kept. */
#define PROGRESS_MAX ((size_t)64 * 1024)

static void send_progress(struct sp_app_event *ev)
{
    struct sp_gradio_head head = head_of(ev);

    ev->progress_due = false;
    sp_gradio_put_progress(begin(ev->session), &head, sp_slice_str(ev->progress));
    finish(ev->session, false);
}

/* One per queue.publish for each request, and the newest wins. */
static void view_progress(struct sp_app_event *ev, struct sp_slice progress_data)
{
    if (progress_data.len > PROGRESS_MAX)
        return;
    free(ev->progress);
    ev->progress = sp_slice_dup(progress_data);
    ev->progress_due = true;
    if (ev->session->lossy || !sp_list_empty(&ev->alarm.node))
        return;
    send_progress(ev);
    sp_alarm_set(&ev->apps->alarms, SP_ALARM_PUBLISH, &ev->alarm);
}

void sp_live_publish_alarm(void *arg, struct sp_alarm *alarm)
{
    struct sp_app_event *ev = SP_CONTAINER(alarm, struct sp_app_event, alarm);
    struct sp_apps *apps = arg;

    if (!ev->progress_due || !ev->session || ev->session->lossy || ev->state != SP_EVENT_RUNNING)
        return;
    send_progress(ev);
    sp_alarm_set(&apps->alarms, SP_ALARM_PUBLISH, alarm);
}

static void view_log(struct sp_app_event *ev, const struct sp_gradio_log *log)
{
    struct sp_gradio_head head = head_of(ev);

    if (ev->session->lossy)
        return;
    sp_gradio_put_log(begin(ev->session), &head, log);
    finish(ev->session, true);
}

static void view_yield(struct sp_app_event *ev, struct sp_slice data, bool whole)
{
    struct sp_gradio_head head = head_of(ev);
    struct sp_gradio_output output = {
        .is_generating = true, .run_us = sp_event_age_us(ev), .average_us = ev->average_us};
    struct sp_buf edits SP_AUTO_BUF = {0};

    if (ev->session->lossy)
        return;
    if (ev->session->slow)
        ev->wants_credit = true;
    sp_buf_init(&edits, 0);
    output.data = sp_event_edits(ev, data, whole, &edits);
    sp_gradio_put_generating(begin(ev->session), &head, &output);
    finish(ev->session, true);
}

static void view_ended(struct sp_app_event *ev)
{
    struct sp_gradio_head head = head_of(ev);

    if (ev->session->lossy)
        return;
    sp_event_put_end(ev, begin(ev->session), &head);
    ev->told = true;
    finish(ev->session, true);
}

const struct sp_event_view sp_live_view = {
    .accepted = view_accepted,
    .estimate = view_estimate,
    .starts = view_starts,
    .progress = view_progress,
    .log = view_log,
    .yield = view_yield,
    .ended = view_ended,
    .takes_edits = true,
};

void sp_live_stage(struct sp_app_session *session)
{
    const struct sp_app_space *space = session->space;

    if (!sp_live_attached(session->live) || session->lossy)
        return;
    sp_live_put_stage(begin(session), 0, space->stage, space->reason ? space->reason : "");
    finish(session, true);
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

static void send_snapshot(struct sp_app_session *session)
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

/* The newest of what is not repeated: an estimate of what waits, the progress of what runs. */
static void send_newest(struct sp_app_session *session)
{
    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        if (ev->accepted && ev->state == SP_EVENT_WAITING && ev->size)
            view_estimate(ev);
        else if (ev->accepted && ev->state == SP_EVENT_RUNNING && ev->progress)
            send_progress(ev);
}

/* Repeats what came after `last_seq`. */
static void replay(struct sp_app_session *session, uint64_t last_seq)
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

static bool can_replay(const struct sp_app_session *session, const struct sp_live_msg *hello)
{
    const struct sp_live *live = session->live;

    return strcmp(hello->epoch, session->space->apps->epoch) == 0 && !session->lossy &&
           hello->last_seq <= live->seq && hello->last_seq + 1 >= live->first;
}

/* --- sessions --------------------------------------------------------------------------------- */

static struct sp_live *live_new(void)
{
    struct sp_live *live = sp_new0(struct sp_live);

    sp_buf_init(&live->replay, 0);
    live->first = 1;
    return live;
}

void sp_live_free(struct sp_live *live)
{
    if (!live)
        return;
    if (live->conn) {
        live->conn->session = NULL;
        if (live->conn->ws)
            sp_ws_close(live->conn->ws, 1001, "the app is gone");
    }
    sp_buf_done(&live->replay);
    free(live);
}

uint64_t sp_live_kept(const struct sp_live *live)
{
    return live->replay.len;
}

const char *sp_live_secret(const struct sp_live *live)
{
    return live->secret;
}

void sp_live_restore(struct sp_app_session *session, const char *secret)
{
    session->live = live_new();
    (void)snprintf(session->live->secret, sizeof(session->live->secret), "%s", secret);
}

void sp_live_bye(struct sp_app_session *session, const char *reason)
{
    struct sp_live *live = session->live;
    struct sp_buf *out = begin(session);

    if (!sp_live_attached(live))
        return;
    sp_live_put_bye(out, reason);
    (void)sp_ws_send(live->conn->ws, sp_buf_slice(out));
    sp_ws_close(live->conn->ws, 1001, reason);
}

static struct sp_app_session *session_new(struct sp_app_space *space)
{
    char name[sizeof(NAME_PREFIX) + SP_ID_HEX] = NAME_PREFIX;
    struct sp_app_session *session;
    struct sp_id id;

    sp_id_random(&id);
    sp_id_to_hex(&id, name + strlen(NAME_PREFIX));
    session = sp_session_need(space, sp_slice_str(name));
    if (!session)
        return NULL;
    session->live = live_new();
    sp_id_random(&id);
    sp_id_to_hex(&id, session->live->secret);
    return session;
}

/* The session that the client had, when it knows its secret. */
static struct sp_app_session *session_had(struct sp_app_space *space, const struct sp_live_msg *msg)
{
    struct sp_app_session *session;

    if (!msg->resume)
        return NULL;
    session = sp_session_find(space, sp_slice_str(msg->session));
    if (!session || !session->live ||
        !sp_slice_eq_secret(sp_slice_str(session->live->secret), sp_slice_str(msg->secret)))
        return NULL;
    return session;
}

static void attach(struct live_conn *conn, struct sp_app_session *session)
{
    struct sp_live *live = session->live;

    if (live->conn) { /* the same visitor again, before we noticed that the old socket is dead */
        live->conn->session = NULL;
        if (live->conn->ws)
            sp_ws_close(live->conn->ws, 1000, "resumed elsewhere");
    }
    live->conn = conn;
    conn->session = session;
    sp_session_claim(session);
    session->in_grace = false;
    session->slow = false;
    sp_alarm_clear(&session->alarm);
}

static void send_hello(struct sp_app_session *session, bool resumed)
{
    const struct sp_live_hello hello = {
        .session = session->name,
        .secret = session->live->secret,
        .epoch = session->space->apps->epoch,
        .resumed = resumed,
        .version = session->space->version_id,
        .heartbeat_s = SP_APP_BEAT_MS / 1000,
    };
    struct sp_buf *out = begin(session);

    sp_live_put_hello(out, &hello);
    (void)sp_ws_send(session->live->conn->ws, sp_buf_slice(out));
}

static void on_hello(struct live_conn *conn, struct sp_app_space *space,
                     const struct sp_live_msg *msg)
{
    struct sp_app_session *had = session_had(space, msg);
    struct sp_app_session *session = had ? had : session_new(space);

    if (!session) {
        sp_ws_close(conn->ws, 1013, "too many visitors at the moment (limit.sessions)");
        return;
    }
    attach(conn, session);
    send_hello(session, had != NULL);
    if (had && can_replay(session, msg))
        replay(session, msg->last_seq);
    else if (had)
        send_snapshot(session);
    if (had)
        send_newest(session);
    sp_session_settle(session);
}

/* --- in --------------------------------------------------------------------------------------- */

static struct sp_app_event *find_ref(struct sp_app_session *session, const char *ref)
{
    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        if (ev->ref && strcmp(ev->ref, ref) == 0)
            return ev;
    return NULL;
}

static const char *code_of(enum sp_app_refusal why)
{
    switch (why) {
    case SP_REFUSED_FULL: return "queue_full";
    case SP_REFUSED_FUNCTION: return "no_function";
    case SP_REFUSED_STORAGE: return "storage";
    case SP_REFUSED_CLOSING: return "not_running";
    default: return "limit";
    }
}

static void join(struct live_conn *conn, const struct sp_live_msg *msg,
                 const struct sp_worker_function *fn)
{
    struct sp_app_session *session = conn->session;
    struct sp_app_join ask = {.session = session,
                              .kind = SP_EVENT_LIVE,
                              .view = &sp_live_view,
                              .fn = fn,
                              .event_data = msg->event_data,
                              .trigger = msg->trigger_id,
                              .request = sp_slice(conn->request, conn->request_len),
                              .ref = msg->ref,
                              .queued = fn->queue};
    struct sp_buf fitted SP_AUTO_BUF = {0};
    struct sp_app_refused refused;
    char text[100];

    sp_buf_init(&fitted, 0);
    if (!sp_app_fit_inputs(fn, msg->data, msg->n_data, &fitted, &ask.data)) {
        (void)snprintf(text, sizeof(text), "expected %u inputs, got %zu", fn->inputs, msg->n_data);
        refuse(session, msg->ref, "bad_input", text);
    } else if (!sp_app_join(conn->apps, &ask, &refused)) {
        refuse(session, msg->ref, code_of(refused.why), refused.msg);
    }
}

static void on_join(struct live_conn *conn, struct sp_app_space *space,
                    const struct sp_live_msg *msg)
{
    struct sp_app_session *session = conn->session;
    struct sp_app_event *again = find_ref(session, msg->ref);
    const struct sp_worker_function *fn = sp_app_function(space, msg->fn);
    char why[300];

    if (again) {
        if (again->accepted)
            view_accepted(again, NULL); /* otherwise that answer is on its way */
    } else if (!sp_app_can_join(space)) {
        sp_app_describe(space, why, sizeof(why));
        refuse(session, msg->ref, "not_running", why);
    } else if (!fn) {
        refuse(session, msg->ref, "no_function", "The app has no such function.");
    } else {
        join(conn, msg, fn);
    }
}

static void on_ack(struct sp_app_session *session, uint64_t seq)
{
    struct sp_live *live = session->live;

    if (seq > live->seq)
        return;
    while (live->replay.len && live->first <= seq)
        forget_oldest(live);
    if (!live->replay.len)
        sp_buf_done(&live->replay);
}

/* Ends that the client has seen need not be kept, but for the last few: a reload shows them again.
 */
static void drop_seen(struct sp_app_session *session)
{
    unsigned told = 0;

    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        told += ev->told;
    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        if (ev->told && told > 16) {
            told--;
            sp_event_drop(ev);
        }
}

static void on_cancel(struct sp_app_space *space, struct sp_app_session *session,
                      const struct sp_id *id)
{
    struct sp_app_event *ev = sp_app_event_find(space, id);

    if (ev && ev->session == session)
        sp_app_event_cancel(ev);
}

static void on_msg(struct live_conn *conn, struct sp_app_space *space, struct sp_live_msg *msg)
{
    struct sp_buf *out;

    switch (msg->type) {
    case SP_LIVE_HELLO: sp_ws_close(conn->ws, 1002, "hello was said already"); break;
    case SP_LIVE_JOIN:
        drop_seen(conn->session);
        on_join(conn, space, msg);
        break;
    case SP_LIVE_CANCEL: on_cancel(space, conn->session, &msg->event_id); break;
    case SP_LIVE_ACK: on_ack(conn->session, msg->seq); break;
    case SP_LIVE_PING:
        out = begin(conn->session);
        sp_live_put_pong(out);
        (void)sp_ws_send(conn->ws, sp_buf_slice(out));
        break;
    }
}

static void on_message(void *arg, struct sp_ws_conn *ws, struct sp_slice text)
{
    struct live_conn *conn = arg;
    struct sp_app_space *space = conn->apps ? sp_app_space_get(conn->apps, conn->space) : NULL;
    struct sp_live_msg msg;
    struct sp_error err;

    if (!space || conn->apps->closing)
        return;
    if (sp_live_msg_decode(text, &msg, &err) < 0) {
        if (conn->session && msg.type == SP_LIVE_JOIN && msg.ref[0])
            refuse(conn->session, msg.ref, "bad_input", err.msg);
        else
            sp_ws_close(ws, 1002, err.msg);
    } else if (conn->session) {
        on_msg(conn, space, &msg);
    } else if (msg.type == SP_LIVE_HELLO) {
        on_hello(conn, space, &msg);
    } else {
        sp_ws_close(ws, 1002, "the first message is hello");
    }
}

static void on_drain(void *arg, struct sp_ws_conn *ws)
{
    struct live_conn *conn = arg;

    (void)ws;
    if (!conn->session)
        return;
    conn->session->slow = false;
    SP_LIST_EACH (ev, &conn->session->events, struct sp_app_event, in_session)
        if (ev->wants_credit)
            sp_event_credit(ev);
}

static void on_closed(void *arg, int code)
{
    struct live_conn *conn = arg;

    (void)code;
    conn->ws = NULL;
    if (conn->session) {
        conn->session->live->conn = NULL;
        sp_session_settle(conn->session);
    }
    if (conn->apps)
        conn->apps->stats.live_streams--;
    sp_list_remove(&conn->link.node);
    free(conn->request);
    free(conn);
}

/* The session ends right after this, which takes itself off. */
static void on_orphan(struct sp_app_link *link)
{
    SP_CONTAINER(link, struct live_conn, link)->apps = NULL;
}

void sp_app_live(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    static const struct sp_ws_callbacks callbacks = {on_message, on_drain, on_closed};
    struct live_conn *conn;
    struct sp_buf request SP_AUTO_BUF = {0};

    (void)rest;
    sp_buf_init(&request, 0);
    sp_worker_put_request(&request, sp_exchange_request(ex), sp_exchange_peer(ex),
                          sp_exchange_base_url(ex), sp_app_username(ex));
    conn = sp_new0(struct live_conn);
    conn->apps = space->apps;
    conn->space = space->id;
    conn->ws = sp_ws_accept(ex, (size_t)space->apps->limit.request_body, &callbacks, conn);
    if (!conn->ws) {
        free(conn);
        return;
    }
    conn->request = sp_buf_steal(&request, &conn->request_len);
    conn->link.orphan = on_orphan;
    sp_list_init(&conn->link.node);
    sp_list_append(&space->apps->links, &conn->link.node);
    space->apps->stats.live_streams++;
}
