/* How a request is shown to the page. */
#include "runtime/app/live-internal.h"

#include "base/error.h"

/* --- the view --------------------------------------------------------------------------------- */

static struct sp_gradio_head head_of(const struct sp_app_event *ev)
{
    return (struct sp_gradio_head){.dialect = SP_GRADIO_LIVE, .event_id = &ev->id};
}

void sp_live_refuse(struct sp_app_session *session, const char *ref, const char *code,
                    const char *message)
{
    sp_live_put_refused(sp_live_begin(session), 0, sp_slice_str(ref), code, message);
    sp_live_finish(session, true);
}

void sp_live_send_accepted(struct sp_app_event *ev, const struct sp_error *err)
{
    if (err) {
        sp_live_refuse(ev->session, ev->ref, "storage", "The request could not be stored.");
        return;
    }
    sp_live_put_joined(sp_live_begin(ev->session), 0, sp_slice_str(ev->ref), &ev->id);
    sp_live_finish(ev->session, true);
}

static void view_estimate(struct sp_app_event *ev)
{
    struct sp_gradio_head head = head_of(ev);

    if (ev->session->lossy)
        return;
    sp_gradio_put_estimation(sp_live_begin(ev->session), &head, ev->rank, ev->size, ev->eta_us);
    sp_live_finish(ev->session, false);
}

static void view_starts(struct sp_app_event *ev)
{
    struct sp_gradio_head head = head_of(ev);

    if (ev->session->lossy)
        return;
    sp_gradio_put_starts(sp_live_begin(ev->session), &head, ev->eta_us);
    sp_live_finish(ev->session, true);
}

/* More than a progress bar could show is not kept. */
#define PROGRESS_MAX ((size_t)64 * 1024)

static void send_progress(struct sp_app_event *ev)
{
    struct sp_gradio_head head = head_of(ev);

    ev->progress_due = false;
    sp_gradio_put_progress(sp_live_begin(ev->session), &head, sp_slice_str(ev->progress));
    sp_live_finish(ev->session, false);
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
    sp_gradio_put_log(sp_live_begin(ev->session), &head, log);
    sp_live_finish(ev->session, true);
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
    sp_gradio_put_generating(sp_live_begin(ev->session), &head, &output);
    sp_live_finish(ev->session, true);
}

static void view_ended(struct sp_app_event *ev)
{
    struct sp_gradio_head head = head_of(ev);

    if (ev->session->lossy)
        return;
    sp_event_put_end(ev, sp_live_begin(ev->session), &head);
    ev->told = true;
    sp_live_finish(ev->session, true);
}

const struct sp_event_view sp_live_view = {
    .accepted = sp_live_send_accepted,
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
    sp_live_put_stage(sp_live_begin(session), 0, space->stage, space->reason ? space->reason : "",
                      space->version_id);
    sp_live_finish(session, true);
}

void sp_live_send_newest(struct sp_app_session *session)
{
    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        if (ev->accepted && ev->state == SP_EVENT_WAITING && ev->size)
            view_estimate(ev);
        else if (ev->accepted && ev->state == SP_EVENT_RUNNING && ev->progress)
            send_progress(ev);
}
