/* One request: its life, dispatch and end, as the scheduler decides and the journal allows. */
#include "runtime/app/app-internal.h"

#include <stdio.h>

#include "base/error.h"

/* --- birth and death -------------------------------------------------------------------------- */

struct sp_app_event *sp_event_new(struct sp_app_session *session, const struct sp_id *id)
{
    struct sp_apps *apps = session->space->apps;
    struct sp_app_event *ev = sp_new0(struct sp_app_event);

    if (id)
        ev->id = *id;
    /* The first half is the scheduler's number: it must be new and not 0. */
    while (!id && (!sp_event_req(ev) || sp_map_get_u64(&apps->events, sp_event_req(ev))))
        sp_id_random(&ev->id);
    ev->apps = apps;
    ev->space_id = session->space->id;
    ev->session = session;
    ev->joined_ms = uv_now(apps->loop);
    ev->eta_us = SP_SCHED_NO_ETA;
    ev->run_us = ev->average_us = -1;
    sp_list_init(&ev->in_worker);
    sp_alarm_init(&ev->alarm);
    sp_list_init(&ev->in_session);
    sp_list_append(&session->events, &ev->in_session);
    session->n_events++;
    (void)sp_map_put_u64(&apps->events, sp_event_req(ev), ev);
    return ev;
}

static void output_free(struct sp_event_output *out)
{
    if (!out)
        return;
    sp_buf_done(&out->base);
    sp_buf_done(&out->ops);
    free(out);
}

void sp_event_free(struct sp_app_event *ev)
{
    (void)sp_map_remove_u64(&ev->apps->events, sp_event_req(ev));
    output_free(ev->out);
    free(ev->call);
    free(ev->result);
    free(ev->ref);
    free(ev->progress);
    free(ev->error);
    free(ev);
}

void sp_event_free_if_done(struct sp_app_event *ev)
{
    if (ev->doomed && !ev->journal_refs && !ev->worker && !ev->in_sched)
        sp_event_free(ev);
}

static uint64_t kept_bytes(const struct sp_app_event *ev)
{
    return sizeof(*ev) + ev->result_len;
}

void sp_event_drop(struct sp_app_event *ev)
{
    struct sp_app_session *session = ev->session;
    bool kept = !sp_list_empty(&ev->alarm.node) && ev->state == SP_EVENT_ENDED;

    if (ev->doomed)
        return;
    ev->doomed = true;
    if (ev->view && ev->view->dropped)
        ev->view->dropped(ev);
    ev->view = NULL;
    if (kept)
        ev->apps->result_bytes -= kept_bytes(ev);
    sp_alarm_clear(&ev->alarm);
    sp_list_remove(&ev->in_session);
    if (!ev->worker)
        sp_list_remove(&ev->in_worker); /* parked */
    session->n_events--;
    ev->session = NULL;
    if (ev->journaled && !ev->apps->closing)
        sp_event_journal_forget(ev);
    sp_event_free_if_done(ev);
    sp_session_settle(session);
}

void sp_event_keep(struct sp_app_event *ev)
{
    struct sp_apps *apps = ev->apps;

    apps->result_bytes += kept_bytes(ev);
    sp_alarm_set(&apps->alarms, SP_ALARM_RESULT, &ev->alarm);
    /* Later: whoever ends an event may be walking a list of them. */
    if (apps->result_bytes > apps->limit.result_memory)
        sp_turn_later(&apps->turn, &apps->evict);
}

void sp_event_evict(struct sp_turn_item *item)
{
    struct sp_apps *apps = SP_CONTAINER(item, struct sp_apps, evict);
    struct sp_list *kept = &apps->alarm_classes[SP_ALARM_RESULT].set;

    while (apps->result_bytes > apps->limit.result_memory && !sp_list_empty(kept))
        sp_event_alarm_result(apps, SP_LIST_TAKE(kept, struct sp_alarm, node));
}

void sp_event_alarm_result(void *arg, struct sp_alarm *alarm)
{
    struct sp_app_event *ev = SP_CONTAINER(alarm, struct sp_app_event, alarm);

    /* The alarm is out of its list already, which is how drop knows what counts. */
    ((struct sp_apps *)arg)->result_bytes -= kept_bytes(ev);
    sp_event_drop(ev);
}

