/* The paths below /app/{owner}/{name}: which handler, with or without /gradio_api. */
#include "runtime/app/app-internal.h"

#include <stdarg.h>
#include <stdio.h>

#include "runtime/state/auth.h"
#include "runtime/server/server.h"

struct row {
    enum sp_http_method method;
    const char *path; /* with a '/' or '=' at its end: the handler gets what follows */
    sp_app_handler_fn *handler;
};

/* clang-format off */
static const struct row rows[] = {
    {SP_HTTP_GET,  "config",          sp_gradio_config},
    {SP_HTTP_GET,  "info",            sp_gradio_info},
    {SP_HTTP_POST, "queue/join",      sp_gradio_join},
    {SP_HTTP_GET,  "queue/join",      sp_gradio_ws_join},
    {SP_HTTP_GET,  "queue/data",      sp_gradio_data},
    {SP_HTTP_GET,  "queue/status",    sp_gradio_status},
    {SP_HTTP_GET,  "heartbeat/",      sp_gradio_heartbeat},
    {SP_HTTP_POST, "cancel",          sp_gradio_cancel},
    {SP_HTTP_POST, "reset",           sp_gradio_reset},
    {SP_HTTP_GET,  "app_id",          sp_gradio_app_id},
    {SP_HTTP_GET,  "startup-events",  sp_gradio_startup},
    {SP_HTTP_GET,  "login_check",     sp_gradio_null},
    {SP_HTTP_GET,  "user",            sp_gradio_null},
    {SP_HTTP_POST, "call/v2/",        sp_gradio_call_v2},
    {SP_HTTP_POST, "call/",           sp_gradio_call},
    {SP_HTTP_GET,  "call/",           sp_gradio_call_fetch},
    {SP_HTTP_POST, "run/",            sp_gradio_run},
    {SP_HTTP_POST, "api/",            sp_gradio_run},
    {SP_HTTP_GET,  "file=",           sp_app_file},
    {SP_HTTP_GET,  "file/",           sp_app_file},
    {SP_HTTP_GET,  "upload_progress", sp_app_upload_progress},
    {SP_HTTP_GET,  "live",            sp_app_live},
};
/* clang-format on */

/* --- answers ---------------------------------------------------------------------------------- */

void sp_app_reply_detail(struct sp_exchange *ex, int status, const char *fmt, ...)
{
    char text[512];
    struct sp_buf body SP_AUTO_BUF = {0};
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    sp_buf_init(&body, 0);
    sp_gradio_put_detail(&body, text);
    sp_reply(ex, status, "application/json", sp_buf_slice(&body));
}

void sp_app_reply_refused(struct sp_exchange *ex, const struct sp_app_refused *refused)
{
    int status = refused->why == SP_REFUSED_FUNCTION ? 404 : 503;

    if (status == 503 && refused->why != SP_REFUSED_FULL)
        sp_reply_header(ex, "Retry-After", "5");
    sp_app_reply_detail(ex, status, "%s", refused->msg);
}

const char *sp_app_username(const struct sp_exchange *ex)
{
    const struct sp_user *user = sp_exchange_user(ex);

    return user ? user->name : NULL;
}

/* --- requests that wait for a worker ---------------------------------------------------------- */

struct held {
    struct sp_list node;
    struct sp_alarm alarm;
    struct sp_apps *apps;
    uint64_t space;
    uint64_t ex;
};

static bool is_starting(const struct sp_app_space *space)
{
    static const char *const stages[] = {"BUILDING", "APP_STARTING", "RUNNING", "RUNNING_BUILDING",
                                         "RUNNING_APP_STARTING"};

    if (space->removed)
        return false;
    if (!space->stage)
        return true; /* not heard of yet: the daemon is starting */
    for (size_t i = 0; i < SP_LEN(stages); i++)
        if (strcmp(space->stage, stages[i]) == 0)
            return true;
    return false;
}

bool sp_app_serves(const struct sp_app_space *space)
{
    return space->serving && space->serving->conn && space->config;
}

