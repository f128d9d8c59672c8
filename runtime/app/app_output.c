/* What a request has put out so far, and how its end reads. */
#include "runtime/app/app-internal.h"

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/scan.h"
#include "ui-protocol/diff.h"

/* Edits are kept as they came and applied when somebody needs whole values, or above these. */
#define OPS_MAX       64
#define OPS_BYTES_MAX ((size_t)64 * 1024)

/* Not sp_json_parse: that is for small documents; this one the worker's line limit has bounded. */
static json_t *parse(struct sp_slice text)
{
    return json_loadb(text.ptr, text.len, JSON_DECODE_ANY, NULL);
}

static int apply_all(json_t **value, struct sp_slice list, struct sp_error *err)
{
    struct sp_slice ops;
    size_t cursor = 0;

    while (sp_scan_next(list, &cursor, &ops)) {
        SP_AUTO_JSON json_t *edits = parse(ops);
        int r = edits ? sp_diff_apply(value, edits, err)
                      : sp_error_set(err, SP_ERR_INVALID, 0, "edits that are not JSON");

        if (r < 0)
            return r;
    }
    return 0;
}

/* A broken edit changes nothing: the values stay as they were before it. */
static void fold(struct sp_event_output *out)
{
    SP_AUTO_JSON json_t *value = parse(sp_buf_slice(&out->base));
    struct sp_error err;

    (void)sp_buf_append_char(&out->ops, ']');
    if (value && apply_all(&value, sp_buf_slice(&out->ops), &err) < 0)
        sp_log(SP_LOG_DEBUG, "worker.bad_edit", "err=%s", sp_log_quoted(err.msg));
    if (value) {
        sp_buf_reset(&out->base);
        (void)sp_json_dump(value, &out->base);
    }
    sp_buf_done(&out->ops);
    out->n_ops = 0;
}

struct sp_slice sp_event_output(struct sp_app_event *ev)
{
    if (!ev->out)
        return (struct sp_slice){0};
    if (ev->out->n_ops)
        fold(ev->out);
    return sp_buf_slice(&ev->out->base);
}

static void keep_values(struct sp_app_event *ev, struct sp_slice data)
{
    if (!ev->out) {
        ev->out = sp_new0(struct sp_event_output);
        sp_buf_init(&ev->out->base, 0);
        sp_buf_init(&ev->out->ops, 0);
    }
    sp_buf_reset(&ev->out->base);
    (void)sp_buf_append_slice(&ev->out->base, data);
    sp_buf_done(&ev->out->ops);
    ev->out->n_ops = 0;
}

static void keep_edits(struct sp_app_event *ev, struct sp_slice ops)
{
    (void)sp_buf_append_char(&ev->out->ops, ev->out->n_ops ? ',' : '[');
    (void)sp_buf_append_slice(&ev->out->ops, ops);
    if (++ev->out->n_ops > OPS_MAX || ev->out->ops.len > OPS_BYTES_MAX)
        fold(ev->out);
}

int64_t sp_event_age_us(const struct sp_app_event *ev)
{
    return (int64_t)(uv_now(ev->apps->loop) - ev->started_ms) * 1000;
}

static void show(struct sp_app_event *ev, const struct sp_worker_msg *msg)
{
    if (!ev->accepted || !ev->view || ev->cancel_sent)
        return;
    if (msg->data.ptr)
        ev->view->yield(ev, msg->data, true);
    else if (ev->view->takes_edits)
        ev->view->yield(ev, msg->ops, false);
    else
        ev->view->yield(ev, sp_event_output(ev), true);
}

bool sp_event_take_yield(struct sp_app_event *ev, const struct sp_worker_msg *msg)
{
    if (msg->data.ptr)
        keep_values(ev, msg->data);
    else if (ev->out)
        keep_edits(ev, msg->ops);
    else
        return false;
    ev->seq = msg->seq;
    if (ev->spent < UINT8_MAX)
        ev->spent++;
    ev->wants_credit = false;
    show(ev, msg); /* a view that cannot keep up sets wants_credit */
    if (ev->spent >= SP_APP_CREDITS / 2 && !ev->wants_credit)
        sp_event_credit(ev);
    return true;
}

/* Each value as an edit that replaces the whole. */
static void make_edits(struct sp_slice data, struct sp_buf *buf)
{
    struct sp_slice value;
    size_t cursor = 0;
    const char *before = "[";

    while (sp_scan_next(data, &cursor, &value)) {
        (void)sp_buf_append_str(buf, before);
        (void)sp_buf_append_str(buf, "[[\"replace\",[],");
        (void)sp_buf_append_slice(buf, value);
        (void)sp_buf_append_str(buf, "]]");
        before = ",";
    }
    (void)sp_buf_append_str(buf, *before == '[' ? "[]" : "]");
}

struct sp_slice sp_event_edits(struct sp_app_event *ev, struct sp_slice data, bool whole,
                               struct sp_buf *buf)
{
    if (!ev->yielded) {
        ev->yielded = true;
        return whole ? data : sp_event_output(ev);
    }
    if (!whole)
        return data;
    make_edits(data, buf);
    return sp_buf_slice(buf);
}

void sp_event_catch_up(struct sp_app_event *ev)
{
    const struct sp_event_view *view = ev->view;

    if (!view || !ev->accepted)
        return;
    ev->yielded = false;
    switch (ev->state) {
    case SP_EVENT_WAITING:
        if (ev->size)
            view->estimate(ev);
        break;
    case SP_EVENT_RUNNING:
        view->starts(ev);
        if (ev->out && ev->view)
            view->yield(ev, sp_event_output(ev), true);
        break;
    case SP_EVENT_ENDED:
        if (!ev->ending)
            view->ended(ev);
        break;
    }
}

/* --- the end as clients read it ------------------------------------------------------------------
 */

void sp_event_failure(struct sp_app_event *ev, struct sp_gradio_failure *ret)
{
    struct sp_scan_field fields[] = {
        {.key = "error"}, {.key = "title"}, {.key = "duration"}, {.key = "visible"}};

    *ret = (struct sp_gradio_failure){.error = SP_SLICE("null"), .visible = true};
    if (!ev->result ||
        sp_scan_object(sp_slice(ev->result, ev->result_len), fields, SP_LEN(fields), NULL) < 0)
        return;
    if (fields[0].kind != SP_SCAN_ABSENT)
        ret->error = fields[0].value;
    ret->title = fields[1].value;
    ret->duration = fields[2].value;
    (void)sp_scan_get_bool(&fields[3], &ret->visible);
}

void sp_event_put_end(struct sp_app_event *ev, struct sp_buf *out,
                      const struct sp_gradio_head *head)
{
    const char *outcome = sp_sched_outcome_to_string(ev->outcome);
    struct sp_gradio_failure failure;
    struct sp_gradio_output output = {
        .data = sp_slice(ev->result, ev->result_len),
        /* A 3.x client is told that a generator's last value is a repetition. */
        .is_generating = head->dialect == SP_GRADIO_WS && ev->generator,
        .run_us = ev->run_us,
        .average_us = ev->average_us,
    };

    switch ((enum sp_sched_outcome)ev->outcome) {
    case SP_SCHED_DONE: sp_gradio_put_completed(out, head, &output, outcome); break;
    case SP_SCHED_CANCELED: sp_gradio_put_cancelled(out, head, output.data, ev->n_outputs); break;
    case SP_SCHED_FAILED:
    case SP_SCHED_LOST:
        sp_event_failure(ev, &failure);
        sp_gradio_put_failed(out, head, &failure, outcome);
        break;
    }
}
