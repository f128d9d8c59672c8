/* Gradio's queue over SSE: join, data, heartbeat, cancel, reset, status. */
#include "runtime/app/app-internal.h"

#include "base/error.h"
#include "runtime/server/server.h"
#include "ui-protocol/sse.h"

void sp_gradio_join(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    struct sp_gradio_join body;
    const struct sp_worker_function *fn;
    struct sp_error err;

    (void)rest;
    if (!sp_app_can_join(space)) {
        sp_app_hold(space, ex);
        return;
    }
    if (sp_gradio_parse_join(sp_exchange_body(ex), SP_GRADIO_NEED_DATA | SP_GRADIO_NEED_FN, &body,
                             &err) < 0) {
        sp_app_reply_detail(ex, 422, "%s", err.msg);
        return;
    }
    if (!body.session[0]) {
        sp_app_reply_detail(ex, 400, "Session hash not found.");
        return;
    }
    fn = sp_app_function(space, body.fn);
    if (!fn) {
        sp_app_reply_detail(ex, 404, "The app has no function with fn_index %u.", body.fn);
        return;
    }
    (void)sp_app_join_http(space, ex, &body, fn, body.session, SP_EVENT_SSE, &sp_session_view);
}

static void reply_unknown_session(struct sp_exchange *ex)
{
    struct sp_buf text SP_AUTO_BUF = {0};
    struct sp_buf block SP_AUTO_BUF = {0};

    sp_buf_init(&text, 0);
    sp_buf_init(&block, 0);
    sp_gradio_put_unexpected_error(&text, "404: Not Found", true);
    sp_sse_put_data(&block, sp_buf_slice(&text));
    sp_stream_start(ex, 200, "text/event-stream; charset=utf-8");
    (void)sp_stream_write(ex, sp_buf_slice(&block));
    sp_stream_end(ex);
}

void sp_gradio_data(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    char name[SP_GRADIO_SESSION_MAX + 1];
    struct sp_app_session *session = NULL;

    (void)rest;
    if (sp_http_query_get(sp_exchange_request(ex)->query, "session_hash", name, sizeof(name)))
        session = sp_session_find(space, sp_slice_str(name));
    if (!session || session->live)
        reply_unknown_session(ex);
    else
        sp_session_attach(session, ex);
}

/* --- heartbeat -------------------------------------------------------------------------------- */

/* Holds names and ids, not pointers: sessions and Spaces come and go under it. */
struct alive {
    struct sp_app_link link;
    struct sp_alarm alarm;
    struct sp_apps *apps;
    uint64_t space;
    uint64_t ex;
    char session[];
};

static struct sp_app_session *session_of(const struct alive *alive)
{
    struct sp_app_space *space = alive->apps ? sp_app_space_get(alive->apps, alive->space) : NULL;

    return space ? sp_session_find(space, sp_slice_str(alive->session)) : NULL;
}

static void on_alive_gone(void *arg)
{
    struct alive *alive = arg;
    struct sp_app_session *session = session_of(alive);

    if (session && session->n_heartbeats) {
        session->n_heartbeats--;
        sp_session_settle(session);
    }
    sp_alarm_clear(&alive->alarm);
    sp_list_remove(&alive->link.node);
    free(alive);
}

static void on_alive_orphan(struct sp_app_link *link)
{
    struct alive *alive = SP_CONTAINER(link, struct alive, link);
    struct sp_exchange *ex = sp_exchange_find(alive->apps->server, alive->ex);

    sp_alarm_clear(&alive->alarm);
    alive->apps = NULL;
    if (!ex)
        return; /* its client is just going away: on_alive_gone frees it */
    sp_exchange_on_gone(ex, NULL, NULL);
    sp_stream_end(ex);
    free(alive);
}

static bool put_alive(struct alive *alive)
{
    struct sp_exchange *ex = sp_exchange_find(alive->apps->server, alive->ex);

    return !ex || sp_stream_write(ex, SP_SLICE("data: ALIVE\n\n"));
}

void sp_gradio_alive_alarm(void *arg, struct sp_alarm *alarm)
{
    struct alive *alive = SP_CONTAINER(alarm, struct alive, alarm);
    struct sp_apps *apps = arg;

    sp_alarm_set(&apps->alarms, SP_ALARM_ALIVE, alarm);
    (void)put_alive(alive); /* one who does not read it is cut off by timeout.write */
}

/* Stays open whether the session is known or not: the Python client opens it again at once else. */
void sp_gradio_heartbeat(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    size_t len = strlen(rest);
    struct sp_app_session *session;
    struct alive *alive;

    if (len == 0 || len > SP_GRADIO_SESSION_MAX || strchr(rest, '/') ||
        strncmp(rest, "live:", 5) == 0) {
        sp_app_reply_detail(ex, 404, "Not Found");
        return;
    }
    alive = sp_alloc0(1, sizeof(*alive) + len + 1);
    memcpy(alive->session, rest, len);
    alive->apps = space->apps;
    alive->link.orphan = on_alive_orphan;
    sp_list_init(&alive->link.node);
    sp_list_append(&space->apps->links, &alive->link.node);
    alive->space = space->id;
    alive->ex = sp_exchange_id(ex);
    session = sp_session_need(space, sp_slice(rest, len));
    if (session && session->n_heartbeats < UINT16_MAX) {
        session->n_heartbeats++;
        session->had_heartbeat = true;
        sp_session_settle(session);
    }
    sp_stream_start(ex, 200, "text/event-stream; charset=utf-8");
    sp_exchange_on_gone(ex, on_alive_gone, alive);
    sp_alarm_init(&alive->alarm);
    sp_alarm_set(&space->apps->alarms, SP_ALARM_ALIVE, &alive->alarm);
    (void)put_alive(alive);
}

/* --- cancel, reset, status -------------------------------------------------------------------- */

static void reply_success(struct sp_exchange *ex)
{
    sp_reply(ex, 200, "application/json", SP_SLICE("{\"success\":true}"));
}

/* Success also for an id that is unknown: the same answer whether it exists or not. */
void sp_gradio_cancel(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    struct sp_gradio_join body;
    struct sp_app_event *ev;
    struct sp_error err;

    (void)rest;
    if (sp_gradio_parse_join(sp_exchange_body(ex), SP_GRADIO_NEED_EVENT, &body, &err) < 0) {
        sp_app_reply_detail(ex, 422, "%s", err.msg);
        return;
    }
    ev = sp_app_event_find(space, &body.event_id);
    if (ev && ev->session && (!body.session[0] || strcmp(body.session, ev->session->name) == 0))
        sp_app_event_cancel(ev);
    reply_success(ex);
}

/* A no-op in every Gradio since 4; 3.x clients mean "cancel", with session and function. */
void sp_gradio_reset(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    (void)space;
    (void)rest;
    reply_success(ex);
}

void sp_gradio_status(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    const struct sp_gradio_head head = {.dialect = SP_GRADIO_SSE};
    struct sp_buf body SP_AUTO_BUF = {0};
    uint32_t waiting;
    uint32_t running;

    (void)rest;
    sp_apps_queue_counts(space->apps, space->id, &waiting, &running);
    sp_buf_init(&body, 0);
    sp_gradio_put_estimation(&body, &head, -1, waiting, SP_SCHED_NO_ETA);
    sp_reply(ex, 200, "application/json", sp_buf_slice(&body));
}
