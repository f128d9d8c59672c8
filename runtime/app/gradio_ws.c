/*
 * The WebSocket of Gradio 3.x: GET /queue/join, one connection for each request.
 *
 * Gradio 3 takes a place in the queue first and asks for the data when it is the visitor's turn. We
 * ask at once and queue what has come: a client that never sends its data then blocks nobody. The
 * client sees the same messages in the same order.
 */
#include "runtime/app/app-internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/server/server.h"

struct sp_gradio_ws {
    struct sp_app_link link;
    struct sp_alarm alarm;
    struct sp_apps *apps; /* NULL once they are closed */
    uint64_t space;
    struct sp_ws_conn *ws;
    struct sp_app_event *ev; /* NULL before the join and after the end */
    char *request;
    size_t request_len;
    uint32_t fn;
    uint32_t rank; /* of the last estimation sent */
    uint32_t size;
    bool has_hash;
    bool joined;
    char session[SP_GRADIO_SESSION_MAX + 1];
};

static const struct sp_gradio_head head = {.dialect = SP_GRADIO_WS};

static struct sp_buf *begin(struct sp_gradio_ws *conn)
{
    sp_buf_reset(&conn->apps->scratch);
    return &conn->apps->scratch;
}

static void finish(struct sp_gradio_ws *conn)
{
    /* A client that does not read 3.x messages has no way to resume: it is cut off. */
    if (!sp_ws_send(conn->ws, sp_buf_slice(&conn->apps->scratch)))
        sp_ws_close(conn->ws, 1013, "the messages are not read");
}

static void put_plain(struct sp_gradio_ws *conn, const char *msg)
{
    sp_gradio_put_ws_plain(begin(conn), msg);
    finish(conn);
}

/* The last message: a failure in Gradio's words, then the clean close that clients insist on. */
static void fail(struct sp_gradio_ws *conn, const char *sentence)
{
    struct sp_buf text SP_AUTO_BUF = {0};
    struct sp_gradio_failure failure = {.visible = true};

    sp_buf_init(&text, 0);
    (void)sp_buf_append_json_string(&text, sp_slice_str(sentence));
    failure.error = sp_buf_slice(&text);
    sp_gradio_put_failed(begin(conn), &head, &failure, "failed");
    finish(conn);
    sp_ws_close(conn->ws, 1000, "");
}

/* --- the view --------------------------------------------------------------------------------- */

static void put_estimation(struct sp_gradio_ws *conn, uint32_t rank, uint32_t size, int64_t eta_us)
{
    int64_t each = eta_us < 0 ? -1 : eta_us / (rank + 1);
    const struct sp_gradio_ws_estimation est = {
        .rank = rank,
        .queue_size = size,
        .average_us = each,
        .concurrent_us = each,
        .rank_eta_us = eta_us < 0 ? -1 : eta_us,
        .queue_eta_us = each < 0 ? -1 : each * size,
    };

    conn->rank = rank;
    conn->size = size;
    sp_gradio_put_ws_estimation(begin(conn), &est);
    finish(conn);
}

static void view_accepted(struct sp_app_event *ev, const struct sp_error *err)
{
    struct sp_gradio_ws *conn = ev->by.ws;

    if (!err || !conn)
        return;
    conn->ev = NULL;
    ev->by.ws = NULL;
    fail(conn, err->msg);
}

static void view_estimate(struct sp_app_event *ev)
{
    struct sp_gradio_ws *conn = ev->by.ws;

    if (conn->rank != ev->rank || conn->size != ev->size)
        put_estimation(conn, ev->rank, ev->size, ev->eta_us);
}

static void view_starts(struct sp_app_event *ev)
{
    sp_gradio_put_starts(begin(ev->by.ws), &head, ev->eta_us);
    finish(ev->by.ws);
}

static void view_progress(struct sp_app_event *ev, struct sp_slice progress_data)
{
    sp_gradio_put_progress(begin(ev->by.ws), &head, progress_data);
    finish(ev->by.ws);
}

