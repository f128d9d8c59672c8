/* How a request begins: admission, its record, and the answer that its visitor waits for. */
#include "runtime/app/app-internal.h"

#include <stdio.h>

#include "base/error.h"

static struct sp_event_call *copy_call(const struct sp_app_join *join)
{
    size_t len = join->data.len + join->event_data.len + join->request.len;
    struct sp_event_call *call = sp_realloc(NULL, sizeof(*call) + len, 1);
    char *at = call->text;

    call->trigger = join->trigger;
    call->data_len = (uint32_t)join->data.len;
    call->event_data_len = (uint32_t)join->event_data.len;
    call->request_len = (uint32_t)join->request.len;
    memcpy(at, join->data.ptr, join->data.len);
    at += join->data.len;
    if (join->event_data.len)
        memcpy(at, join->event_data.ptr, join->event_data.len);
    at += join->event_data.len;
    if (join->request.len)
        memcpy(at, join->request.ptr, join->request.len);
    return call;
}

static bool refuse(struct sp_app_refused *refused, enum sp_app_refusal why, const char *msg)
{
    refused->why = why;
    (void)snprintf(refused->msg, sizeof(refused->msg), "%s", msg);
    return false;
}

static bool may_join(struct sp_apps *apps, const struct sp_app_join *join,
                     struct sp_app_refused *refused)
{
    const struct sp_app_worker *serving = join->session->space->serving;

    if (apps->closing || join->session->space->removed)
        return refuse(refused, SP_REFUSED_CLOSING, "The server is stopping. Try again soon.");
    if (join->session->n_events >= apps->limit.session_events)
        return refuse(refused, SP_REFUSED_SESSION,
                      "This visitor has too many requests in the queue (limit.session_events).");
    if (apps->n_waiting >= apps->limit.waiting)
        return refuse(refused, SP_REFUSED_WAITING,
                      "Too many requests wait on this server (limit.waiting). Try again later.");
    if (serving && serving->conn && sp_worker_backlog(serving->conn) > SP_APP_BACKLOG_MAX)
        return refuse(refused, SP_REFUSED_BUSY,
                      "The app does not take its requests at the moment. Try again later.");
    return true;
}

/* The disk does not take it: as if it had never been. */
static void undo(struct sp_app_event *ev)
{
    ev->view = NULL;
    sp_app_event_cancel(ev);
    if (ev->session)
        sp_event_drop(ev);
}

/* Gradio's clients are used to one before the start, even when there was no wait. */
static void first_estimate(struct sp_app_event *ev)
{
    if (ev->kind != SP_EVENT_SSE || !ev->view || ev->state == SP_EVENT_WAITING)
        return;
    ev->rank = 0;
    ev->size = 1;
    ev->view->estimate(ev);
}

static void on_accepted(void *arg, const struct sp_error *err)
{
    struct sp_app_event *ev = arg;

    ev->journal_refs--;
    if (ev->doomed) {
        sp_event_free_if_done(ev);
        return;
    }
    if (err) {
        if (ev->view)
            ev->view->accepted(ev, err);
        undo(ev);
        return;
    }
    ev->accepted = true;
    if (ev->view)
        ev->view->accepted(ev, NULL);
    first_estimate(ev);
    sp_event_catch_up(ev);
}

static bool record(struct sp_app_event *ev, struct sp_app_refused *refused)
{
    struct sp_error err;

    if (!ev->journaled) {
        ev->accepted = true;
        return true;
    }
    if (sp_event_journal_accepted(ev, on_accepted, &err) < 0) {
        ev->journaled = false; /* nothing to forget */
        refused->why = SP_REFUSED_STORAGE;
        (void)snprintf(refused->msg, sizeof(refused->msg),
                       "The request could not be stored: %.150s", err.msg);
        return false;
    }
    ev->recorded = true;
    if (ev->dispatch_due)
        sp_event_note_dispatch(ev);
    return true;
}

static bool enqueue(struct sp_app_event *ev, struct sp_app_refused *refused)
{
    struct sp_apps *apps = ev->apps;
    struct sp_sched_event event = {
        .kind = SP_SCHED_JOIN,
        .space = ev->space_id,
        .req = sp_event_req(ev),
        .join = {.fn = ev->fn, .queued = ev->queued},
    };

    refused->why = SP_REFUSED_FUNCTION;
    (void)snprintf(refused->msg, sizeof(refused->msg), "The app has no function %u.", ev->fn);
    apps->refused = refused;
    apps->n_waiting++;
    sp_apps_step(apps, &event);
    apps->refused = NULL;
    if (ev->in_sched)
        return true;
    apps->n_waiting--;
    if (refused->why == SP_REFUSED_FULL)
        (void)snprintf(refused->msg, sizeof(refused->msg),
                       "Queue is full. Max size is %u and size is %u.%s", refused->max_size,
                       refused->size, ev->session->space->max_size < 0 ? " (queue.max_size)" : "");
    return false;
}

/* A function may stop others of the same visitor: the event listener's `cancels`. */
static void cancel_others(struct sp_app_event *ev, const struct sp_worker_function *fn)
{
    for (size_t i = 0; i < fn->n_cancels; i++)
        SP_LIST_EACH (other, &ev->session->events, struct sp_app_event, in_session)
            if (other != ev && other->fn == fn->cancels[i])
                sp_app_event_cancel(other);
}

struct sp_app_event *sp_app_join(struct sp_apps *apps, const struct sp_app_join *join,
                                 struct sp_app_refused *refused)
{
    struct sp_app_event *ev;

    apps->stats.refused++; /* taken back below */
    if (!may_join(apps, join, refused))
        return NULL;
    ev = sp_event_new(join->session, NULL);
    ev->kind = (uint8_t)join->kind;
    ev->view = join->view;
    ev->fn = join->fn->fn;
    ev->n_outputs = join->fn->outputs;
    ev->queued = join->queued;
    ev->journaled = join->kind != SP_EVENT_RUN;
    ev->ref = join->ref ? sp_strdup(join->ref) : NULL;
    ev->call = copy_call(join);
    if (!enqueue(ev, refused)) {
        ev->journaled = false;
        sp_event_drop(ev);
        return NULL;
    }
    if (!record(ev, refused)) {
        undo(ev);
        return NULL;
    }
    apps->stats.refused--;
    apps->stats.joined++;
    cancel_others(ev, join->fn);
    sp_app_queue_changed(join->session->space);
    if (ev->accepted)
        sp_event_catch_up(ev);
    return ev;
}

void sp_event_unpark(struct sp_app_space *space)
{
    struct sp_app_refused refused = {0};

    SP_LIST_EACH (ev, &space->parked, struct sp_app_event, in_worker) {
        sp_list_remove(&ev->in_worker);
        space->apps->n_waiting--; /* enqueue counts it again */
        if (!enqueue(ev, &refused)) {
            space->apps->n_waiting++;
            sp_event_end_directly(ev, SP_SCHED_FAILED, refused.msg);
        }
    }
}