void sp_event_alarm_detached(void *arg, struct sp_alarm *alarm)
{
    (void)arg;
    sp_app_event_cancel(SP_CONTAINER(alarm, struct sp_app_event, alarm));
}

struct sp_app_event *sp_app_event_find(struct sp_app_space *space, const struct sp_id *id)
{
    struct sp_app_event *ev;
    uint64_t req;

    memcpy(&req, id->bytes, sizeof(req));
    ev = sp_map_get_u64(&space->apps->events, req);
    return ev && ev->space_id == space->id && sp_id_eq(&ev->id, id) ? ev : NULL;
}
/* --- dispatch --------------------------------------------------------------------------------- */

static void finished(struct sp_app_event *ev, enum sp_sched_outcome outcome)
{
    struct sp_sched_event event = {
        .kind = SP_SCHED_FINISHED, .req = sp_event_req(ev), .finished = {.outcome = outcome}};
    struct sp_apps *apps = ev->apps;

    sp_event_leave_worker(ev);
    sp_apps_step(apps, &event);
}

static void send_call(struct sp_app_event *ev)
{
    struct sp_event_call *call = ev->call;
    const char *text = call->text;
    struct sp_worker_call msg = {
        .id = &ev->id,
        .attempt = ev->attempt,
        .fn = ev->fn,
        .session = sp_slice_str(ev->session->name),
        .trigger = call->trigger,
        .data = sp_slice(text, call->data_len),
        .event_data = sp_slice(text + call->data_len, call->event_data_len),
        .request = sp_slice(text + call->data_len + call->event_data_len, call->request_len),
    };

    if (!ev->worker || !ev->worker->conn)
        return; /* gone meanwhile: WORKER_DOWN ends it as lost */
    sp_worker_put_call(sp_worker_out(ev->worker->conn), &msg);
    ev->call_sent = true;
    ev->session->called = true;
    free(ev->call);
    ev->call = NULL;
}

static void fail_unrecorded(struct sp_app_event *ev, const struct sp_error *err)
{
    ev->error = sp_asprintf("The server could not record this request: %.200s", err->msg);
    finished(ev, SP_SCHED_FAILED);
}

static void on_dispatched(void *arg, const struct sp_error *err)
{
    struct sp_app_event *ev = arg;

    ev->journal_refs--;
    if (ev->doomed) {
        sp_event_free_if_done(ev);
        return;
    }
    if (ev->state != SP_EVENT_RUNNING)
        return; /* cancelled, or its worker went, before it was sent */
    if (err)
        fail_unrecorded(ev, err);
    else
        send_call(ev);
}

/* The call is sent when it is written that it was: a crash in between is a lost request, not two.
 */
void sp_event_note_dispatch(struct sp_app_event *ev)
{
    struct sp_error err;

    if (sp_event_journal_dispatched(ev, on_dispatched, &err) < 0)
        fail_unrecorded(ev, &err);
}

void sp_event_dispatch(struct sp_app_event *ev, const struct sp_sched_action *action)
{
    struct sp_apps *apps = ev->apps;

    ev->in_sched = true;
    ev->state = SP_EVENT_RUNNING;
    ev->attempt = action->dispatch.attempt;
    ev->started_ms = uv_now(apps->loop);
    ev->eta_us = action->dispatch.eta_us;
    ev->worker = sp_app_worker_find(apps, action->worker);
    apps->n_waiting--;
    if (ev->worker)
        sp_list_append(&ev->worker->events, &ev->in_worker);
    if (!ev->journaled)
        send_call(ev);
    else if (ev->recorded)
        sp_event_note_dispatch(ev);
    else
        ev->dispatch_due = true;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): nothing is freed while it is in the scheduler */
    if (ev->accepted && ev->view)
        ev->view->starts(ev);
    if (ev->session)
        sp_app_queue_changed(ev->session->space);
}