bool sp_app_can_join(const struct sp_app_space *space)
{
    return sp_app_serves(space) || (space->fns && is_starting(space));
}

void sp_app_describe(const struct sp_app_space *space, char *ret, size_t size)
{
    const struct sp_apps_hooks *hooks = &space->apps->hooks;

    (void)snprintf(ret, size, "The app is not running.");
    if (hooks->describe && !space->removed)
        hooks->describe(hooks->arg, space->id, ret, size);
}

static void reply_not_served(struct sp_app_space *space, struct sp_exchange *ex, const char *also)
{
    char why[400];
    size_t len;
    struct sp_buf body SP_AUTO_BUF = {0};

    sp_app_describe(space, why, 300);
    len = strlen(why);
    (void)snprintf(why + len, sizeof(why) - len, "%s", also);
    sp_buf_init(&body, 0);
    (void)sp_buf_append_str(&body, "{\"detail\":");
    (void)sp_buf_append_json_string(&body, sp_slice_str(why));
    (void)sp_buf_append_str(&body, ",\"stage\":");
    (void)sp_buf_append_json_string(&body, sp_slice_str(space->stage ? space->stage : "STOPPED"));
    (void)sp_buf_append_char(&body, '}');
    sp_reply_header(ex, "Retry-After", "5");
    sp_reply(ex, 503, "application/json", sp_buf_slice(&body));
}

static void held_free(struct held *held)
{
    held->apps->n_held--;
    sp_list_remove(&held->node);
    sp_alarm_clear(&held->alarm);
    free(held);
}

static void on_held_gone(void *arg)
{
    held_free(arg);
}

void sp_app_hold(struct sp_app_space *space, struct sp_exchange *ex)
{
    struct sp_apps *apps = space->apps;
    struct held *held;

    if (!is_starting(space)) {
        reply_not_served(space, ex, "");
        return;
    }
    if (apps->n_held >= apps->limit.held) {
        reply_not_served(space, ex, " Too many requests wait for apps to start (limit.held).");
        return;
    }
    held = sp_new0(struct held);
    held->apps = apps;
    held->space = space->id;
    held->ex = sp_exchange_id(ex);
    apps->n_held++;
    sp_list_init(&held->node);
    sp_list_append(&space->held, &held->node);
    sp_alarm_init(&held->alarm);
    sp_alarm_set(&apps->alarms, SP_ALARM_HOLD, &held->alarm);
    sp_exchange_keep(ex);
    sp_exchange_on_gone(ex, on_held_gone, held);
}

/* The exchange of a held request, which is not held any more. */
static struct sp_exchange *take_held(struct held *held)
{
    struct sp_exchange *ex = sp_exchange_find(held->apps->server, held->ex);

    if (ex)
        sp_exchange_on_gone(ex, NULL, NULL);
    held_free(held);
    return ex;
}

void sp_app_release_held(struct sp_app_space *space)
{
    bool serves = sp_app_serves(space) && !space->removed;

    if (!serves && is_starting(space))
        return;
    SP_LIST_EACH (held, &space->held, struct held, node) {
        struct sp_exchange *ex;

        /* One whose client is just going away is freed by its on_gone. */
        if (!sp_exchange_find(space->apps->server, held->ex)) {
            sp_list_remove(&held->node);
            continue;
        }
        ex = take_held(held);
        if (serves)
            sp_apps_handle(space->apps, ex);
        else
            reply_not_served(space, ex, "");
    }
}

void sp_app_alarm_hold(void *arg, struct sp_alarm *alarm)
{
    struct held *held = SP_CONTAINER(alarm, struct held, alarm);
    struct sp_app_space *space = sp_app_space_get(arg, held->space);
    struct sp_exchange *ex;

    if (!sp_exchange_find(held->apps->server, held->ex))
        return;
    ex = take_held(held);
    if (space)
        reply_not_served(space, ex, "");
}

/* --- other origins ---------------------------------------------------------------------------- */