static void view_log(struct sp_app_event *ev, const struct sp_gradio_log *log)
{
    sp_gradio_put_log(begin(ev->by.ws), &head, log);
    finish(ev->by.ws);
}

static void view_yield(struct sp_app_event *ev, struct sp_slice data, bool whole)
{
    struct sp_gradio_output output = {.data = data,
                                      .is_generating = true,
                                      .run_us = sp_event_age_us(ev),
                                      .average_us = ev->average_us};

    (void)whole; /* takes_edits is false */
    sp_gradio_put_generating(begin(ev->by.ws), &head, &output);
    finish(ev->by.ws);
}

static void view_ended(struct sp_app_event *ev)
{
    struct sp_gradio_ws *conn = ev->by.ws;

    sp_event_put_end(ev, begin(conn), &head);
    finish(conn);
    sp_ws_close(conn->ws, 1000, "");
    conn->ev = NULL;
    ev->view = NULL;
    sp_event_drop(ev);
}

static void view_dropped(struct sp_app_event *ev)
{
    struct sp_gradio_ws *conn = ev->by.ws;

    if (!conn)
        return;
    conn->ev = NULL;
    sp_ws_close(conn->ws, 1001, "");
}

static const struct sp_event_view view = {
    .accepted = view_accepted,
    .estimate = view_estimate,
    .starts = view_starts,
    .progress = view_progress,
    .log = view_log,
    .yield = view_yield,
    .ended = view_ended,
    .dropped = view_dropped,
};

/* --- what the client says --------------------------------------------------------------------- */

static bool is_full(struct sp_app_space *space)
{
    struct sp_sched_totals totals = {0};

    (void)sp_sched_totals(space->apps->sched, space->id, &totals);
    return space->max_size >= 0 && totals.waiting >= (uint64_t)space->max_size;
}

static void on_hash(struct sp_gradio_ws *conn, struct sp_app_space *space, struct sp_slice text)
{
    struct sp_gradio_join msg;
    struct sp_sched_view preview;
    struct sp_error err;

    if (sp_gradio_parse_join(text, SP_GRADIO_NEED_FN | SP_GRADIO_NEED_SESSION, &msg, &err) < 0) {
        fail(conn, err.msg);
        return;
    }
    if (!sp_sched_preview(space->apps->sched, space->id, msg.fn, sp_clock_mono_ns() / 1000,
                          &preview)) {
        fail(conn, "The app has no such function.");
        return;
    }
    if (is_full(space)) {
        put_plain(conn, "queue_full");
        sp_ws_close(conn->ws, 1000, "");
        return;
    }
    conn->has_hash = true;
    conn->fn = msg.fn;
    memcpy(conn->session, msg.session, sizeof(conn->session));
    put_estimation(conn, preview.rank, preview.rank + 1, preview.eta_us);
    put_plain(conn, "send_data");
    sp_alarm_set(&conn->apps->alarms, SP_ALARM_SOCKET, &conn->alarm);
}

static void join(struct sp_gradio_ws *conn, struct sp_app_session *session, struct sp_app_join *ask)
{
    struct sp_app_refused refused;
    struct sp_app_event *ev;

    ask->session = session;
    ev = sp_app_join(conn->apps, ask, &refused);
    sp_session_settle(session);
    if (!ev && refused.why == SP_REFUSED_FULL) {
        put_plain(conn, "queue_full");
        sp_ws_close(conn->ws, 1000, "");
    } else if (!ev) {
        fail(conn, refused.msg);
    } else {
        conn->ev = ev;
        ev->by.ws = conn;
    }
}

