/* Gradio's /run and /api: the answer is the result, outside of the journal. */
#include "runtime/app/app-internal.h"

#include "base/error.h"
#include "runtime/server/server.h"

/* Between an exchange and its event: either may go first. */
struct sp_gradio_runner {
    struct sp_app_event *ev; /* NULL once it is gone */
    uint64_t ex;
};

/* The exchange to answer, which is then rid of us; NULL when the client has gone. */
static struct sp_exchange *take_exchange(struct sp_app_event *ev)
{
    struct sp_gradio_runner *runner = ev->by.runner;
    struct sp_exchange *ex;

    ev->by.runner = NULL;
    if (!runner)
        return NULL;
    ex = sp_exchange_find(ev->apps->server, runner->ex);
    runner->ev = NULL;
    if (!ex)
        return NULL; /* on_gone is about to come and frees the runner */
    sp_exchange_on_gone(ex, NULL, NULL);
    free(runner);
    return ex;
}

static void on_gone(void *arg)
{
    struct sp_gradio_runner *runner = arg;
    struct sp_app_event *ev = runner->ev;

    free(runner);
    if (!ev)
        return;
    ev->by.runner = NULL;
    ev->view = NULL;
    sp_app_event_cancel(ev);
    sp_event_drop(ev);
}

static void run_accepted(struct sp_app_event *ev, const struct sp_error *err)
{
    (void)ev;
    (void)err;
}

static void run_nothing(struct sp_app_event *ev)
{
    (void)ev;
}

static void run_progress(struct sp_app_event *ev, struct sp_slice data)
{
    (void)ev;
    (void)data;
}

static void run_log(struct sp_app_event *ev, const struct sp_gradio_log *log)
{
    (void)ev;
    (void)log;
}

static void run_yield(struct sp_app_event *ev, struct sp_slice data, bool whole)
{
    (void)ev;
    (void)data;
    (void)whole;
}

static void run_ended(struct sp_app_event *ev)
{
    struct sp_exchange *ex = take_exchange(ev);
    struct sp_gradio_output output = {.data = sp_slice(ev->result, ev->result_len),
                                      .run_us = ev->run_us,
                                      .average_us = ev->average_us};
    struct sp_buf body SP_AUTO_BUF = {0};

    sp_buf_init(&body, 0);
    if (ex && ev->outcome == SP_SCHED_DONE) {
        sp_gradio_put_output(&body, &output);
        sp_reply(ex, 200, "application/json", sp_buf_slice(&body));
    } else if (ex && ev->outcome == SP_SCHED_CANCELED) {
        sp_reply(ex, 500, "application/json", SP_SLICE("{\"error\":\"Cancelled\"}"));
    } else if (ex) {
        sp_reply(ex, 500, "application/json", output.data);
    }
    sp_event_drop(ev);
}

static void run_dropped(struct sp_app_event *ev)
{
    struct sp_exchange *ex = take_exchange(ev);

    if (ex)
        sp_app_reply_detail(ex, 503, "This request was removed.");
}

static const struct sp_event_view run_view = {
    .accepted = run_accepted,
    .estimate = run_nothing,
    .starts = run_nothing,
    .progress = run_progress,
    .log = run_log,
    .yield = run_yield,
    .ended = run_ended,
    .dropped = run_dropped,
    .takes_edits = true,
};

/* Old clients post to /api/predict with fn_index; for others the path names the endpoint. */
static const struct sp_worker_function *which(struct sp_app_space *space, const char *rest,
                                              const struct sp_gradio_join *body)
{
    struct sp_slice name = sp_slice_str(rest);
    const struct sp_worker_function *fn;

    if (name.len && name.ptr[name.len - 1] == '/')
        name.len--;
    if (body->has_fn)
        return sp_app_function(space, body->fn);
    fn = sp_app_function_named(space, name);
    return fn && strcmp(fn->api_visibility, "private") != 0 ? fn : NULL;
}

void sp_gradio_run(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    struct sp_gradio_runner *runner;
    struct sp_gradio_join body;
    const struct sp_worker_function *fn;
    struct sp_app_event *ev;
    struct sp_error err;

    if (!sp_app_can_join(space)) {
        sp_app_hold(space, ex);
        return;
    }
    if (sp_gradio_parse_join(sp_exchange_body(ex), SP_GRADIO_NEED_DATA, &body, &err) < 0) {
        sp_app_reply_detail(ex, 422, "%s", err.msg);
        return;
    }
    fn = which(space, rest, &body);
    if (!fn) {
        sp_app_reply_detail(ex, 404, "The app has no such endpoint.");
        return;
    }
    runner = sp_new0(struct sp_gradio_runner);
    runner->ex = sp_exchange_id(ex);
    ev = sp_app_join_http(space, ex, &body, fn, body.session, SP_EVENT_RUN, &run_view);
    if (!ev) {
        free(runner);
        return;
    }
    runner->ev = ev;
    ev->by.runner = runner;
    sp_exchange_on_gone(ex, on_gone, runner);
}