static bool is_local(struct sp_slice host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "0.0.0.0", "[::1]"};

    for (size_t i = 0; i < SP_LEN(names); i++) {
        size_t len = strlen(names[i]);

        if (sp_slice_starts(host, names[i]) && (host.len == len || host.ptr[len] == ':'))
            return true;
    }
    return false;
}

static struct sp_slice host_of_origin(struct sp_slice origin)
{
    const char *at = memmem(origin.ptr, origin.len, "://", 3);

    return at ? sp_slice(at + 3, origin.len - (size_t)(at + 3 - origin.ptr)) : origin;
}

/*
 * Any page may use a public app, as with Gradio, and as with Gradio an app that is reached as
 * localhost only pages of this machine: otherwise every site on the web could use local apps. The
 * hub's cookies do not count here (the gate sees to that), so credentials give nothing away.
 */
static void allow_origin(struct sp_exchange *ex, const struct sp_http_request *req)
{
    struct sp_slice origin = sp_http_header(req, "Origin");
    char text[300];

    if (!origin.len || origin.len >= sizeof(text))
        return;
    if (is_local(req->host) && !is_local(host_of_origin(origin)))
        return;
    memcpy(text, origin.ptr, origin.len);
    text[origin.len] = '\0';
    sp_reply_header(ex, "Access-Control-Allow-Origin", text);
    sp_reply_header(ex, "Access-Control-Allow-Credentials", "true");
    sp_reply_header(ex, "Vary", "Origin");
}

static void reply_preflight(struct sp_exchange *ex)
{
    sp_reply_header(ex, "Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS");
    sp_reply_header(ex, "Access-Control-Allow-Headers",
                    "authorization, content-type, range, x-gradio-user, x-hf-authorization");
    sp_reply_header(ex, "Access-Control-Max-Age", "600");
    sp_reply_empty(ex, 204);
}

/* --- dispatch --------------------------------------------------------------------------------- */

static const char *match(const struct row *row, const char *rest)
{
    size_t len = strlen(row->path);
    char last = row->path[len - 1];

    if (strncmp(rest, row->path, len) != 0)
        return NULL;
    rest += len;
    if (last == '/' || last == '=')
        return rest;
    return *rest == '\0' || strcmp(rest, "/") == 0 ? rest : NULL;
}

static void dispatch(struct sp_app_space *space, struct sp_exchange *ex, const char *rest,
                     enum sp_http_method method)
{
    bool known = false;

    if (method == SP_HTTP_HEAD)
        method = SP_HTTP_GET;
    for (size_t i = 0; i < SP_LEN(rows); i++) {
        const char *more = match(&rows[i], rest);

        if (more && rows[i].method == method) {
            rows[i].handler(space, ex, more);
            return;
        }
        known |= more != NULL;
    }
    sp_app_reply_detail(ex, known ? 405 : 404, known ? "Method Not Allowed" : "Not Found");
}

void sp_apps_handle(struct sp_apps *apps, struct sp_exchange *ex)
{
    const struct sp_http_request *req = sp_exchange_request(ex);
    const char *rest = sp_exchange_param(ex, "rest");
    struct sp_app_space *space = sp_app_space_need(apps, sp_exchange_space(ex));

    apps->server = sp_exchange_server(ex);
    sp_app_space_touch(space);
    if (apps->closing) {
        sp_app_reply_detail(ex, 503, "The server is stopping. Try again soon.");
        return;
    }
    allow_origin(ex, req);
    if (req->method == SP_HTTP_OPTIONS) {
        reply_preflight(ex);
        return;
    }
    if (strncmp(rest, "gradio_api/", strlen("gradio_api/")) == 0)
        rest += strlen("gradio_api/");
    /* The rows of routes.c that stream their body are those of /upload. */
    if (sp_exchange_route(ex)->body == SP_BODY_STREAM)
        sp_app_upload(space, ex, "");
    else
        dispatch(space, ex, rest, req->method);
}