static void on_data(struct sp_gradio_ws *conn, struct sp_app_space *space, struct sp_slice text)
{
    const struct sp_worker_function *fn = sp_app_function(space, conn->fn);
    struct sp_app_session *session;
    struct sp_buf fitted SP_AUTO_BUF = {0};
    struct sp_app_join ask = {.kind = SP_EVENT_WS,
                              .view = &view,
                              .fn = fn,
                              .request = sp_slice(conn->request, conn->request_len)};
    struct sp_gradio_join msg;
    struct sp_error err;

    conn->joined = true;
    sp_alarm_clear(&conn->alarm);
    sp_buf_init(&fitted, 0);
    if (!fn || !sp_app_can_join(space)) {
        fail(conn, "The app has been restarted. Please reload the page.");
        return;
    }
    if (sp_gradio_parse_join(text, SP_GRADIO_NEED_DATA, &msg, &err) < 0) {
        fail(conn, err.msg);
        return;
    }
    ask.event_data = msg.event_data;
    ask.trigger = -1;
    ask.queued = fn->queue;
    session = strncmp(conn->session, "live:", 5) == 0
                  ? NULL
                  : sp_session_need(space, sp_slice_str(conn->session));
    if (!sp_app_fit_inputs(fn, msg.data, msg.n_data, &fitted, &ask.data))
        fail(conn, "The number of inputs is not what the function takes.");
    else if (!session)
        fail(conn, "Too many visitors at the moment (limit.sessions).");
    else
        join(conn, session, &ask);
}

static void on_message(void *arg, struct sp_ws_conn *ws, struct sp_slice text)
{
    struct sp_gradio_ws *conn = arg;
    struct sp_app_space *space = conn->apps ? sp_app_space_get(conn->apps, conn->space) : NULL;

    (void)ws;
    if (!space || conn->apps->closing || conn->joined)
        return;
    if (!conn->has_hash)
        on_hash(conn, space, text);
    else
        on_data(conn, space, text);
}

/* Without a way to resume there is nobody left to work for. */
static void on_closed(void *arg, int code)
{
    struct sp_gradio_ws *conn = arg;
    struct sp_app_event *ev = conn->ev;

    (void)code;
    if (conn->apps) {
        sp_alarm_clear(&conn->alarm);
        conn->apps->stats.live_streams--;
    }
    if (ev) {
        ev->view = NULL;
        sp_app_event_cancel(ev);
        sp_event_drop(ev);
    }
    sp_list_remove(&conn->link.node);
    free(conn->request);
    free(conn);
}

/* It owed us a message. */
void sp_gradio_ws_alarm(void *arg, struct sp_alarm *alarm)
{
    struct sp_gradio_ws *conn = SP_CONTAINER(alarm, struct sp_gradio_ws, alarm);

    (void)arg;
    conn->joined = true;
    fail(conn, "Time out uploading data to server");
}

static void on_orphan(struct sp_app_link *link)
{
    struct sp_gradio_ws *conn = SP_CONTAINER(link, struct sp_gradio_ws, link);

    sp_alarm_clear(&conn->alarm);
    if (conn->ev) {
        conn->ev->view = NULL;
        conn->ev = NULL;
    }
    conn->apps = NULL;
    sp_ws_close(conn->ws, 1001, "");
}

void sp_gradio_ws_join(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    static const struct sp_ws_callbacks callbacks = {on_message, NULL, on_closed};
    struct sp_gradio_ws *conn;
    struct sp_buf request SP_AUTO_BUF = {0};

    (void)rest;
    if (!sp_exchange_request(ex)->upgrade_websocket) {
        sp_app_reply_detail(ex, 404,
                            "The queue is joined by POST (sse_v1 to sse_v3) or by a WebSocket "
                            "(Gradio 3); the SSE of Gradio 4.0 to 4.8 is not served.");
        return;
    }
    if (!sp_app_can_join(space)) {
        sp_app_hold(space, ex);
        return;
    }
    sp_buf_init(&request, 0);
    sp_worker_put_request(&request, sp_exchange_request(ex), sp_exchange_peer(ex),
                          sp_exchange_base_url(ex), sp_app_username(ex));
    conn = sp_new0(struct sp_gradio_ws);
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
    sp_list_append(&conn->apps->links, &conn->link.node);
    sp_alarm_init(&conn->alarm);
    sp_alarm_set(&conn->apps->alarms, SP_ALARM_SOCKET, &conn->alarm);
    conn->apps->stats.live_streams++;
    put_plain(conn, "send_hash");
}