void sp_event_leave_worker(struct sp_app_event *ev)
{
    struct sp_app_worker *worker = ev->worker;

    if (!worker)
        return;
    ev->worker = NULL;
    sp_list_remove(&ev->in_worker);
    sp_app_worker_check_idle(worker);
    sp_event_free_if_done(ev);
}

void sp_event_send_cancel(struct sp_app_event *ev)
{
    ev->cancel_sent = true;
    if (!ev->call_sent)
        finished(ev, SP_SCHED_CANCELED);
    else if (ev->worker && ev->worker->conn)
        sp_worker_put_cancel(sp_worker_out(ev->worker->conn), &ev->id, ev->attempt);
}

void sp_app_event_cancel(struct sp_app_event *ev)
{
    struct sp_sched_event event = {.kind = SP_SCHED_CANCEL, .req = sp_event_req(ev)};

    if (ev->state == SP_EVENT_ENDED)
        return;
    if (ev->in_sched)
        sp_apps_step(ev->apps, &event);
    else
        sp_event_end_directly(ev, SP_SCHED_CANCELED, NULL);
}

void sp_event_estimate(struct sp_app_event *ev, const struct sp_sched_action *action)
{
    ev->rank = action->estimate.rank;
    ev->size = action->estimate.size;
    ev->eta_us = action->estimate.eta_us;
    if (ev->accepted && ev->view && ev->state == SP_EVENT_WAITING)
        ev->view->estimate(ev);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void set_result(struct sp_app_event *ev, struct sp_slice text)
{
    free(ev->result);
    ev->result = sp_strndup(text.ptr ? text.ptr : "", text.len);
    ev->result_len = text.len;
}

static void set_failure(struct sp_app_event *ev, const struct sp_gradio_failure *failure)
{
    struct sp_buf text SP_AUTO_BUF = {0};

    sp_buf_init(&text, 0);
    sp_gradio_put_failure(&text, failure);
    set_result(ev, sp_buf_slice(&text));
}

static void set_failure_text(struct sp_app_event *ev, const char *sentence)
{
    struct sp_buf text SP_AUTO_BUF = {0};
    struct sp_gradio_failure failure = {.visible = true};

    sp_buf_init(&text, 0);
    (void)sp_buf_append_json_string(&text, sp_slice_str(sentence));
    failure.error = sp_buf_slice(&text);
    set_failure(ev, &failure);
}

static void set_lost(struct sp_app_event *ev)
{
    SP_AUTO_FREE char *sentence =
        sp_asprintf("The app was restarted while this was running%s%s. Please run it again.",
                    ev->error && ev->error[0] ? ": " : "", ev->error ? ev->error : "");

    set_failure_text(ev, sentence);
}

static void count_end(struct sp_apps *apps, enum sp_sched_outcome outcome)
{
    switch (outcome) {
    case SP_SCHED_DONE: apps->stats.done++; break;
    case SP_SCHED_FAILED: apps->stats.failed++; break;
    case SP_SCHED_CANCELED: apps->stats.canceled++; break;
    case SP_SCHED_LOST: apps->stats.lost++; break;
    }
}

/* The end is stored, or need not be: whoever listens is told. */
static void tell_end(struct sp_app_event *ev)
{
    ev->ending = false;
    sp_event_keep(ev);
    if (ev->accepted && ev->view)
        ev->view->ended(ev); /* may drop it */
}

static void on_done(void *arg, const struct sp_error *err)
{
    struct sp_app_event *ev = arg;

    (void)err; /* logged by the journal; the visitor's result is not withheld for it */
    ev->journal_refs--;
    if (ev->doomed)
        sp_event_free_if_done(ev);
    else
        tell_end(ev);
}

static void finish_result(struct sp_app_event *ev)
{
    if (ev->outcome == SP_SCHED_LOST)
        set_lost(ev);
    else if (ev->outcome == SP_SCHED_FAILED && !ev->result)
        set_failure_text(ev, ev->error ? ev->error : "The request failed.");
    else if (ev->outcome == SP_SCHED_CANCELED)
        set_result(ev, sp_event_output(ev));
    output_free(ev->out);
    ev->out = NULL;
    free(ev->call);
    ev->call = NULL;
    free(ev->progress);
    ev->progress = NULL;
    ev->progress_due = false;
}

static void end(struct sp_app_event *ev, enum sp_sched_outcome outcome)
{
    struct sp_apps *apps = ev->apps;

    if (ev->state == SP_EVENT_WAITING)
        apps->n_waiting--;
    ev->state = SP_EVENT_ENDED;
    ev->outcome = (uint8_t)outcome;
    ev->in_sched = false;
    sp_alarm_clear(&ev->alarm);
    count_end(apps, outcome);
    if (ev->doomed && outcome == SP_SCHED_LOST && ev->worker) {
        sp_event_leave_worker(ev); /* which frees it */
        return;
    }
    if (ev->doomed) {
        sp_event_free_if_done(ev);
        return;
    }
    if (outcome == SP_SCHED_LOST)
        sp_event_leave_worker(ev);
    finish_result(ev);
    ev->ending = true;
    sp_app_queue_changed(ev->session->space);
    if (!ev->journaled || !ev->recorded || sp_event_journal_done(ev, on_done) < 0)
        tell_end(ev);
}

void sp_event_end(struct sp_app_event *ev, const struct sp_sched_action *action)
{
    if (ev->run_us < 0)
        ev->run_us = action->end.service_us;
    ev->average_us = action->end.average_us;
    end(ev, action->end.outcome);
}

void sp_event_end_directly(struct sp_app_event *ev, enum sp_sched_outcome outcome, const char *why)
{
    if (why) {
        free(ev->error);
        ev->error = sp_strdup(why);
    }
    sp_list_remove(&ev->in_worker);
    end(ev, outcome);
}

/* --- what the worker says --------------------------------------------------------------------- */

void sp_event_credit(struct sp_app_event *ev)
{
    ev->wants_credit = false;
    if (!ev->spent || !ev->worker || !ev->worker->conn)
        return;
    sp_worker_put_credit(sp_worker_out(ev->worker->conn), &ev->id, ev->attempt, ev->spent);
    ev->spent = 0;
}

static void last_word(struct sp_app_event *ev, const struct sp_worker_msg *msg)
{
    enum sp_sched_outcome outcome = msg->type == SP_WORKER_RETURN  ? SP_SCHED_DONE
                                    : msg->type == SP_WORKER_ERROR ? SP_SCHED_FAILED
                                                                   : SP_SCHED_CANCELED;

    /* One that ended already (cancelled, grace over) only gives its slot back. */
    if (ev->state == SP_EVENT_RUNNING && msg->type == SP_WORKER_RETURN) {
        set_result(ev, msg->data);
        ev->run_us = msg->run_us;
        ev->generator = msg->generator;
    } else if (ev->state == SP_EVENT_RUNNING && msg->type == SP_WORKER_ERROR) {
        struct sp_gradio_failure failure = {.error = msg->error,
                                            .title = msg->title,
                                            .duration = msg->duration,
                                            .visible = msg->visible};

        set_failure(ev, &failure);
    }
    finished(ev, outcome);
}

bool sp_event_worker_says(struct sp_app_event *ev, const struct sp_worker_msg *msg,
                          const char **ret_why)
{
    bool shown = ev->accepted && ev->view && ev->state == SP_EVENT_RUNNING && !ev->cancel_sent;
    struct sp_gradio_log log = {.log = msg->log,
                                .level = msg->level,
                                .title = msg->title,
                                .duration = msg->duration,
                                .visible = msg->visible};

    switch (msg->type) {
    case SP_WORKER_PROGRESS:
        if (shown)
            ev->view->progress(ev, msg->progress_data);
        return true;
    case SP_WORKER_LOG:
        if (shown)
            ev->view->log(ev, &log);
        return true;
    case SP_WORKER_YIELD:
        if (ev->state == SP_EVENT_RUNNING && !sp_event_take_yield(ev, msg)) {
            *ret_why = "protocol error: the first yield of a request has no data";
            return false;
        }
        return true;
    default: last_word(ev, msg); return true;
    }
}
