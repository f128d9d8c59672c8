/* Gradio's plain REST: /call and its fetch, /run, /api. Values are whole here, never edits. */
#include "runtime/app/app-internal.h"

#include "base/error.h"
#include "base/json.h"
#include "base/scan.h"
#include "runtime/server/server.h"
#include "ui-protocol/sse.h"

/* --- which function --------------------------------------------------------------------------- */

static const struct sp_worker_function *
public_function(struct sp_app_space *space, struct sp_exchange *ex, struct sp_slice name)
{
    const struct sp_worker_function *fn = sp_app_function_named(space, name);

    if (fn && strcmp(fn->api_visibility, "private") != 0)
        return fn;
    sp_app_reply_detail(ex, 404, "The app has no endpoint '/%.*s'.", (int)name.len, name.ptr);
    return NULL;
}

static struct sp_slice without_slash(const char *rest)
{
    struct sp_slice name = sp_slice_str(rest);

    if (name.len && name.ptr[name.len - 1] == '/')
        name.len--;
    return name;
}

static bool parse_body(struct sp_exchange *ex, struct sp_slice text, struct sp_gradio_join *ret)
{
    struct sp_error err;

    if (sp_gradio_parse_join(text, SP_GRADIO_NEED_DATA, ret, &err) == 0)
        return true;
    sp_app_reply_detail(ex, 422, "%s", err.msg);
    return false;
}

/* --- POST /call ------------------------------------------------------------------------------- */

/* Nobody has come to fetch it: what happens is kept in the event itself. */
static void detached_accepted(struct sp_app_event *ev, const struct sp_error *err)
{
    struct sp_exchange *ex = sp_exchange_find(ev->apps->server, ev->by.ex);
    struct sp_buf body SP_AUTO_BUF = {0};

    if (err) {
        if (ex)
            sp_app_reply_detail(ex, 503, "The request could not be stored: %s", err->msg);
        return;
    }
    ev->view = NULL;
    if (ev->state != SP_EVENT_ENDED)
        sp_alarm_set(&ev->apps->alarms, SP_ALARM_DETACHED, &ev->alarm);
    if (!ex)
        return;
    sp_buf_init(&body, 0);
    sp_gradio_put_event_id(&body, &ev->id);
    sp_reply(ex, 200, "application/json", sp_buf_slice(&body));
}

static const struct sp_event_view detached_view = {.accepted = detached_accepted};

static void call(struct sp_app_space *space, struct sp_exchange *ex, struct sp_slice name,
                 struct sp_slice text)
{
    const struct sp_worker_function *fn = public_function(space, ex, name);
    struct sp_gradio_join body;

    if (fn && parse_body(ex, text, &body))
        (void)sp_app_join_http(space, ex, &body, fn, body.session, SP_EVENT_CALL, &detached_view);
}

void sp_gradio_call(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    if (!sp_app_can_join(space))
        sp_app_hold(space, ex);
    else
        call(space, ex, without_slash(rest), sp_exchange_body(ex));
}

/* --- POST /call/v2: named arguments ----------------------------------------------------------- */

/* The endpoint's parameters as the worker's /info describes them; NULL when it cannot be read. */
static json_t *parameters_of(const struct sp_app_space *space, struct sp_slice name)
{
    SP_AUTO_JSON json_t *info = NULL;
    SP_AUTO_FREE char *key = sp_asprintf("/%.*s", (int)name.len, name.ptr);
    json_t *list;

    if (sp_json_parse(sp_slice(space->info, space->info_len), &info, NULL) < 0)
        return NULL;
    list = json_object_get(json_object_get(json_object_get(info, "named_endpoints"), key),
                           "parameters");
    return json_is_array(list) ? json_incref(list) : NULL;
}

static bool put_argument(const json_t *args, const json_t *param, struct sp_buf *data,
                         struct sp_exchange *ex)
{
    const char *name = json_string_value(json_object_get(param, "parameter_name"));
    json_t *value = name ? json_object_get(args, name) : NULL;

    if (!value && json_is_true(json_object_get(param, "parameter_has_default")))
        value = json_object_get(param, "parameter_default");
    if (!value) {
        sp_app_reply_detail(ex, 422, "missing argument '%s'", name ? name : "?");
        return false;
    }
    return sp_json_dump(value, data);
}

static bool put_arguments(const json_t *args, const json_t *params, struct sp_buf *data,
                          struct sp_exchange *ex)
{
    size_t i;
    json_t *param;

    (void)sp_buf_append_str(data, "{\"data\":[");
    json_array_foreach (params, i, param) {
        if (i)
            (void)sp_buf_append_char(data, ',');
        if (!put_argument(args, param, data, ex))
            return false;
    }
    return sp_buf_append_str(data, "]}");
}

void sp_gradio_call_v2(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    struct sp_slice name = without_slash(rest);
    SP_AUTO_JSON json_t *params = NULL;
    SP_AUTO_JSON json_t *args = NULL;
    struct sp_buf data SP_AUTO_BUF = {0};
    struct sp_error err;

    if (!sp_app_can_join(space)) {
        sp_app_hold(space, ex);
        return;
    }
    if (!public_function(space, ex, name))
        return;
    params = parameters_of(space, name);
    if (!params || sp_json_parse(sp_exchange_body(ex), &args, &err) < 0 || !json_is_object(args)) {
        sp_app_reply_detail(ex, 422, "an object of named arguments is expected");
        return;
    }
    sp_buf_init(&data, 0);
    if (put_arguments(args, params, &data, ex))
        call(space, ex, name, sp_buf_slice(&data));
}

