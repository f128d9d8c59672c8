/*
 * Our own WebSocket for the page (docs/ui-protocol.md): numbered messages, replay, resume.
 *
 * Messages are encoded without a number into `pending` and get theirs when they are sent, so that
 * nothing is lost or numbered twice when a socket goes in between.
 */
#include "runtime/app/live-internal.h"

#include <stdio.h>

#include "base/error.h"

#define NAME_PREFIX "live:"

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
    struct sp_buf *out = sp_live_begin(session);

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

static void attach(struct sp_live_conn *conn, struct sp_app_session *session)
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
    struct sp_buf *out = sp_live_begin(session);

    sp_live_put_hello(out, &hello);
    (void)sp_ws_send(session->live->conn->ws, sp_buf_slice(out));
}

static void on_hello(struct sp_live_conn *conn, struct sp_app_space *space,
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
    if (had && sp_live_can_replay(session, msg))
        sp_live_replay(session, msg->last_seq);
    else if (had)
        sp_live_send_snapshot(session);
    if (had)
        sp_live_send_newest(session);
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

static void join(struct sp_live_conn *conn, const struct sp_live_msg *msg,
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
        sp_live_refuse(session, msg->ref, "bad_input", text);
    } else if (!sp_app_join(conn->apps, &ask, &refused)) {
        sp_live_refuse(session, msg->ref, code_of(refused.why), refused.msg);
    }
}

static void on_join(struct sp_live_conn *conn, struct sp_app_space *space,
                    const struct sp_live_msg *msg)
{
    struct sp_app_session *session = conn->session;
    struct sp_app_event *again = find_ref(session, msg->ref);
    const struct sp_worker_function *fn = sp_app_function(space, msg->fn);
    char why[300];

    if (again) {
        if (again->accepted)
            sp_live_send_accepted(again, NULL); /* otherwise that answer is on its way */
    } else if (!sp_app_can_join(space)) {
        sp_app_describe(space, why, sizeof(why));
        sp_live_refuse(session, msg->ref, "not_running", why);
    } else if (!fn) {
        sp_live_refuse(session, msg->ref, "no_function", "The app has no such function.");
    } else {
        join(conn, msg, fn);
    }
}

static void on_ack(struct sp_app_session *session, uint64_t seq)
{
    struct sp_live *live = session->live;

    if (seq > live->seq)
        return;
    sp_live_forget_until(live, seq);
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

static void on_msg(struct sp_live_conn *conn, struct sp_app_space *space, struct sp_live_msg *msg)
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
        out = sp_live_begin(conn->session);
        sp_live_put_pong(out);
        (void)sp_ws_send(conn->ws, sp_buf_slice(out));
        break;
    }
}

static void on_message(void *arg, struct sp_ws_conn *ws, struct sp_slice text)
{
    struct sp_live_conn *conn = arg;
    struct sp_app_space *space = conn->apps ? sp_app_space_get(conn->apps, conn->space) : NULL;
    struct sp_live_msg msg;
    struct sp_error err;

    if (!space || conn->apps->closing)
        return;
    if (sp_live_msg_decode(text, &msg, &err) < 0) {
        if (conn->session && msg.type == SP_LIVE_JOIN && msg.ref[0])
            sp_live_refuse(conn->session, msg.ref, "bad_input", err.msg);
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
    struct sp_live_conn *conn = arg;

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
    struct sp_live_conn *conn = arg;

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
    SP_CONTAINER(link, struct sp_live_conn, link)->apps = NULL;
}

void sp_apps_space_access(struct sp_apps *apps, uint64_t space)
{
    SP_LIST_EACH (link, &apps->links, struct sp_app_link, node) {
        struct sp_live_conn *conn = SP_CONTAINER(link, struct sp_live_conn, link);

        if (link->orphan == on_orphan && conn->space == space && conn->ws)
            sp_ws_close(conn->ws, 1012, "who may use this app has changed");
    }
}

void sp_app_live(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    static const struct sp_ws_callbacks callbacks = {on_message, on_drain, on_closed};
    struct sp_live_conn *conn;
    struct sp_buf request SP_AUTO_BUF = {0};

    (void)rest;
    sp_buf_init(&request, 0);
    sp_worker_put_request(&request, sp_exchange_request(ex), sp_exchange_peer(ex),
                          sp_exchange_base_url(ex), sp_app_username(ex));
    conn = sp_new0(struct sp_live_conn);
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