/* --- GET /call/{api}/{event_id} --------------------------------------------------------------- */

static struct sp_exchange *fetcher(struct sp_app_event *ev)
{
    return sp_exchange_find(ev->apps->server, ev->by.ex);
}

static void put_block(struct sp_exchange *ex, const char *event, struct sp_slice data)
{
    struct sp_buf block SP_AUTO_BUF = {0};

    sp_buf_init(&block, 0);
    sp_sse_put_event(&block, event, data);
    if (ex && !sp_stream_write(ex, sp_buf_slice(&block)))
        sp_exchange_abort(ex); /* the result stays for another fetch */
}

static void fetch_nothing(struct sp_app_event *ev)
{
    (void)ev;
}

static void fetch_progress(struct sp_app_event *ev, struct sp_slice data)
{
    (void)ev;
    (void)data;
}

static void fetch_log(struct sp_app_event *ev, const struct sp_gradio_log *log)
{
    (void)ev;
    (void)log;
}

static void fetch_yield(struct sp_app_event *ev, struct sp_slice data, bool whole)
{
    (void)whole;
    put_block(fetcher(ev), "generating", data);
}

static void send_end(struct sp_app_event *ev, struct sp_exchange *ex)
{
    struct sp_buf nulls SP_AUTO_BUF = {0};
    struct sp_slice data = sp_slice(ev->result, ev->result_len);

    sp_buf_init(&nulls, 0);
    if (ev->outcome == SP_SCHED_CANCELED && !data.len) {
        sp_gradio_put_nulls(&nulls, ev->n_outputs);
        data = sp_buf_slice(&nulls);
    }
    if (ev->outcome == SP_SCHED_FAILED || ev->outcome == SP_SCHED_LOST)
        put_block(ex, "error", data);
    else
        put_block(ex, "complete", data);
}

static void fetch_ended(struct sp_app_event *ev)
{
    struct sp_exchange *ex = fetcher(ev);

    ev->view = NULL;
    if (!ex)
        return;
    send_end(ev, ex);
    ex = fetcher(ev);
    if (ex)
        sp_stream_end(ex);
}

static void fetch_accepted(struct sp_app_event *ev, const struct sp_error *err)
{
    (void)ev;
    (void)err;
}

/* The event goes without an end (its Space is removed): the follower is told. */
static void fetch_dropped(struct sp_app_event *ev)
{
    struct sp_exchange *ex = fetcher(ev);

    if (!ex)
        return;
    put_block(ex, "error", SP_SLICE("\"This request was removed.\""));
    ex = fetcher(ev);
    if (ex)
        sp_stream_end(ex);
}

static const struct sp_event_view fetch_view = {
    .accepted = fetch_accepted,
    .estimate = fetch_nothing,
    .starts = fetch_nothing,
    .progress = fetch_progress,
    .log = fetch_log,
    .yield = fetch_yield,
    .ended = fetch_ended,
    .dropped = fetch_dropped,
};

static void reply_unknown_event(struct sp_exchange *ex)
{
    sp_stream_start(ex, 200, "text/event-stream; charset=utf-8");
    put_block(ex, "error", SP_SLICE("\"404: Not Found\""));
    sp_stream_end(ex);
}

static struct sp_app_event *find_event(struct sp_app_space *space, const char *rest)
{
    const char *slash = strrchr(rest, '/');
    struct sp_id id;
    struct sp_app_event *ev;

    if (!slash || !sp_id_from_hex(sp_slice_str(slash + 1), &id))
        return NULL;
    ev = sp_app_event_find(space, &id);
    return ev && ev->session && ev->accepted ? ev : NULL;
}

/* The result of another transport's request can be had here too, but not its stream. */
static bool may_follow(const struct sp_app_event *ev)
{
    return !ev->view || ev->view == &fetch_view || ev->session->restored;
}

/* Keeps proxies from cutting a long wait, and notices who has gone. */
void sp_gradio_fetch_alarm(void *arg, struct sp_alarm *alarm)
{
    struct sp_app_event *ev = SP_CONTAINER(alarm, struct sp_app_event, alarm);
    struct sp_exchange *ex = fetcher(ev);
    struct sp_apps *apps = arg;

    if (ex) {
        put_block(ex, "heartbeat", SP_SLICE("null"));
        sp_alarm_set(&apps->alarms, SP_ALARM_FOLLOWED, alarm);
    } else {
        ev->view = NULL;
        sp_alarm_set(&apps->alarms, SP_ALARM_DETACHED, alarm);
    }
}

static void follow(struct sp_app_event *ev, struct sp_exchange *ex)
{
    struct sp_exchange *old = ev->view == &fetch_view ? fetcher(ev) : NULL;

    if (old)
        sp_stream_end(old);
    ev->view = &fetch_view;
    ev->by.ex = sp_exchange_id(ex);
    if (ev->state != SP_EVENT_ENDED)
        sp_alarm_set(&ev->apps->alarms, SP_ALARM_FOLLOWED, &ev->alarm);
    sp_event_catch_up(ev);
}

void sp_gradio_call_fetch(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    struct sp_app_event *ev = find_event(space, rest);

    if (!ev) {
        reply_unknown_event(ex);
        return;
    }
    sp_stream_start(ex, 200, "text/event-stream; charset=utf-8");
    if (ev->state == SP_EVENT_ENDED && !ev->ending) {
        send_end(ev, ex);
        sp_stream_end(ex);
    } else if (may_follow(ev)) {
        follow(ev, ex);
    } else {
        put_block(ex, "error", SP_SLICE("\"This request is followed on its own stream.\""));
        sp_stream_end(ex);
    }
}
